"""What audit itself counts: changes of who may do what. Pure."""

from __future__ import annotations

from typing import Final

from audit.metrics.measures import Measure

PERMISSIONS: Final = (
    "access.granted",
    "access.revoked",
    "access.group_joined",
    "access.group_left",
    "access.group_created",
    "access.person_created",
    "access.person_disabled",
    "access.person_enabled",
    "access.key_created",
    "access.key_revoked",
    "access.right_taken",
    "access.taken_right_ended",
)

MEASURES: Final = (
    Measure(
        "permissions",
        PERMISSIONS,
        ("event",),
        lambda seen: (seen.type,),
        closed={"event": frozenset(PERMISSIONS)},
    ),
)
