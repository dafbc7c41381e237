from django.apps import AppConfig
from django.core.checks import register


class TurnConfig(AppConfig):
    name = "turn"
    verbose_name = "TURN"

    def ready(self) -> None:
        from turn.checks import check_ice_servers

        register(check_ice_servers)
