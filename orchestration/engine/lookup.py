"""What audit asks of the engine to show and find runs by their business key."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from orchestration.engine.models import Run

MAX_FOUND = 200


def business_keys(run_ids: Iterable[UUID]) -> dict[UUID, str]:
    """Run id -> business key, without the erased ones. The caller asks only for runs its reader may see."""
    return dict(Run.objects.filter(pk__in=list(run_ids)).exclude(business_key="").values_list("pk", "business_key"))


def runs_called(text: str) -> list[UUID]:
    """The newest runs whose business key begins with `text` (from its start, so that the index serves)."""
    found = Run.objects.filter(business_key__startswith=text).order_by("-submitted_at")
    return list(found.values_list("pk", flat=True)[:MAX_FOUND])
