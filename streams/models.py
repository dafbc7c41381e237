from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth.models import AbstractUser, AnonymousUser, Group
from django.core.serializers.json import DjangoJSONEncoder
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.urls import reverse

from streams.registry import Access, Registration, registry

Visitor = AbstractUser | AnonymousUser

# Of groups. Being in one of a stream's groups counts only when that group holds the permission.
HOLDS_USE_STREAM = Q(permissions__codename="use_stream", permissions__content_type__app_label="streams")


class StreamQuerySet(models.QuerySet["Stream"]):
    def available(self) -> "StreamQuerySet":
        return self.filter(enabled=True, handler__in=[registration.name for registration in registry])

    def visible_to(self, user: Visitor) -> "StreamQuerySet":
        """The available streams that this visitor may open."""
        streams = self.available()
        if isinstance(user, AnonymousUser) or not user.is_active:
            return streams.filter(access=Access.PUBLIC)
        if user.is_superuser:
            return streams
        open_to = [Access.PUBLIC, Access.LOGIN, *([Access.STAFF] if user.is_staff else [])]
        through_group = Q(access=Access.GROUP, groups__in=entitled_groups(user))
        return streams.filter(Q(access__in=open_to) | through_group).distinct()


class Stream(models.Model):
    slug = models.SlugField(unique=True, help_text="The last part of the stream's address.")
    title = models.CharField(max_length=100)
    description = models.TextField(blank=True)
    handler = models.CharField(max_length=50)
    enabled = models.BooleanField(default=True)
    access = models.CharField(max_length=10, choices=Access.choices, default=Access.PUBLIC)
    groups = models.ManyToManyField(
        Group,
        blank=True,
        related_name="streams",
        help_text="For access by chosen groups: those of them that hold the permission “Can use streams”.",
    )
    concurrency_limit = models.PositiveIntegerField(
        null=True,
        blank=True,
        default=10,
        validators=[MinValueValidator(1)],
        help_text="Sessions at the same time. Empty: no limit.",
    )
    time_limit = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Seconds a session may last. Empty: no limit.",
    )
    turn_provider = models.CharField("TURN provider", max_length=50, blank=True)
    options = models.JSONField(default=dict, blank=True, encoder=DjangoJSONEncoder, editable=False)
    turn_taking = models.JSONField(default=dict, blank=True, editable=False)  # what differs from the code
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = StreamQuerySet.as_manager()

    class Meta:
        ordering = ["title", "slug"]
        permissions = [("use_stream", "Can use streams")]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("stream", args=[self.slug])

    @property
    def registration(self) -> Registration | None:
        """None when the handler is gone from the code."""
        return registry.get(self.handler)

    @property
    def is_available(self) -> bool:
        return self.enabled and self.registration is not None

    def options_for_handler(self) -> dict[str, Any]:
        return self.registration.load_options(self.options) if self.registration else {}

    def allows(self, user: Visitor) -> bool:
        """Whether the access setting lets this visitor in. May query the database."""
        if self.access == Access.PUBLIC:
            return True
        if isinstance(user, AnonymousUser) or not user.is_active:
            return False
        if user.is_superuser or self.access == Access.LOGIN:
            return True
        if self.access == Access.STAFF:
            return user.is_staff
        return self.groups.filter(pk__in=entitled_groups(user)).exists()

    async def aallows(self, user: Visitor) -> bool:
        # Only groups are looked up in the database, which takes a thread hop.
        return await sync_to_async(self.allows)(user) if self.access == Access.GROUP else self.allows(user)


def entitled_groups(user: AbstractUser) -> models.QuerySet[Group]:
    return user.groups.filter(HOLDS_USE_STREAM)
