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
)
