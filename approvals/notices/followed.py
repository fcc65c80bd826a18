"""A port: what people asked to be told of, again and again, by a room above (a saved view of the audit). Mail alone carries it.

A notice holds an opaque id of that room (`Notice.telling`). What it says, and whether its reader may know, is asked of the room
when the mail is written: until then only positions are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from aegis.identity.models import User


@dataclass(frozen=True, slots=True)
class Told:
    """What one mail says of one thing that is followed, as its reader may see it.

    Attributes:
        title: how it is called; somebody typed that, so no subject of a mail has it.
        label: how much is new ("12 new events").
        lines: the newest of it, one sentence each, without line breaks.
        path, stop: the page that shows it, and the one where its reader ends being told.
    """

    title: str
    label: str
    about: str
    lines: Sequence[str]
    path: str
    stop: str


class Source(Protocol):
    def write_due(self) -> int:
        """Post a notice for whatever is due and new, each in a transaction of its own. Bounded. Returns how many."""

    def is_seen(self, telling: UUID, person: User) -> bool:
        """Whether it is this person's, who still wants it and may still see it."""

    def told(self, telling: UUID, person: User) -> Told | None:
        """What to say of it now; None if nothing of it may be said any more.

        Raises:
            Exception: it cannot be read just now; the mail is tried again later.
        """


_source: Source | None = None


def register(source: Source) -> None:
    """Called once at start-up. A missing one is system check `aegis.E019`."""
    global _source
    _source = source


def is_registered() -> bool:
    return _source is not None


def write_due() -> int:
    return _source.write_due() if _source is not None else 0


def is_seen(telling: UUID, person: User) -> bool:
    return _source is not None and _source.is_seen(telling, person)


def told(telling: UUID, person: User) -> Told | None:
    return _source.told(telling, person) if _source is not None else None
