"""What a turn may look at: the world as a port, so that the engine's core stays pure.

`LiveWorld` reads the database; rehearsals and the simulator bring their own.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from aegis.core.canonical import Json
from approvals.policies import Policy
from orchestration.authority.grant_limits import Reading
from orchestration.authority.verdicts import Matrix, Principal
from orchestration.engine.guards.asking import Asking, Counted, Hold, Take
from orchestration.engine.state import Undoable


@dataclass(frozen=True, slots=True)
class RecordSnapshot:
    """A record as read for this turn. A missing record is version 0 with no body."""

    type: str
    key: str
    version: int
    body: Mapping[str, Json] | None


@dataclass(frozen=True, slots=True)
class PastEffect:
    """An effect of this run as the journal has it: what was proposed, and what came of it.

    Attributes:
        proposal: as it was carried out, {"capability", "resource", "parameters", ...}.
        before, after: bodies of the record, for a local one; None where there was no record.
        output: what the step left behind.
    """

    proposal: Mapping[str, Json]
    before: Mapping[str, Json] | None
    after: Mapping[str, Json] | None
    output: Json


@dataclass(frozen=True, slots=True)
class Stood:
    """How long halts have stood, and whether one stands now."""

    seconds: float = 0.0
    is_standing: bool = False


class World(Protocol):
    """Everything live that a turn may look at, read for one authority epoch and one `now`."""

    now: datetime
    epoch: int
    worker: str  # this worker process, as an opaque id: goes on record with every intent

    def matrix(self) -> Matrix: ...

    def requester(self, ref: str) -> Mapping[str, Json]:
        """{"id", "roles"} of the person a run acts for, as they are now; {} when AEGIS itself submitted."""

    def author(self, place: str) -> Principal | None:
        """The person who wrote an output in a review item, as they are now; None for what an agent or a rule made."""

    def policy(self, name: str) -> Policy | None: ...

    def record(self, type_: str, key: str) -> RecordSnapshot: ...

    def has_written(self, type_: str, key: str, run_id: uuid.UUID) -> bool:
        """Did an effect of this run change that record?"""

    def past(self, stream: str, effect: Undoable) -> PastEffect | None:
        """An effect the run has done, from its payloads; None if they were erased."""

    def effect_handler(self, name: str) -> str:
        """ "local", "remote" or "" for an unknown handler."""

    def patch(self, handler: str, body: Mapping[str, Json] | None, parameters: Mapping[str, Json]) -> Mapping[str, Json]:
        """The new body a local handler makes. Raises `Invalid` when it cannot."""

    def has_queue(self, name: str) -> bool: ...

    def has_voters(self, policy: str) -> bool:
        """False after a gate was refused because nobody could decide it."""

    def hold(self, asking: Asking) -> Hold | None:
        """What forbids this intent now: a halt, a breaker, a limit. None = nothing."""

    def takes(self, asking: Asking) -> Sequence[Take]:
        """What the intent takes from guards, checked again in the commit. Asked after `hold` gave None."""

    def used(self, readings: Sequence[Reading], effect: str) -> Mapping[str, int]:
        """What was used of limits of grants, by counter, without what `effect` itself counts for. Zero for nothing yet."""

    def count(self, item: Counted) -> None:
        """The transition takes this: whoever looks next sees it."""

    def counters_of(self, effect: str) -> Sequence[str]:
        """The counters that an effect counts against already."""

    def stood(self, workflows: Collection[str], agent_id: str, since: datetime) -> Stood:
        """How long halts over these workflows (ids), this agent or everything have stood since then."""

    def holder(self, resource: str, run_id: uuid.UUID) -> str:
        """Whoever comes before this run at a resource: the id of the run that holds it, or of the first that waits; "" if
        nobody does."""

    def is_above(self, other: str, run_id: uuid.UUID) -> bool:
        """Did the other run lead to this one? Then it waits for it, however long that takes."""

    def is_retired(self, workflow_id: uuid.UUID, version: int) -> bool:
        """Was this version of a workflow retired, so that no new run starts on it?"""

    def recorded(self, stream: str, types: Collection[str]) -> frozenset[str]:
        """Which of these event types are on record in the stream, refusals ("rejected", "expired" ...) left out."""

    def is_stirred(self, key: str) -> bool:
        """May the breaker of `key` be anything but closed without failures? Only then is a success worth a word."""

    def roll(self) -> float:
        """A random number in [0, 1) for jitter; what it leads to is recorded."""
