"""What holds runs back now, as one person may see it: for pages, API and command line.

A handful of queries, whatever the number of runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final
from uuid import UUID

from django.db.models import Count, Min, Q

from aegis.core import canonical
from aegis.core.visibility import Viewer
from aegis.identity.models import Area
from approvals.models import Governed
from approvals.querysets import GovernedQuerySet
from audit.models import Payload
from orchestration.agents.models import Agent
from orchestration.authority.models import Capability
from orchestration.engine.guards import breakers, counting
from orchestration.engine.guards.models import Breaker, Halt, HeldRun
from orchestration.workflows.models import Workflow

_KINDS: Final[Mapping[str, type[Governed]]] = {"agent": Agent, "workflow": Workflow, "capability": Capability}
LIMIT_CODES: Final = ("rate", "concurrency", "retries")

#: Whose operators may halt everything: every run belongs to a workflow.
EVERYTHING_AREA: Final = "workflows"


@dataclass(frozen=True, slots=True)
class HaltStands:
    """A halt that stands, or is being resumed.

    Attributes:
        reason: as the person gave it; "" once erased.
        held: runs it holds now.
        is_left_over: what it stops is gone; who may halt everything sees it, and may end it.
    """

    halt: Halt
    reason: str
    held: int
    is_left_over: bool


@dataclass(frozen=True, slots=True)
class BreakerStands:
    """A breaker that is anything but closed without failures, or still holds runs.

    Attributes:
        failures: those that count, or that opened it, oldest first; `place` is the event in the run's stream.
        is_left_over: as of a halt.
    """

    key: str
    phase: str
    until: datetime | None
    failures: tuple[breakers.Failure, ...]
    openings: int
    probe: UUID | None
    changed_at: datetime
    held: int
    is_left_over: bool


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


class _Reach:
    """What a person may see of the guards: those of what they see; and, if they may halt everything, those left over of what is
    gone, which nobody else could end."""

    def __init__(self, user: Viewer) -> None:
        self._user = user
        self._seen = _named({kind: model.objects.visible_to(user) for kind, model in _KINDS.items()})

    def sees(self, what: str) -> bool:
        """
        Args:
            what: "<kind>:<name>" as in keys, or "<kind>#<id>".
        """
        return what in self._seen or self.is_left_over(what)

    def sees_halt(self, halt: Halt) -> bool:
        """That of everything stops everybody's work, and tells nothing of anybody's."""
        return not halt.target or self.sees(_target(halt))

    def is_left_over(self, what: str) -> bool:
        return what not in self._seen and what not in self._exists and may_halt_everything(self._user)

    @cached_property
    def _exists(self) -> frozenset[str]:
        return _named({kind: model.objects.all() for kind, model in _KINDS.items()})


def standing(user: Viewer) -> Standing:
    """Halts, breakers and limits that hold something or may, as far as `user` may see what they guard."""
    if not (user.is_authenticated and user.is_active):
        return Standing()
    reach = _Reach(user)
    held = {
        guard: (count, since)
        for guard, count, since in HeldRun.objects.values_list("guard").annotate(count=Count("run"), since=Min("since"))
    }
    return Standing(_halts(reach, held), _breakers(reach, held), _limits(reach, held))


def visible_halts(user: Viewer) -> list[Halt]:
    """Halts that are not over, oldest first."""
    reach = _Reach(user)
    return [halt for halt in Halt.objects.exclude(status=Halt.Status.LIFTED).order_by("placed_at") if reach.sees_halt(halt)]


def past_halts(user: Viewer, limit: int) -> list[Halt]:
    """Halts that are over, newest first: of the last ten times as many, those that the person may see."""
    reach = _Reach(user)
    rows = Halt.objects.filter(status=Halt.Status.LIFTED).order_by("-lifted_at")[: 10 * limit]
    return [halt for halt in rows if reach.sees_halt(halt)][:limit]


def may_halt_everything(user: Viewer) -> bool:
    """`operate` on the area "workflows", or `edit`."""
    return any(Area.objects.visible_to(user, verb).filter(name=EVERYTHING_AREA).exists() for verb in ("operate", "edit"))


def _named(rows: Mapping[str, GovernedQuerySet]) -> frozenset[str]:
    found = ((kind, pk, name) for kind, some in rows.items() for pk, name in some.values_list("pk", "name"))
    return frozenset(known for kind, pk, name in found for known in (f"{kind}#{pk}", f"{kind}:{name}"))


def _target(halt: Halt) -> str:
    return f"{halt.scope}#{halt.target}"


def _halts(reach: _Reach, held: Mapping[str, tuple[int, datetime]]) -> tuple[HaltStands, ...]:
    rows = Halt.objects.exclude(status=Halt.Status.LIFTED).order_by("placed_at")
    seen = [halt for halt in rows if reach.sees_halt(halt)]
    told = reasons([halt.place for halt in seen])
    return tuple(
        HaltStands(
            halt=halt,
            reason=told.get(halt.place, ""),
            held=held.get(f"halt:{halt.pk}", (0, None))[0],
            is_left_over=bool(halt.target) and reach.is_left_over(_target(halt)),
        )
        for halt in seen
    )


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
            is_left_over=reach.is_left_over(row.key),
        )
        for row in rows
        if reach.sees(row.key)
    )


def _limits(reach: _Reach, held: Mapping[str, tuple[int, datetime]]) -> tuple[LimitStands, ...]:
    found = []
    for guard, (count, since) in sorted(held.items()):
        code, _, key = guard.partition(":")
        if code in LIMIT_CODES and reach.sees(key):
            found.append(LimitStands(key, code, count, since))
    return tuple(found)


def reasons(places: list[str]) -> dict[str, str]:
    """Place -> the reason given there. One query."""
    wanted = Q(pk__in=[])
    for place in places:
        stream, _, seq = place.rpartition("/")
        wanted |= Q(stream=stream, seq=int(seq), name="reason")
    rows = Payload.objects.filter(wanted, erased_at__isnull=True).values_list("stream", "seq", "body")
    return {f"{stream}/{seq}": canonical.parse(body) for stream, seq, body in rows}
