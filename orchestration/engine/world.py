"""The live world of a turn, read from the database: matrix, policies, records, the clock."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime

from aegis.core import canonical, clock
from aegis.core.canonical import Json
from approvals import policies
from approvals.models import ApprovalPolicy
from approvals.policies import Policy
from orchestration.authority import live
from orchestration.authority.verdicts import Matrix, Principal
from orchestration.engine import effects, questions
from orchestration.engine.models import ReviewQueue
from orchestration.engine.scene import RecordSnapshot
from orchestration.records import handlers, store


class LiveWorld:
    """One per turn. What it reads is consistent with `epoch`, or the commit finds out."""

    def __init__(self, *, without_voters: frozenset[str] = frozenset()) -> None:
        self.epoch, self._matrix = live.current()
        self.now: datetime = clock.db_now()
        self._without_voters = without_voters
        self._policies: dict[str, Policy | None] = {}

    def matrix(self) -> Matrix:
        return self._matrix

    def requester(self, ref: str) -> Mapping[str, Json]:
        return live.requester_fact(ref or None)

    def author(self, place: str) -> Principal | None:
        found = questions.authors_of([place])
        return live.person_principal(found[0]) if found else None

    def policy(self, name: str) -> Policy | None:
        if name not in self._policies:
            row = ApprovalPolicy.objects.filter(name=name).first()
            self._policies[name] = policies.load(canonical.parse(row.document)) if row else None
        return self._policies[name]

    def record(self, type_: str, key: str) -> RecordSnapshot:
        found = store.read(type_, key)
        version, body = found if found else (0, None)
        return RecordSnapshot(type=type_, key=key, version=version, body=body)

    def effect_handler(self, name: str) -> str:
        if name in handlers.HANDLERS:
            return "local"
        return "remote" if effects.registered(name) else ""

    def patch(self, handler: str, body: Mapping[str, Json] | None, parameters: Mapping[str, Json]) -> Mapping[str, Json]:
        return handlers.get(handler)(dict(body) if body is not None else None, parameters)

    def has_queue(self, name: str) -> bool:
        return ReviewQueue.objects.filter(name=name).exists()

    def has_voters(self, policy: str) -> bool:
        return policy not in self._without_voters

    def roll(self) -> float:
        return random.random()
