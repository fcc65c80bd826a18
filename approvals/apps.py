from django.apps import AppConfig


class ApprovalsConfig(AppConfig):
    name = "approvals"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from aegis.core import kinds
        from aegis.identity import announcing
        from approvals import commands, events, governed, measures, questions, scopes
        from approvals.advice import command as advice_command
        from approvals.alerts import command as alert_command
        from approvals.alerts import events as alert_events
        from approvals.alerts import integrity as alert_integrity
        from approvals.alerts import seeing, watched
        from approvals.alerts.kind import AlertKind
        from approvals.change_question import ChangeQuestion
        from approvals.integrity import request_head, request_heads
        from approvals.notices import again, posting
        from approvals.policy_kind import ApprovalPolicyKind
        from approvals.protected import VERSIONS
        from audit import catalogue, changed, triggers, verify
        from audit.metrics.measures import register as count
        from audit.scopes import register_scope

        catalogue.register(*events.TYPES, *alert_events.TYPES)
        count(*measures.MEASURES)
        register_scope(scopes.POLICY, scopes.visible_policies)
        register_scope(seeing.SCOPE, seeing.visible_alerts)
        questions.register(ChangeQuestion())
        changed.register_documents(governed.version_texts)
        kinds.register_kind(ApprovalPolicyKind())
        kinds.register_kind(AlertKind())
        verify.register_head_source("request:", request_heads, request_head)
        verify.register_head_source("alert:", alert_integrity.heads, alert_integrity.head)
        commands.register()
        advice_command.register()
        alert_command.register()
        watched.register()
        again.register()
        announcing.register(posting.post_emergency)
        triggers.protect(VERSIONS)
