"""Verbs on registered agents: stop one, and let it work again."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from aegis.core import canonical, clock
from aegis.core.actors import Actor
from aegis.core.errors import NotFound
from aegis.identity.authority import raise_epoch
from aegis.identity.models import User
from aegis.identity.principals import changing_rights, require_live, stated
from audit import journal
from audit.drafts import Context, Draft
from orchestration.agents.models import Agent
from orchestration.authority import live

STREAM = "config:Agent"


def set_enabled(agent_id: UUID, is_enabled: bool, *, actor: Actor, reason: str) -> bool:
    """Stop an agent, or let it work again. False if it was so already.

    A stopped agent gets no effect allowed from this commit on; a call under way ends, and its proposals are refused. Applying a
    manifest does not change it.

    Raises:
        NotFound: there is no such agent, or the person may not see it.
        Forbidden: sees it, but may neither operate it nor edit the area "agents".
        Invalid: no reason.
    """

    def work() -> bool:
        raise_epoch()
        agent = operable(agent_id, actor)
        why = stated(reason)
        if agent.is_enabled == is_enabled:
            return False
        agent.is_enabled = is_enabled
        agent.save(update_fields=["is_enabled"])
        _record(agent, actor, why)
        live.compile_and_store(actor=actor)
        return True

    what = "agents.enable" if is_enabled else "agents.disable"
    return changing_rights(work, actor=actor, what=what)


def switch(name: str, is_enabled: bool, *, actor: Actor, reason: str) -> bool:
    """`set_enabled` by name, as pages, API and command line know agents. An unknown name reads like a hidden one.

    Raises:
        NotFound, Forbidden, Invalid: as `set_enabled`.
    """
    return set_enabled(id_of(name), is_enabled, actor=actor, reason=reason)


def id_of(name: str) -> UUID:
    """
    Raises:
        NotFound: no agent is called so.
    """
    agent_id: UUID | None = Agent.objects.filter(name=name).values_list("pk", flat=True).first()
    if agent_id is None:
        raise NotFound
    return agent_id


def require_operable(person: User, name: str) -> None:
    """May the person stop this agent? `switch` asks again.

    Raises:
        NotFound, Forbidden
    """
    _require_operable(person, name=name)


def _require_operable(person: User, **lookup: Any) -> None:
    # `visible_to` counts a grant on the row and one on its area alike, for each verb.
    may_edit = Agent.objects.visible_to(person, "edit").filter(**lookup).exists()
    Agent.objects.get_visible(person, "view" if may_edit else "operate", **lookup)


def operable(agent_id: UUID, actor: Actor) -> Agent:
    """The agent's row, locked, if the actor may operate it. SYSTEM may: it is spelled out by whoever has the command line."""
    if actor.kind != "system":
        _require_operable(require_live(actor), pk=agent_id)
    agent: Agent | None = Agent.objects.select_for_update().filter(pk=agent_id).first()
    if agent is None:
        raise NotFound("There is no such agent")
    return agent


def _record(agent: Agent, actor: Actor, why: str) -> None:
    context = Context(stream=STREAM, scope="agent", scope_id=str(agent.pk))
    event = "agent.enabled" if agent.is_enabled else "agent.disabled"
    draft = Draft(event, actor, data={"name": agent.name}, payloads={"reason": canonical.dump(why)}, agent=agent.name)
    journal.append(context, [draft], clock.db_now())
