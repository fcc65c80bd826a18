"""What holds runs back now, as one person may see it: for pages, API and command line.

A handful of queries, whatever the number of runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import Count, Min, Q

from aegis.core import canonical
from aegis.core.visibility import Viewer
from audit.models import Payload
from orchestration.agents.models import Agent
from orchestration.authority.models import Capability
from orchestration.engine.guards import breakers, counting
from orchestration.engine.guards.models import Breaker, Halt, HeldRun
from orchestration.workflows.models import Workflow

LIMIT_CODES: Final = ("rate", "concurrency", "retries")


@dataclass(frozen=True, slots=True)
class HaltStands:
    """A halt that stands, or is being resumed.

    Attributes:
        reason: as the person gave it; "" once erased.
        held: runs it holds now.
    """

    halt: Halt
    reason: str
    held: int


@dataclass(frozen=True, slots=True)
class BreakerStands:
    """A breaker that is anything but closed without failures, or still holds runs.

    Attributes:
        failures: those that count, or that opened it, oldest first; `place` is the event in the run's stream.
    """

    key: str
    phase: str
    until: datetime | None
    failures: tuple[breakers.Failure, ...]
    openings: int
    probe: UUID | None
    changed_at: datetime
    held: int


@dataclass(frozen=True, slots=True)
class LimitStands:
    """A limit or retry budget that runs wait for, and since when the first of them does."""

    key: str
    code: str
    held: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    halts: tuple[HaltStands, ...] = ()
    breakers: tuple[BreakerStands, ...] = ()
    limits: tuple[LimitStands, ...] = ()

    @property
    def is_quiet(self) -> bool:
        return not (self.halts or self.breakers or self.limits)


@dataclass(frozen=True, slots=True)
class _Reach:
    """What the person may see."""

    workflows: frozenset[str]
    agents: Mapping[str, str]  # id -> name
    capabilities: frozenset[str]

    def sees_halt(self, halt: Halt) -> bool:
        match halt.scope:
            case Halt.Scope.AGENT:
                return halt.target in self.agents
            case Halt.Scope.WORKFLOW:
                return halt.target in self.workflows
            case _:
                return True  # it stops everybody's work, and tells nothing of anybody's

    def sees_key(self, key: str) -> bool:
        kind, _, name = key.partition(":")
        return name in (self.capabilities if kind == "capability" else self.agents.values())


def standing(user: Viewer) -> Standing:
    """Halts, breakers and limits that hold something or may, as far as `user` may see what they guard."""
    if not (user.is_authenticated and user.is_active):
        return Standing()
    reach = _reach(user)
    held = {
        guard: (count, since)
        for guard, count, since in HeldRun.objects.values_list("guard").annotate(count=Count("run"), since=Min("since"))
    }
    return Standing(_halts(reach, held), _breakers(reach, held), _limits(reach, held))


def visible_halts(user: Viewer) -> list[Halt]:
    """Halts that are not over, oldest first."""
    reach = _reach(user)
    return [halt for halt in Halt.objects.exclude(status=Halt.Status.LIFTED).order_by("placed_at") if reach.sees_halt(halt)]


def visible_breaker(user: Viewer, key: str) -> bool:
    return _reach(user).sees_key(key)


def _reach(user: Viewer) -> _Reach:
    return _Reach(
        workflows=frozenset(map(str, Workflow.objects.visible_to(user).values_list("pk", flat=True))),
        agents={str(pk): name for pk, name in Agent.objects.visible_to(user).values_list("pk", "name")},
        capabilities=frozenset(Capability.objects.visible_to(user).values_list("name", flat=True)),
    )


def _halts(reach: _Reach, held: Mapping[str, tuple[int, datetime]]) -> tuple[HaltStands, ...]:
    rows = Halt.objects.exclude(status=Halt.Status.LIFTED).order_by("placed_at")
    seen = [halt for halt in rows if reach.sees_halt(halt)]
    reasons = _reasons([halt.place for halt in seen])
    return tuple(HaltStands(halt, reasons.get(halt.place, ""), held.get(f"halt:{halt.pk}", (0, None))[0]) for halt in seen)


def _breakers(reach: _Reach, held: Mapping[str, tuple[int, datetime]]) -> tuple[BreakerStands, ...]:
    holding = [guard.partition(":")[2] for guard in held if guard.startswith("breaker:")]
    rows = Breaker.objects.filter(Q(is_stirred=True) | Q(key__in=holding)).order_by("key")
    return tuple(
        BreakerStands(
            key=row.key,
            phase=row.phase,
            until=row.until,
            failures=counting.standing(row).failures,
            openings=row.openings,
            probe=row.probe,
            changed_at=row.changed_at,
            held=held.get(f"breaker:{row.key}", (0, None))[0],
        )
        for row in rows
        if reach.sees_key(row.key)
    )


def _limits(reach: _Reach, held: Mapping[str, tuple[int, datetime]]) -> tuple[LimitStands, ...]:
    found = []
    for guard, (count, since) in sorted(held.items()):
        code, _, key = guard.partition(":")
        if code in LIMIT_CODES and reach.sees_key(key):
            found.append(LimitStands(key, code, count, since))
    return tuple(found)


def _reasons(places: list[str]) -> dict[str, str]:
    """Place -> the reason given there. One query."""
    wanted = Q(pk__in=[])
    for place in places:
        stream, _, seq = place.rpartition("/")
        wanted |= Q(stream=stream, seq=int(seq), name="reason")
    rows = Payload.objects.filter(wanted, erased_at__isnull=True).values_list("stream", "seq", "body")
    return {f"{stream}/{seq}": canonical.parse(body) for stream, seq, body in rows}
