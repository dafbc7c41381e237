import secrets
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand

USERNAME = "admin"


class Command(BaseCommand):
    help = "Creates the first superuser, with a generated password that is printed once."

    def handle(self, *args: Any, **options: Any) -> None:
        users = get_user_model()._default_manager
        if users.filter(is_superuser=True).exists():
            return
        if users.filter(**{users.model.USERNAME_FIELD: USERNAME}).exists():
            self.stdout.write(f"No superuser yet, and {USERNAME!r} is somebody else. Run: manage.py createsuperuser")
            return
        password = secrets.token_urlsafe(12)
        users.create_superuser(USERNAME, password=password)
        self.stdout.write(f"Created the superuser {USERNAME!r} with the password {password} (shown only now).")
        self.stdout.write("Another password: manage.py changepassword admin")
