"""What one reader may see of payloads: the port through which every page, answer and export reads them.

What is sensitive is said by contracts, which live above; their owner registers one `Masker` at start-up (DESIGN section 6:
masked fields need the reading capability `<type>.reveal` and are searched only with it). Whoever shows a payload, or a text or
value made from payloads of a run, hands it through here first. Lines need no mask: they hold opaque ids and commitments only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol
from uuid import UUID

from django.db.models import Q

from aegis.core.canonical import Json
from aegis.core.visibility import Viewer
from audit.models import Payload


class Stored(NamedTuple):
    """A payload where it stands; `body` is its text as committed."""

    stream: str
    seq: int
    name: str
    body: str


class Masker(Protocol):
    """Implemented above, where contracts are known. The queries do not grow with what is asked."""

    def payloads(self, viewer: Viewer, rows: Sequence[Stored]) -> list[str]:
        """The bodies as `viewer` may see them, in the order given; one without anything hidden stays as it is."""

    def values(self, viewer: Viewer, about: Sequence[tuple[UUID | None, Json]]) -> list[Json]:
        """(run, value made from payloads of that run) -> the value as `viewer` may see it."""

    def is_hiding(self, viewer: Viewer) -> bool:
        """May anything at all be hidden from `viewer`? False lets a reader take the short way."""

    def unsearchable(self, viewer: Viewer) -> Q | None:
        """On events: those whose payloads `viewer` may not search; None if there are none."""


_masker: Masker | None = None


def register(masker: Masker) -> None:
    """Called once at start-up. A missing masker is system check `aegis.E042`."""
    global _masker
    _masker = masker


def is_registered() -> bool:
    return _masker is not None


def masker() -> Masker:
    """
    Raises:
        LookupError: nobody registered one; then no payload is shown at all.
    """
    if _masker is None:
        raise LookupError("no Masker is registered")
    return _masker


def shown(viewer: Viewer, rows: Iterable[tuple[str, int, str, str]]) -> list[Stored]:
    """(stream, seq, name, body) of payloads that were not erased, with bodies as `viewer` may see them."""
    stored = [Stored(*row) for row in rows]
    bodies = masker().payloads(viewer, stored) if stored else []
    return [row._replace(body=body) for row, body in zip(stored, bodies, strict=True)]


def bodies(viewer: Viewer, rows: Iterable[Payload]) -> list[tuple[Payload, str]]:
    """Payload rows, each with its body as `viewer` may see it, "" where it was erased."""
    found = list(rows)
    kept = [row for row in found if row.erased_at is None]
    masked = shown(viewer, [(row.stream, row.seq, row.name, row.body) for row in kept])
    told = {row.pk: one.body for row, one in zip(kept, masked, strict=True)}
    return [(row, told.get(row.pk, "")) for row in found]


def value(viewer: Viewer, run_id: UUID | None, value: Json) -> Json:
    """One value made from payloads of a run."""
    return masker().values(viewer, [(run_id, value)])[0]
