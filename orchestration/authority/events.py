"""Event types of the access matrix."""

from __future__ import annotations

from audit.catalogue import EventType

TYPES = (
    EventType(
        "matrix.compiled",
        "The access matrix became version {data.number}: {data.roles} roles, {data.capabilities} capabilities",
        "governance",
        fields=("number", "digest", "capabilities", "roles", "locks", "agents"),
        tone="blue",
    ),
    EventType(
        "grants.reviewed",
        "{actor} reviewed all grants: {data.unused} of {data.judged} were not used in {data.days} days",
        "governance",
        fields=("number", "days", "judged", "unused"),
        payloads={"reason": "personal"},
        tone="blue",
    ),
)
