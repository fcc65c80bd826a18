from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "aegis.core"
    label = "core"

    def ready(self) -> None:
        from aegis.core import checks  # noqa: F401  (registers the system checks)
        from aegis.core.wake import checks as wake_checks  # noqa: F401
