"""What lint asks of the configuration as it would be: locks, policies, who refers to whom."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

from aegis.core.canonical import Json
from aegis.core.kinds import Key, Overlay, get_kind
from approvals.governed import DocumentKind


def documents(overlay: Overlay, kind: str) -> Iterator[tuple[str, Json]]:
    """Name and document of everything of a kind that would stand."""
    for name in overlay.names(kind):
        document = overlay.get(kind, name)
        if document is not None:
            yield name, document


def is_seen(overlay: Overlay, kind: str) -> Callable[[str], bool]:
    """May the reader of the overlay be told of the document of this name? Also of what the set itself writes. One query at
    most, whatever the number of names."""
    reader = overlay.reader
    if reader is None:
        return lambda name: True
    model = cast(DocumentKind, get_kind(kind)).model
    seen: list[frozenset[str]] = []

    def answer(name: str) -> bool:
        if overlay.changes.get(Key(kind, name)) is not None:
            return True
        if not seen:
            seen.append(frozenset(cast(Any, model)._default_manager.visible_to(reader).values_list("name", flat=True)))
        return name in seen[0]

    return answer


def locks_on(overlay: Overlay, capability: str) -> list[str]:
    """Names of the floor locks that hold a capability. Ended ones are left out."""
    locks = dict(documents(overlay, "FloorLock"))
    ended = ended_locks(locks)
    return sorted(name for name, lock in locks.items() if name not in ended and lock["spec"].get("capability") == capability)


def ended_locks(locks: dict[str, Json]) -> set[str]:
    """Locks that a later lock ends."""
    return {lock["spec"]["ends"] for lock in locks.values() if "ends" in lock["spec"]}


def policy_exists(overlay: Overlay, name: str) -> bool:
    return overlay.get("ApprovalPolicy", name) is not None
