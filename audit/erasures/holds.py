"""Legal holds as emptying asks for them. Placed and lifted by verbs above, which know who may see the run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from uuid import UUID

from django.db.models import Q

from audit.models import Hold


def standing(runs: Mapping[UUID, str]) -> list[Hold]:
    """Holds that stand over some of these runs (id -> business key), or over everything. One query."""
    keys = {key for key in runs.values() if key}
    over = Q(scope=Hold.Scope.EVERYTHING) | Q(run_id__in=list(runs)) | Q(scope=Hold.Scope.SUBJECT, key__in=keys)
    return list(Hold.objects.filter(over, lifted_at__isnull=True).order_by("placed_at"))


def held(runs: Mapping[UUID, str]) -> frozenset[UUID]:
    """Those of the runs that nothing may be emptied of."""
    found = standing(runs)
    if any(hold.scope == Hold.Scope.EVERYTHING for hold in found):
        return frozenset(runs)
    keys = {hold.key for hold in found if hold.scope == Hold.Scope.SUBJECT}
    ids: Collection[UUID | None] = {hold.run_id for hold in found}
    return frozenset(run for run, key in runs.items() if run in ids or key in keys)


def over_everything() -> bool:
    return Hold.objects.filter(scope=Hold.Scope.EVERYTHING, lifted_at__isnull=True).exists()


def is_any() -> bool:
    """Does a hold stand over a subject or over everything? What is of no run may be about either."""
    return Hold.objects.exclude(scope=Hold.Scope.RUN).filter(lifted_at__isnull=True).exists()
