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
    EventType(
        "role.reviewed",
        "{actor} reviewed the role {data.role}: {data.confirmed} grants confirmed, {data.dropped} proposed to be dropped",
        "governance",
        # complete: nothing of the role is left to be confirmed; request: of the proposal to drop.
        fields=("role", "digest", "confirmed", "dropped", "complete", "due?", "request?"),
        payloads={"reason": "personal", "cells": "business"},  # cells: {"confirmed": [...], "dropped": [...]}
        tone="blue",
    ),
    EventType(
        "role.review_ended",
        "What was proposed to be dropped of the role {data.role} is gone, and the rest confirmed: its review is done",
        "governance",
        fields=("role", "digest", "complete", "due", "request"),
        tone="blue",
    ),
    EventType(
        "role.review_lapsed",
        "The review of the role {data.role} was not done in time: {data.unused} grants were not used in {data.days} days",
        "governance",
        fields=("role", "digest", "days", "unused", "due", "code", "request?"),
        payloads={"cells": "business"},
        tone="amber",
    ),
)
