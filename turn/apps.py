from django.apps import AppConfig
from django.core.checks import register


class TurnConfig(AppConfig):
    name = "turn"
    verbose_name = "TURN"

    def ready(self) -> None:
        from turn.checks import CHECKS, DEPLOY_CHECKS

        for check in CHECKS:
            register(check)
        for check in DEPLOY_CHECKS:
            register(check, deploy=True)
