from django.apps import AppConfig


class OrchestrationConfig(AppConfig):
    name = "orchestration"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from aegis.core.kinds import register_kind
        from audit.scopes import register_scope
        from orchestration import checks  # noqa: F401  (registers the system checks)
        from orchestration.agents import wiring as agents
        from orchestration.authority import handlers
        from orchestration.authority import wiring as authority
        from orchestration.contracts.kind import ContractKind
        from orchestration.engine import effects
        from orchestration.engine import wiring as engine
        from orchestration.engine.queue_kind import ReviewQueueKind, visible_queues
        from orchestration.intake import command as intake
        from orchestration.routing.kind import RoutingTableKind
        from orchestration.workflows import wiring as workflows

        register_kind(ContractKind())
        register_kind(RoutingTableKind())
        authority.register()
        agents.register()
        register_kind(ReviewQueueKind())
        register_scope("queue", visible_queues)
        workflows.register()
        handlers.accept(lambda name: effects.registered(name) is not None)
        engine.register()
        intake.register()
