from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "audit"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from aegis.identity import recorder
        from audit import catalogue, events
        from audit.recorder import JournalRecorder

        catalogue.register(*events.TYPES)
        recorder.register(JournalRecorder())
