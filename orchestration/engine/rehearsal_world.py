"""The world of a rehearsal: what a turn may look at, made of documents and a script. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from aegis.core.canonical import Json
from approvals.policies import Policy
from orchestration.authority.grant_limits import Reading
from orchestration.authority.verdicts import Matrix, Principal
from orchestration.engine.guards.asking import Asking, Counted, Hold, Take
from orchestration.engine.state import Undoable
from orchestration.engine.world_port import PastEffect, RecordSnapshot, Stood
from orchestration.records import handlers
from orchestration.workflows.release import Release
from orchestration.workflows.samples import Script


@dataclass(frozen=True, slots=True)
class Cast:
    """Everything a rehearsal looks at.

    Attributes:
        requester: {"id", "roles"} of whoever would start the run; {} for nobody.
        queues: name -> groups that work on it.
        is_remote: is this the name of a handler that acts outside?
        hold: what halts, breakers and limits say now; None = they are not asked.
    """

    release: Release
    matrix: Matrix
    policies: Mapping[str, Policy]
    queues: Mapping[str, tuple[str, ...]]
    is_remote: Callable[[str], bool]
    now: datetime
    requester: Mapping[str, Json] = field(default_factory=dict)
    hold: Callable[[Asking], Hold | None] | None = None


class ThoughtOf:
    """What a turn may look at, in memory (see `world_port.World`)."""

    epoch = 0
    worker = "rehearsal"

    def __init__(self, cast: Cast, script: Script) -> None:
        self._cast = cast
        self.now = cast.now
        self.records: dict[tuple[str, str], tuple[int, Mapping[str, Json]]] = {
            place: (1, body) for place, body in script.records.items()
        }
        self.effects: dict[str, PastEffect] = {}
        self.on_record: dict[str, set[str]] = {}  # stream -> types of its events, refusals left out

    def matrix(self) -> Matrix:
        return self._cast.matrix

    def requester(self, ref: str) -> Mapping[str, Json]:
        return self._cast.requester

    def author(self, place: str) -> Principal | None:
        return None

    def policy(self, name: str) -> Policy | None:
        return self._cast.policies.get(name)

    def record(self, type_: str, key: str) -> RecordSnapshot:
        version, body = self.records.get((type_, key), (0, None))
        return RecordSnapshot(type_, key, version, body)

    def has_written(self, type_: str, key: str, run_id: uuid.UUID) -> bool:
        return self.records.get((type_, key), (0, {}))[0] > 1  # nobody else writes here

    def past(self, stream: str, effect: Undoable) -> PastEffect | None:
        return self.effects.get(effect.key)

    def effect_handler(self, name: str) -> str:
        if name in handlers.HANDLERS:
            return "local"
        return "remote" if self._cast.is_remote(name) else ""

    def patch(self, handler: str, body: Mapping[str, Json] | None, parameters: Mapping[str, Json]) -> Mapping[str, Json]:
        return handlers.get(handler)(dict(body) if body is not None else None, parameters)

    def has_queue(self, name: str) -> bool:
        return name in self._cast.queues

    def has_voters(self, policy: str) -> bool:
        return True

    def hold(self, asking: Asking) -> Hold | None:
        return self._cast.hold(asking) if self._cast.hold else None

    def takes(self, asking: Asking) -> Sequence[Take]:
        return ()

    def used(self, readings: Sequence[Reading], effect: str) -> Mapping[str, int]:
        return {reading.key: 0 for reading in readings}  # a rehearsal begins with nothing used

    def count(self, item: Counted) -> None:
        """Nothing is kept."""

    def counters_of(self, effect: str) -> Sequence[str]:
        return ()

    def stood(self, workflows: Collection[str], agent_id: str, since: datetime) -> Stood:
        return Stood()

    def holder(self, resource: str, run_id: uuid.UUID) -> str:
        return ""  # nobody else is there

    def is_above(self, other: str, run_id: uuid.UUID) -> bool:
        return False

    def is_retired(self, workflow_id: uuid.UUID, version: int) -> bool:
        return False

    def recorded(self, stream: str, types: Collection[str]) -> frozenset[str]:
        return frozenset(types) & self.on_record.get(stream, set())

    def is_stirred(self, key: str) -> bool:
        return False

    def roll(self) -> float:
        return 0.0
