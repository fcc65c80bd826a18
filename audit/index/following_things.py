"""Keeping `Touched`: a follower of its own, so that a history of years fills it without the search being built anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from audit.index.models import Touched
from audit.index.things import things_of
from audit.models import Event

NAME: Final = "things"  # of the follower


def handle(events: Sequence[Event]) -> None:
    """Take events in leaf order, each with its `leaf_index`, inside the transaction that moves the cursor."""
    Touched.objects.bulk_create(
        Touched(thing=thing, position=event.leaf_index)  # type: ignore[attr-defined]
        for event in events
        for thing in things_of(event)
    )


def clear() -> None:
    """Empty it, inside the transaction that puts the cursor back."""
    Touched.objects.all().delete()
