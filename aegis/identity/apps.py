from django.apps import AppConfig


class IdentityConfig(AppConfig):
    name = "aegis.identity"
    label = "identity"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from aegis.core import commands, refusals, visibility
        from aegis.identity import (
            areas,
            checks,  # noqa: F401  (registers itself)
            emergency,
            emergency_command,
            found_command,
            key_command,
            signins,
        )

        refusals.register_givers(areas.givers)
        visibility.register_taken(emergency.taken)
        signins.connect()
        found_command.register()
        commands.register("emergency", emergency_command.HELP, emergency_command.add_arguments, emergency_command.handle)
        commands.register("key", key_command.HELP, key_command.add_arguments, key_command.handle)
