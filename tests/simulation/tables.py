"""The rows of the database in memory, and what goes into a commit and comes out of it."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from audit import chain
from audit.drafts import Head
from orchestration.engine import state as states
from orchestration.engine.intended import ItemOpening, Opening
from orchestration.engine.state import State
from orchestration.workflows.release import Release


@dataclass(slots=True)
class Row:
    """A run row."""

    id: uuid.UUID
    release: Release
    priority: int
    submitted_us: int
    key: str
    subject: str
    business_key: str
    parent: uuid.UUID | None = None
    state: str = ""
    status: str = ""
    step: str = ""
    seq: int = 0
    head: str = chain.ZERO
    fence: int = 0
    lease_by: str = ""
    lease_us: int | None = None
    claims: int = 0
    wake: int = 1
    seen: int = 0
    due_us: int | None = None
    ended: bool = False
    stream: str = field(init=False)

    def __post_init__(self) -> None:
        self.stream = f"run:{self.id}"


@dataclass(slots=True)
class Request:
    """An approval request. `shown` is what a vote signs; `votes` are people's refs."""

    id: uuid.UUID
    run_id: uuid.UUID
    opening: Opening
    deadline_us: int
    bound: frozenset[str]
    effect: str  # digest of the effect (or of the step's question) as it stands with the votes
    status: str = "open"
    votes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Item:
    """A review item."""

    id: uuid.UUID
    run_id: uuid.UUID
    opening: ItemOpening
    status: str = "open"


@dataclass(slots=True)
class Letter:
    """A message, sent to whichever run waits for it."""

    id: str
    name: str
    key: str
    value: Any
    workflow: uuid.UUID | None = None  # whose runs may get it; None = any
    status: str = "kept"


@dataclass(frozen=True, slots=True)
class Wait:
    """A run that waits for a message."""

    id: uuid.UUID
    name: str
    key: str
    workflow: uuid.UUID
    since_us: int

    def fits(self, letter: Letter) -> bool:
        return (letter.name, letter.key) == (self.name, self.key) and letter.workflow in (None, self.workflow)


@dataclass(frozen=True, slots=True)
class Place:
    """A run's place in the queue for a resource."""

    key: str
    wait: uuid.UUID
    priority: int
    submitted_us: int


@dataclass(frozen=True, slots=True)
class Committed:
    head: Head
    wake: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was written. `why`: lease, epoch, record, voters, news, resource."""

    why: str
    policy: str = ""


class Settled(Exception):
    """A person came too late, or decided on something else than what stands."""


@lru_cache(maxsize=2_000)
def state_of(text: str) -> State:
    """The state on a row, read once: sweeps look at those of all that wait, each second."""
    return states.load(text)


def urgency(row: Row) -> tuple[int, int, str]:
    return (row.priority, row.submitted_us, row.id.hex)


def salts(row: Row, seq: int) -> Iterator[str]:
    """Fixed: a journal of the same seed has the same bytes."""
    number = 0
    while True:
        number += 1
        yield hashlib.blake2b(f"{row.stream}/{seq}/{number}".encode(), digest_size=16).hexdigest()
