from django.apps import AppConfig


class IdentityConfig(AppConfig):
    name = "aegis.identity"
    label = "identity"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from aegis.identity import checks, signins  # noqa: F401  (importing checks registers them)

        signins.connect()
