from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "audit"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from aegis.core import commands
        from aegis.identity import recorder
        from audit import catalogue, checks, database_role, events, following, guards, scopes, taken, triggers, verify  # noqa: F401  (checks register themselves)
        from audit.access import readable_by
        from audit.cli import add_arguments, handle
        from audit.index import following_things, projection, tables
        from audit.metrics import command as metrics_command
        from audit.metrics import declared, measures
        from audit.metrics import projection as metrics
        from audit.recorder import JournalRecorder

        catalogue.register(*events.TYPES)
        triggers.protect(*guards.ALL)
        triggers.watch(tables.FEEDING)
        following.register_follower(projection.NAME, projection.handle, projection.clear)
        following.register_follower(following_things.NAME, following_things.handle, following_things.clear)
        following.register_follower(metrics.NAME, metrics.handle, metrics.clear)
        measures.register(*declared.MEASURES)
        recorder.register(JournalRecorder())
        verify.register_state_check("taken", taken.problems)
        scopes.register_scope("access", readable_by)
        scopes.register_scope("system", readable_by)
        metrics_command.register()
        commands.register("journal", "Check the record and its guards.", add_arguments, handle)
        database_role.register()
