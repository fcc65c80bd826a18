"""The live world of a turn, read from the database: matrix, policies, records, the clock."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from aegis.core import canonical, clock
from aegis.core.canonical import Json
from approvals import policies
from approvals.models import ApprovalPolicy
from approvals.policies import Policy
from audit.models import Event
from orchestration.authority import live
from orchestration.authority.grant_limits import Reading
from orchestration.authority.matrix import EMPTY
from orchestration.authority.verdicts import Matrix, Principal
from orchestration.engine import effects, lease, separation
from orchestration.engine.children import rows as children
from orchestration.engine.guards import freezing, spending
from orchestration.engine.guards.asking import Asking, Counted, Hold, Take
from orchestration.engine.guards.looking import Looking
from orchestration.engine.models import ReviewQueue
from orchestration.engine.past import past_effect
from orchestration.engine.resources import rows as resources
from orchestration.engine.scene import REFUSALS
from orchestration.engine.state import Undoable
from orchestration.engine.world_port import PastEffect, RecordSnapshot, Stood
from orchestration.records import handlers, store
from orchestration.workflows.models import Workflow


class Wave:
    """What the turns of one wave share: epoch, matrix and `now`, read together; people and policies, read once per epoch.

    A driver keeps one and calls `begin` before each wave. What changes people or policies raises the epoch, so what was read
    under one epoch holds for as long as it stands; and the commit finds out if it no longer does.
    """

    def __init__(self) -> None:
        self.epoch = -1
        self.matrix: Matrix = EMPTY
        self.now: datetime = clock.now()
        self.guards = Looking(self.matrix, self.now)
        self.policies: dict[str, Policy | None] = {}
        self.requesters: dict[str, Mapping[str, Json]] = {}
        self.queues: dict[str, bool] = {}

    def begin(self) -> None:
        """Read epoch, matrix and clock anew. Two queries."""
        epoch, self.matrix = live.current()
        self.now = clock.db_now()
        self.guards = Looking(self.matrix, self.now)
        self.queues = {}
        if epoch != self.epoch:
            self.epoch, self.policies, self.requesters = epoch, {}, {}


class LiveWorld:
    """The world of one run's turn. What it reads is consistent with `epoch`, or the commit finds out."""

    def __init__(self, wave: Wave, *, without_voters: frozenset[str] = frozenset()) -> None:
        self._wave = wave
        self._without_voters = without_voters
        self.epoch = wave.epoch
        self.now = wave.now
        self.worker = lease.incarnation()

    def matrix(self) -> Matrix:
        return self._wave.matrix

    def requester(self, ref: str) -> Mapping[str, Json]:
        known = self._wave.requesters
        if ref not in known:
            known[ref] = live.requester_fact(ref or None)
        return known[ref]

    def author(self, place: str) -> Principal | None:
        found = separation.authors_of([place])
        return live.person_principal(found[0]) if found else None

    def policy(self, name: str) -> Policy | None:
        known = self._wave.policies
        if name not in known:
            row = ApprovalPolicy.objects.filter(name=name).first()
            known[name] = policies.load(canonical.parse(row.document)) if row else None
        return known[name]

    def record(self, type_: str, key: str) -> RecordSnapshot:
        found = store.read(type_, key)
        version, body = found if found else (0, None)
        return RecordSnapshot(type=type_, key=key, version=version, body=body)

    def has_written(self, type_: str, key: str, run_id: UUID) -> bool:
        return store.has_written(type_, key, run_id)

    def past(self, stream: str, effect: Undoable) -> PastEffect | None:
        return past_effect(stream, effect)

    def effect_handler(self, name: str) -> str:
        if name in handlers.HANDLERS:
            return "local"
        return "remote" if effects.registered(name) else ""

    def patch(self, handler: str, body: Mapping[str, Json] | None, parameters: Mapping[str, Json]) -> Mapping[str, Json]:
        return handlers.get(handler)(dict(body) if body is not None else None, parameters)

    def has_queue(self, name: str) -> bool:
        known = self._wave.queues
        if name not in known:
            known[name] = ReviewQueue.objects.filter(name=name).exists()
        return known[name]

    def has_voters(self, policy: str) -> bool:
        return policy not in self._without_voters

    def hold(self, asking: Asking) -> Hold | None:
        return self._wave.guards.hold(asking)

    def takes(self, asking: Asking) -> Sequence[Take]:
        return self._wave.guards.takes(asking)

    def used(self, readings: Sequence[Reading], effect: str) -> Mapping[str, int]:
        return self._wave.guards.spending.used(readings, effect)

    def count(self, item: Counted) -> None:
        self._wave.guards.spending.count(item)

    def counters_of(self, effect: str) -> Sequence[str]:
        return spending.counters_of(effect)

    def stood(self, workflows: Collection[str], agent_id: str, since: datetime) -> Stood:
        return freezing.stood(workflows, agent_id, since, self.now)

    def holder(self, resource: str, run_id: UUID) -> str:
        return resources.holder(resource, run_id)

    def is_above(self, other: str, run_id: UUID) -> bool:
        return children.is_above(UUID(other), run_id)

    def is_retired(self, workflow_id: UUID, version: int) -> bool:
        return version in Workflow.objects.values_list("retired_versions", flat=True).get(pk=workflow_id)

    def recorded(self, stream: str, types: Collection[str]) -> frozenset[str]:
        found = Event.objects.filter(stream=stream, type__in=types).exclude(outcome__in=REFUSALS)
        return frozenset(found.values_list("type", flat=True).distinct())

    def is_stirred(self, key: str) -> bool:
        return self._wave.guards.is_stirred(key)

    def roll(self) -> float:
        return random.random()
