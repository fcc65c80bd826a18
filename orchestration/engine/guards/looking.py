"""What stands in the way, as one wave of turns sees it. Read at the first intent of the wave, shared by all its runs.

With no halt placed and no breaker stirred that is one small query per wave; limits cost those who declare them. Halts are
exact: the commit checks the epoch. Breakers and limits may have moved since: a probe, a rate and a slot are taken in the commit
(`counting`); that a breaker opened a moment ago is seen by the next wave.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import Q

from orchestration.authority.limits import NO_LIMITS, Limits
from orchestration.authority.matrix import Matrix
from orchestration.engine.guards import breakers, counting, rates
from orchestration.engine.guards.asking import Asking, Code, Hold, Probe, Take, Use
from orchestration.engine.guards.counting import Lately
from orchestration.engine.guards.models import Breaker, Halt, HeldRun
from orchestration.engine.guards.spending import Spending

#: Added to a probe's time-out before somebody else may probe: for the commit of its answer, and a lease that runs out.
PROBE_MARGIN_SECONDS = 30.0

_ANYTHING = (
    "SELECT EXISTS(SELECT 1 FROM orchestration_halt WHERE NOT (status = 'lifted')),"
    " EXISTS(SELECT 1 FROM orchestration_breaker WHERE is_stirred)"
)


class Looking:
    """The guards of one wave. What it gives to one run of the wave it does not give to the next."""

    def __init__(self, matrix: Matrix, now: datetime) -> None:
        self._matrix, self._now = matrix, now
        self._halts: list[tuple[str, str, str]] | None = None  # (id, scope, target)
        self._breakers: dict[str, breakers.Breaker] = {}
        self._lately: dict[str, Lately] = {}
        self._queues: dict[tuple[str, bool], bool] = {}
        self._probes: dict[str, UUID] = {}
        self.spending = Spending(now)

    def hold(self, asking: Asking) -> Hold | None:
        """See `World.hold`."""
        self._look()
        return self._halted(asking) or self._broken(asking) or self._limited(asking)

    def takes(self, asking: Asking) -> Sequence[Take]:
        """See `World.takes`."""
        taken: list[Take] = []
        breaker = self._breakers.get(asking.key)
        if breaker is not None and breakers.ask(breaker, str(asking.run_id), self._now) == "probe":
            self._probes[asking.key] = asking.run_id
            target = "" if asking.capability else asking.agent_id
            taken.append(Probe(asking.key, target, asking.call_seconds + PROBE_MARGIN_SECONDS))
        if limits := self._limits(asking):
            use = Use(asking.key, asking.step, limits, asking.is_retry, asking.is_local)
            self._lately[asking.key] = self._lately_of(asking.key, limits).after(use, self._now)
            taken.append(use)
        return taken

    def is_stirred(self, key: str) -> bool:
        """See `World.is_stirred`."""
        self._look()
        return key in self._breakers

    def _look(self) -> None:
        if self._halts is not None:
            return
        # Raw, because every wave asks: the ORM takes five times as long to build it as the database to answer.
        with connection.cursor() as cursor:
            cursor.execute(_ANYTHING)
            is_halted, is_stirred = cursor.fetchone()
        self._halts = []
        if is_halted:
            rows = Halt.objects.filter(status=Halt.Status.STANDING).order_by("placed_at")
            self._halts = [(str(pk), scope, target) for pk, scope, target in rows.values_list("pk", "scope", "target")]
        if is_stirred:
            self._breakers = {row.key: counting.standing(row) for row in Breaker.objects.filter(is_stirred=True)}

    def _halted(self, asking: Asking) -> Hold | None:
        for halt, scope, target in self._halts or ():
            match scope:
                case Halt.Scope.EVERYTHING:
                    return Hold("halt", halt)
                case Halt.Scope.WORKFLOW if target in asking.workflows:
                    return Hold("halt", halt)
                case Halt.Scope.AGENT if target == asking.agent_id:
                    return Hold("halt", halt)
        return None

    def _broken(self, asking: Asking) -> Hold | None:
        breaker = self._breakers.get(asking.key)
        if breaker is None:
            return None
        match breakers.ask(breaker, str(asking.run_id), self._now):
            case "go":
                return None
            case "probe" if self._probes.get(asking.key, asking.run_id) == asking.run_id:
                return None
            case _:
                return self._wait("breaker", asking, breaker.until)

    def _limited(self, asking: Asking) -> Hold | None:
        limits = self._limits(asking)
        if not limits:
            return None
        lately = self._lately_of(asking.key, limits)
        if limits.concurrency and not asking.is_local and self._must_wait("concurrency", asking, lately.slots_left(limits)):
            return self._wait("concurrency", asking, None)
        if limits.rate and self._must_wait("rate", asking, lately.starts_left(limits.rate, self._now)):
            until = rates.free_at(lately.starts, rates.milliseconds(self._now), limits.rate.per, limits.rate.count)
            return self._wait("rate", asking, until)
        if limits.retries and asking.is_retry and self._must_wait("retries", asking, lately.retries_left(limits, self._now)):
            budget = limits.retries
            until = rates.free_at(
                lately.retries, rates.milliseconds(self._now), budget.within, lately.allowed(limits, self._now)
            )
            return self._wait("retries", asking, until)
        return None

    def _must_wait(self, code: Code, asking: Asking, left: int) -> bool:
        """Nothing is left; or others wait for it already, and this run has not waited."""
        guard = Hold(code, asking.key).guard
        return left <= 0 or (asking.waited_for != guard and self._has_queue(guard))

    def _wait(self, code: Code, asking: Asking, until: datetime | None) -> Hold:
        """Hold it. The first in line looks again by itself, at `until`; those behind it are woken one after the other, so that
        they do not all come at the same moment."""
        hold = Hold(code, asking.key)
        if until is None or until <= self._now or self._has_queue(hold.guard, with_time=True):
            return hold
        self._queues[(hold.guard, True)] = True
        return Hold(code, asking.key, until)

    def _has_queue(self, guard: str, *, with_time: bool = False) -> bool:
        """Is anybody held by this guard (with a time of its own)? One query per guard and wave, and only if something holds."""
        known = self._queues.get((guard, with_time))
        if known is None:
            about = Q(guard=guard, until__gt=self._now) if with_time else Q(guard=guard)
            known = self._queues[(guard, with_time)] = HeldRun.objects.filter(about).exists()
        return known

    def _limits(self, asking: Asking) -> Limits:
        if asking.capability:
            capability = self._matrix.capabilities.get(asking.capability)
            return capability.limits if capability else NO_LIMITS
        agent = self._matrix.agents.get(asking.agent_id)
        return agent.limits if agent else NO_LIMITS

    def _lately_of(self, key: str, limits: Limits) -> Lately:
        if key not in self._lately:
            self._lately[key] = counting.lately(key, limits, self._now)
        return self._lately[key]
