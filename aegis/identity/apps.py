from django.apps import AppConfig


class IdentityConfig(AppConfig):
    name = "aegis.identity"
    label = "identity"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from aegis.core import commands, refusals
        from aegis.identity import areas, checks, found_command, key_command, signins  # noqa: F401  (importing checks registers them)

        refusals.register_givers(areas.givers)
        signins.connect()
        found_command.register()
        commands.register("key", key_command.HELP, key_command.add_arguments, key_command.handle)
