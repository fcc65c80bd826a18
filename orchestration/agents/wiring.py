"""What the room of agents registers at start-up."""

from __future__ import annotations

from aegis.core.kinds import register_kind
from aegis.core.visibility import Viewer
from audit import catalogue
from audit.scopes import register_scope
from orchestration.agents import autoload, events


def register() -> None:
    """The kind, event types, the scope `agent`, the command, the configured callables. Called from `AppConfig.ready()`."""
    from orchestration.agents import command
    from orchestration.agents.kind import AgentKind

    catalogue.register(*events.TYPES)
    register_scope("agent", visible_agents)
    register_kind(AgentKind())
    command.register()
    autoload.load(autoload.configured())


def visible_agents(user: Viewer) -> list[str]:
    """Ids of the agents whose events a person may see."""
    from orchestration.agents.models import Agent

    return [str(pk) for pk in Agent.objects.visible_to(user).values_list("pk", flat=True)]
