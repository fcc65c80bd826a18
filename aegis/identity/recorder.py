"""The Recorder port: identity stands below the journal, so the journal registers itself here at start-up.

Every change of rights goes through `record` inside the transaction that makes it; without a registered recorder the verb
fails, so no right can change unrecorded. A missing registration is also system check `aegis.E013`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from aegis.core.actors import Actor
from aegis.core.canonical import Json
from aegis.core.errors import AegisError


@dataclass(frozen=True, slots=True)
class Principal:
    """Whose rights an entry is about; decides the stream it goes to.

    Attributes:
        ref: UUID text of a person; for a group its row id, since its name may be longer than a scope id.
    """

    kind: str  # "user" or "group"
    ref: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One change of rights, or one sign-in.

    Attributes:
        type: a registered event type of the access family.
        data: opaque ids, names of configuration, counts. Nothing a person typed.
        texts: what a person typed (reason, names, addresses): kept as erasable payloads.
    """

    type: str
    principal: Principal
    actor: Actor
    at: datetime
    data: Mapping[str, Json] = field(default_factory=dict)
    texts: Mapping[str, Json] = field(default_factory=dict)


class Recorder(Protocol):
    def record(self, entry: Entry) -> None:
        """Append to the principal's stream, in the caller's transaction."""

    def unknown_name(self, entry: Entry) -> None:
        """Record a failed sign-in with a name that nobody has, in a transaction of its own: one within ten minutes, whatever
        the names are; the others become a count."""

    def denied(self, actor: Actor, what: str, error: AegisError, at: datetime) -> None:
        """Record an attempt that was refused, after its transaction was rolled back."""


_recorder: Recorder | None = None


def register(recorder: Recorder) -> None:
    """Called once at start-up by the app that keeps the journal."""
    global _recorder
    _recorder = recorder


def is_registered() -> bool:
    return _recorder is not None


def recorder() -> Recorder:
    """The registered recorder.

    Raises:
        RuntimeError: nobody registered: rights may not change unrecorded.
    """
    if _recorder is None:
        raise RuntimeError("no recorder is registered; rights cannot change without a journal")
    return _recorder
