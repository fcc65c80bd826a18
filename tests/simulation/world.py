"""What a turn may look at in a simulation: the store as it is at this instant. The one place to adapt when `World` grows."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from approvals.policies import Policy
from orchestration.authority.matrix import Matrix
from orchestration.authority.verdicts import Principal
from orchestration.engine.guards.asking import Asking, Hold
from orchestration.engine.state import Undoable
from orchestration.engine.world_port import PastEffect, RecordSnapshot, Stood
from orchestration.records import handlers
from tests.engine.world import START, MemoryWorld
from tests.simulation import house, setting

if TYPE_CHECKING:
    from tests.simulation.store import Store

Json = Any


class SimulatedWorld(MemoryWorld):
    """One per turn. What `World` asks and this does not answer, `MemoryWorld` does."""

    def __init__(
        self, store: Store, without_voters: frozenset[str], rolls: Random, worker: str, is_limited: Callable[[], bool]
    ) -> None:
        super().__init__(now=store.now(), epoch=store.epoch, without_voters=set(without_voters), random=rolls, worker=worker)
        self.store = store
        self.is_limited = is_limited
        self._matrix = setting.matrix(store.matrix)

    def matrix(self) -> Matrix:
        return self._matrix

    def requester(self, ref: str) -> Mapping[str, Json]:
        return {"id": ref, "roles": [house.DESK]}

    def author(self, place: str) -> Principal | None:
        ref = self.store.authors.get(place)
        return Principal("user", ref, (house.LEAD_GROUP,)) if ref else None

    def policy(self, name: str) -> Policy | None:
        return setting.rules().get(name)

    def record(self, type_: str, key: str) -> RecordSnapshot:
        version, body = self.store.records.get((type_, key), (0, None))
        return RecordSnapshot(type_, key, version, body)

    def effect_handler(self, name: str) -> str:
        if name in handlers.HANDLERS:
            return "local"
        return "remote" if name in house.REMOTE else ""

    def past(self, stream: str, effect: Undoable) -> PastEffect | None:
        return self.store.past(effect.key)

    def hold(self, asking: Asking) -> Hold | None:
        if halt := self.store.halt_of(asking.agent, asking.workflows):
            return Hold("halt", halt)
        if self.is_limited():
            return Hold("rate", asking.key, self.now + timedelta(seconds=1 + 4 * self.roll()))
        return None

    def stood(self, workflow_id: uuid.UUID, agent_id: str, since: datetime) -> Stood:
        names = {"everything", str(workflow_id), setting.AGENT_NAMES.get(agent_id, "")}
        since_us = (since - START) // timedelta(microseconds=1)
        total, is_standing = self.store.stood(names, since_us)
        return Stood(total / 1_000_000, is_standing)

    def holder(self, resource: str, run_id: uuid.UUID) -> str:
        return self.store.holder(resource, run_id)

    def recorded(self, stream: str, types: Collection[str]) -> frozenset[str]:
        return frozenset(self.store.recorded[stream] & set(types))

    def has_queue(self, name: str) -> bool:
        return name in house.QUEUES
