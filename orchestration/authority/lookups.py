"""What lint asks of the configuration as it would be: locks, policies, who refers to whom."""

from __future__ import annotations

from collections.abc import Iterator

from aegis.core.canonical import Json
from aegis.core.kinds import Overlay


def documents(overlay: Overlay, kind: str) -> Iterator[tuple[str, Json]]:
    """Name and document of everything of a kind that would stand."""
    for name in overlay.names(kind):
        document = overlay.get(kind, name)
        if document is not None:
            yield name, document


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
