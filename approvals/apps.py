from django.apps import AppConfig


class ApprovalsConfig(AppConfig):
    name = "approvals"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from approvals import events, scopes
        from audit import catalogue
        from audit.scopes import register_scope

        catalogue.register(*events.TYPES)
        register_scope(scopes.POLICY, scopes.visible_policies)
