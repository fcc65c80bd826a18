"""What holds work back, as one person sees it and may change it: halts, breakers, limits. Read for the page, cards and home."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.urls import reverse

from aegis.core.visibility import Viewer, groups_with
from aegis.identity.areas import area
from aegis.identity.models import User
from approvals.pages.words import Mark
from orchestration.agents.models import Agent
from orchestration.authority.models import Capability
from orchestration.engine.guards.breakers import Failure
from orchestration.engine.guards.models import Halt
from orchestration.engine.guards.standing import (
    EVERYTHING_AREA,
    BreakerStands,
    HaltStands,
    LimitStands,
    Standing,
    may_halt_everything,
    standing,
)
from orchestration.pages import marks
from orchestration.workflows.models import Workflow

_PHASES = {
    "closed": Mark("green", "check-circle", "Closed"),
    "open": Mark("red", "x-circle", "Open"),
    "half_open": Mark("amber", "hourglass", "Half-open: one run probes"),
}
_LIMITS = {"rate": "its rate", "concurrency": "calls at a time", "retries": "its retry budget"}
_MODELS: Mapping[str, Any] = {"agent": Agent, "workflow": Workflow, "capability": Capability}


@dataclass(frozen=True, slots=True)
class HaltLine:
    """A halt that stands or is being resumed."""

    halt: Halt
    what: str  # "agent clerk", "everything"
    reason: str
    by: str
    held: int
    may_operate: bool
    mark: Mark

    @property
    def progress(self) -> str:
        if self.halt.status != Halt.Status.RESUMING:
            return ""
        return f"{self.halt.released} let go, {self.held} still held, {self.halt.pace} a second"


@dataclass(frozen=True, slots=True)
class BreakerLine:
    """A breaker that is anything but closed without failures, or holds runs."""

    kind: str
    name: str
    mark: Mark
    phase: str
    until: datetime | None
    failures: tuple[tuple[Failure, str, str], ...]  # with its words and the address of its event
    openings: int
    since: datetime
    held: int
    may_operate: bool


@dataclass(frozen=True, slots=True)
class LimitLine:
    kind: str
    name: str
    what: str
    held: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Board:
    """Everything that holds work back now.

    Attributes:
        may_halt_everything, halters: the right, and the groups that have it.
    """

    halts: tuple[HaltLine, ...]
    breakers: tuple[BreakerLine, ...]
    limits: tuple[LimitLine, ...]
    may_halt_everything: bool
    halters: str

    @property
    def is_quiet(self) -> bool:
        return not (self.halts or self.breakers or self.limits)

    @property
    def everything_halted(self) -> bool:
        return any(line.halt.scope == Halt.Scope.EVERYTHING and line.halt.status == "standing" for line in self.halts)

    @property
    def held(self) -> int:
        lines: Sequence[Any] = (*self.halts, *self.breakers, *self.limits)
        return sum(line.held for line in lines)

    @property
    def holds_back(self) -> bool:
        """Does anything stop work, rather than a closed breaker counting failures?"""
        return bool(self.halts or self.open_breakers or self.limits or self.held)

    @property
    def open_breakers(self) -> int:
        return sum(line.phase != "closed" for line in self.breakers)


@dataclass(frozen=True, slots=True)
class Card:
    """What holds back one agent, workflow or capability, and what this person may do about it."""

    kind: str
    name: str
    halt: HaltLine | None
    everything: HaltLine | None
    breaker: BreakerLine | None
    limits: tuple[LimitLine, ...]
    may_operate: bool
    operators: str

    @property
    def has_breaker(self) -> bool:
        return self.kind != "workflow"

    @property
    def can_halt(self) -> bool:
        return self.kind != "capability"


def board(user: Viewer) -> Board:
    """A handful of queries, whatever the number of runs."""
    found = standing(user)
    reach = operable(user)
    may_halt = may_halt_everything(user)
    return Board(
        halts=_halts(found, reach, may_halt),
        breakers=tuple(_breaker(one, reach) for one in found.breakers),
        limits=tuple(_limit(one) for one in found.limits),
        may_halt_everything=may_halt,
        halters=", ".join(groups_with(area(EVERYTHING_AREA), "operate")),
    )


def card(user: Viewer, kind: str, row: Any) -> Card:
    """The guards of one document, for its page."""
    found = standing(user)
    reach = operable(user)
    halts = _halts(found, reach, may_halt_everything(user))
    breakers = [one for one in found.breakers if one.key == f"{kind}:{row.name}"]
    return Card(
        kind=kind,
        name=row.name,
        halt=next((line for line in halts if line.halt.scope == kind and line.halt.target == str(row.pk)), None),
        everything=next((line for line in halts if line.halt.scope == Halt.Scope.EVERYTHING), None),
        breaker=_breaker(breakers[0], reach) if breakers else None,
        limits=tuple(_limit(one) for one in found.limits if one.key == f"{kind}:{row.name}"),
        may_operate=row.name in reach[kind],
        operators=", ".join(groups_with(row, "operate")),
    )


def etag_parts(shown: Board) -> tuple[Any, ...]:
    """What decides what the page shows."""
    return (
        *((line.halt.pk, line.halt.status, line.halt.released, line.held) for line in shown.halts),
        *((line.kind, line.name, line.phase, line.until, line.held, len(line.failures)) for line in shown.breakers),
        *((line.kind, line.name, line.what, line.held) for line in shown.limits),
    )


def operable(user: Viewer) -> dict[str, frozenset[str]]:
    """Kind -> names of what this person may halt or switch: `operate` it, or edit its area."""
    return {
        kind: frozenset(
            name for verb in ("operate", "edit") for name in model.objects.visible_to(user, verb).values_list("name", flat=True)
        )
        for kind, model in _MODELS.items()
    }


def _halts(found: Standing, operable: Mapping[str, frozenset[str]], may_halt: bool) -> tuple[HaltLine, ...]:
    people = {one.halt.placed_by.partition(":")[2] for one in found.halts if one.halt.placed_by.startswith("user:")}
    names = {str(person.pk): person.display_name for person in User.objects.filter(pk__in=people)} if people else {}
    return tuple(_halt(one, operable, may_halt, names) for one in found.halts)


def _halt(one: HaltStands, operable: Mapping[str, frozenset[str]], may_halt: bool, names: Mapping[str, str]) -> HaltLine:
    halt = one.halt
    is_resuming = halt.status == Halt.Status.RESUMING
    return HaltLine(
        halt=halt,
        what=f"{halt.scope} {halt.name}" if halt.target else "everything",
        reason=one.reason,
        by=names.get(halt.placed_by.partition(":")[2], "AEGIS"),
        held=one.held,
        may_operate=one.is_left_over or (halt.name in operable[halt.scope] if halt.target else may_halt),
        mark=Mark("amber", "play", "Resuming") if is_resuming else Mark("red", "pause", "Halted"),
    )


def _breaker(one: BreakerStands, operable: Mapping[str, frozenset[str]]) -> BreakerLine:
    kind, _, name = one.key.partition(":")
    return BreakerLine(
        kind=kind,
        name=name,
        mark=_PHASES[one.phase],
        phase=one.phase,
        until=one.until,
        failures=tuple((failure, marks.code_words(failure.code), _address(failure.place)) for failure in one.failures),
        openings=one.openings,
        since=one.changed_at,
        held=one.held,
        may_operate=one.is_left_over or name in operable[kind],
    )


def _limit(one: LimitStands) -> LimitLine:
    kind, _, name = one.key.partition(":")
    return LimitLine(kind, name, _LIMITS.get(one.code, one.code), one.held, one.since)


def _address(place: str) -> str:
    stream, _, seq = place.rpartition("/")
    return reverse("audit:event", args=[stream, int(seq)]) if stream and seq.isdigit() else ""
