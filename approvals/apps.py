from django.apps import AppConfig


class ApprovalsConfig(AppConfig):
    name = "approvals"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from aegis.core import kinds
        from aegis.identity import announcing
        from approvals import alert_rehearsal, commands, events, governed, measures, questions, scopes
        from approvals.change_question import ChangeQuestion
        from approvals.integrity import request_head, request_heads
        from approvals.notices import again, posting
        from approvals.policy_kind import ApprovalPolicyKind
        from approvals.protected import VERSIONS
        from audit import catalogue, changed, triggers, verify
        from audit.metrics.measures import register as count
        from audit.scopes import register_scope

        catalogue.register(*events.TYPES)
        count(*measures.MEASURES)
        register_scope(scopes.POLICY, scopes.visible_policies)
        questions.register(ChangeQuestion())
        changed.register_documents(governed.version_text)
        kinds.register_kind(ApprovalPolicyKind())
        verify.register_head_source("request:", request_heads, request_head)
        commands.register()
        alert_rehearsal.register()
        again.register()
        announcing.register(posting.post_emergency)
        triggers.protect(VERSIONS)
