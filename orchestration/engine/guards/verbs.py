"""The public verbs of guards: halt, resume, open and close a breaker. Pages, API and commands call these and hold no rules.

A halt is a change of rights: it takes the authority lock exclusively and raises the epoch, so no intent that was computed
before it is committed after it. A breaker is no right: what opens it is seen by the next wave of every worker (docs/adr/0015).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

from aegis.core import canonical, clock
from aegis.core.actors import Actor, user_actor
from aegis.core.errors import Conflict, Fault, Forbidden, Invalid, NotFound
from aegis.core.visibility import groups_with
from aegis.identity.areas import area
from aegis.identity.authority import hold_shared, raise_epoch
from aegis.identity.models import User
from aegis.identity.principals import changing_rights, require_live, stated
from approvals.models import Governed
from approvals.querysets import GovernedQuerySet
from audit import journal
from audit.drafts import Draft
from orchestration.agents.models import Agent
from orchestration.authority.models import Capability
from orchestration.engine.guards import breakers, counting, freezing, waking
from orchestration.engine.guards.asking import agent_key, capability_key
from orchestration.engine.guards.models import Breaker, Halt, HeldRun
from orchestration.engine.guards.standing import EVERYTHING_AREA, may_halt_everything
from orchestration.workflows.models import Workflow

DEFAULT_PACE: Final = 20
MAX_PACE: Final = 1_000

Kind = Literal["agent", "capability"]


class NotHalted(Conflict):
    """There is nothing to resume: the halt is over."""

    code, title = "not_halted", "This is not halted"


@dataclass(frozen=True, slots=True)
class Placed:
    """The halt that stands, and whether this call changed anything."""

    halt: Halt
    is_new: bool


@dataclass(frozen=True, slots=True)
class Switched:
    """The breaker as it stands, and whether this call changed anything."""

    breaker: Breaker
    is_new: bool


def halt(what: str, name: str = "", *, actor: Actor, reason: str) -> Placed:
    """Stop an agent, a workflow or everything: from this commit on no new intent of theirs is committed.

    Answers of calls under way are still recorded; cancelling and decisions are still consumed. Runs that would go on are held,
    open requests and review items concerned freeze. Halting what is halted changes nothing; halting what is being resumed stops
    the resuming.

    Args:
        what: "agent", "workflow" or "everything".
        name: of the agent or workflow.

    Raises:
        NotFound: there is no such agent or workflow, or the person may not see it.
        Forbidden: sees it, but may not operate it.
        Invalid: no reason, or no such kind of halt.
    """
    if what not in Halt.Scope.values:
        raise Invalid("There is no such halt", faults=[Fault("/what", f"is none of {', '.join(Halt.Scope.values)}")])

    def work() -> Placed:
        raise_epoch()
        target = _operable(what, name, actor)
        why = stated(reason)
        now = clock.db_now()
        row = Halt.objects.select_for_update().filter(scope=what, target=target).exclude(status=Halt.Status.LIFTED).first()
        if row is not None and row.status == Halt.Status.STANDING:
            return Placed(row, is_new=False)
        row = row or Halt(scope=what, target=target, name=name if target else "")
        row.status, row.placed_at, row.placed_by = Halt.Status.STANDING, now, actor.key
        row.pace, row.released, row.released_at, row.resumed_at, row.resumed_by = 0, 0, None, None, ""
        row.place = _record(row, "halt.placed", actor, why)
        row.save()
        return Placed(row, is_new=True)

    placed = changing_rights(work, actor=actor, what="guards.halt")
    if placed.is_new:
        freezing.keep()  # the most pressing ones at once; the sweep goes on with the rest
    return placed


def resume(halt_id: UUID, *, actor: Actor, reason: str, pace: int = DEFAULT_PACE) -> Placed:
    """Let what was halted go on: new work at once, the held ones at `pace` runs a second, most urgent and oldest first.

    Resuming what is being resumed at that pace changes nothing; at another one it goes on at that.

    Raises:
        NotFound, Forbidden: as `halt`.
        NotHalted: the halt is over.
        Invalid: no reason, or no such pace.
    """

    def work() -> Placed:
        raise_epoch()
        row = Halt.objects.select_for_update().filter(pk=halt_id).first()
        if row is None:
            raise NotFound
        _operable(row.scope, row.name, actor, target=row.target)
        why = stated(reason)
        if isinstance(pace, bool) or not isinstance(pace, int) or not 1 <= pace <= MAX_PACE:
            raise Invalid("That is no pace", faults=[Fault("/pace", f"must be a whole number from 1 to {MAX_PACE:,}")])
        if row.status == Halt.Status.LIFTED:
            raise NotHalted(f"It was resumed at {row.resumed_at:%H:%M:%S} UTC on {row.resumed_at:%d %B %Y}")
        if row.status == Halt.Status.RESUMING and row.pace == pace:
            return Placed(row, is_new=False)
        now = clock.db_now()
        if row.status == Halt.Status.STANDING:
            row.status, row.resumed_at = Halt.Status.RESUMING, now
        row.resumed_by, row.pace = actor.key, pace
        held = HeldRun.objects.filter(guard=f"halt:{row.pk}").count()
        _record(row, "halt.resuming", actor, why, pace=pace, held=held)
        row.save()
        return Placed(row, is_new=True)

    placed = changing_rights(work, actor=actor, what="guards.resume")
    if placed.is_new:
        freezing.keep()
        waking.finish_empty_halts()
        placed.halt.refresh_from_db()
    return placed


def open_breaker(kind: str, name: str, *, actor: Actor, reason: str) -> Switched:
    """Open a breaker by hand: it stays open until somebody closes it.

    Raises:
        NotFound, Forbidden: the agent or capability is not visible; or visible, and the person may not operate it.
        Invalid: no reason.
    """
    return _switch(kind, name, actor, reason, "breaker.opened", breakers.open_by_hand)


def close_breaker(kind: str, name: str, *, actor: Actor, reason: str) -> Switched:
    """Close a breaker by hand: what it holds goes on, a number of runs a second; its failures are forgotten.

    Raises:
        NotFound, Forbidden, Invalid: as `open_breaker`.
    """
    return _switch(kind, name, actor, reason, "breaker.closed", lambda _: breakers.PRISTINE)


def require_resumable(person: User, halt_id: UUID) -> None:
    """May the person end this halt? `resume` asks again.

    Raises:
        NotFound, Forbidden
    """
    row = Halt.objects.filter(pk=halt_id).first()
    if row is None:
        raise NotFound
    _operable(row.scope, row.name, user_actor(person.pk, auth="session"), target=row.target)


def require_switchable(person: User, kind: str, name: str) -> None:
    """May the person open and close this breaker? The verbs ask again.

    Raises:
        NotFound, Forbidden; Invalid: no such kind.
    """
    _guarded(kind, name, user_actor(person.pk, auth="session"))


def _switch(
    kind: str, name: str, actor: Actor, reason: str, event: str, change: Callable[[breakers.Breaker], breakers.Breaker]
) -> Switched:

    def work() -> Switched:
        hold_shared()  # who may operate stands until this transaction ends
        key, target = _guarded(kind, name, actor)
        why = stated(reason)
        now = clock.db_now()
        row = counting.breaker_row(key, target, now)
        before = counting.standing(row)
        after = change(before)
        if after == before:
            return Switched(row, is_new=False)
        counting.put(row, after, now)
        if after.phase != before.phase or after.phase == "open":
            counting.record(row, [_switched(row, event, actor, why, after)], now)
        return Switched(row, is_new=True)

    return changing_rights(work, actor=actor, what=f"guards.{event.replace('breaker.', '')}")


def _switched(row: Breaker, event: str, actor: Actor, why: str, after: breakers.Breaker) -> Draft:
    places = [failure.place for failure in after.failures]
    opened = {"failures": places, "openings": after.openings, "cooldown_ms": 0, "until": ""}
    data = {"key": row.key, "cause": "hand", **(opened if event == "breaker.opened" else {"place": ""})}
    outcome = event.rpartition(".")[2]
    return Draft(event, actor, data=data, payloads={"reason": canonical.dump(why)}, outcome=outcome)


def _guarded(kind: str, name: str, actor: Actor) -> tuple[str, str]:
    """(key, id of the agent) of a breaker the actor may switch."""
    match kind:
        case "agent":
            rows, key = Agent.objects.all(), agent_key(name)
        case "capability":
            rows, key = Capability.objects.all(), capability_key(name)
        case _:
            raise Invalid("There is no such breaker", faults=[Fault("/kind", "is neither agent nor capability")])
    left_over = None if rows.filter(name=name).exists() else Breaker.objects.filter(key=key).first()
    if left_over is not None:
        _require_left_over(actor)
        return key, left_over.target
    found = _visible(rows, actor, name=name)
    return key, str(found.pk) if kind == "agent" else ""


def _operable(what: str, name: str, actor: Actor, *, target: str = "") -> str:
    """The id of what is to be halted or resumed, if the actor may; "" for everything.

    Args:
        target: its id, where it is known already; the name may have gone to another since.
    """
    lookup = {"pk": target} if target else {"name": name}
    if what == Halt.Scope.EVERYTHING:
        _require_everything(actor)
        return ""
    rows = (Agent if what == Halt.Scope.AGENT else Workflow).objects.all()
    if target and not rows.filter(pk=target).exists():
        _require_left_over(actor)
        return target
    return str(_visible(rows, actor, **lookup).pk)


def _visible(rows: GovernedQuerySet, actor: Actor, **lookup: str) -> Governed:
    """The one row, if the actor may operate it, or edit its area. SYSTEM may: whoever has the command line spells it out.

    Raises:
        NotFound, Forbidden
    """
    if actor.kind == "system":
        known: Governed | None = rows.filter(**lookup).first()
        if known is None:
            raise NotFound("There is no such thing")
        return known
    person = require_live(actor)
    may_edit = rows.visible_to(person, "edit").filter(**lookup).exists()
    found: Governed = rows.get_visible(person, "view" if may_edit else "operate", **lookup)
    return found


def _require_everything(actor: Actor) -> None:
    """Not a secret: everybody learns that it takes this right."""
    if actor.kind == "system" or may_halt_everything(require_live(actor)):
        return
    givers = ", ".join(groups_with(area(EVERYTHING_AREA), "operate")) or "nobody yet; an admin can grant it"
    right = f"operate ({EVERYTHING_AREA})"
    raise Forbidden(f"Halting everything takes “{right}”, which is granted to: {givers}", right=right, granted_by=givers)


def _require_left_over(actor: Actor) -> None:
    """A guard whose agent, workflow or capability is gone holds on: nobody operates that any more, but somebody must be able to
    end it. To anybody else it does not exist, as what never was does not."""
    if actor.kind != "system" and not may_halt_everything(require_live(actor)):
        raise NotFound


def _record(row: Halt, event: str, actor: Actor, why: str, **data: int) -> str:
    """Write a stage that a person made; returns its place."""
    draft = Draft(
        event,
        actor,
        data={"halt": str(row.pk), "what": row.scope, "name": row.name, **data},
        payloads={"reason": canonical.dump(why)},
        agent=row.name if row.scope == Halt.Scope.AGENT else "",
    )
    return journal.append(waking.context_of(row), [draft], clock.db_now())[0].place
