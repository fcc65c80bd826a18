"""Reading the metrics: sums over a time, for one reader. One query, whatever the journal holds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from operator import and_
from typing import Any

from django.db.models import F, Q, Sum

from audit.metrics import measures, slots
from audit.metrics.models import Bucket, Series, SeriesQuerySet
from audit.scopes import Reach, names_of

Values = tuple[str, str, str, str]


@dataclass(slots=True)
class Sums:
    """What was counted together: how many, the sum of their amounts, and how these spread."""

    count: int = 0
    total: int = 0
    spread: dict[int, int] = field(default_factory=dict)

    def add(self, slot: int, count: int, total: int) -> None:
        self.count += count
        self.total += total
        self.spread[slot] = self.spread.get(slot, 0) + count

    def percentile(self, share: float) -> int | None:
        return slots.percentile(self.spread, share)


@dataclass(frozen=True, slots=True)
class Row:
    """Counts of one measure, its values, one stretch of time and one slot."""

    metric: str
    values: Values
    bar: int
    slot: int
    count: int
    total: int


class Found:
    """Everything that was counted over a time, as one reader may know it."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._of: dict[str, list[Row]] = {}
        for row in rows:
            self._of.setdefault(row.metric, []).append(row)

    def of(self, metric: str, *values: str) -> Sums:
        """All of one measure with these first values; "" stands for any."""
        found = Sums()
        for row in self._of.get(metric, ()):
            if all(not wanted or wanted == value for wanted, value in zip(values, row.values, strict=False)):
                found.add(row.slot, row.count, row.total)
        return found

    def by(self, metric: str, key: Callable[[Row], Any]) -> dict[Any, Sums]:
        """Of one measure, grouped; the groups with the most come first, equal ones by their key."""
        found: dict[Any, Sums] = {}
        for row in self._of.get(metric, ()):
            found.setdefault(key(row), Sums()).add(row.slot, row.count, row.total)
        return dict(sorted(found.items(), key=lambda item: (-item[1].count, str(item[0]))))


def read(
    seen: Reach,
    metrics: Iterable[str],
    *,
    since: int,
    width: int,
    workflow: str = "",
    only: Mapping[str, Collection[str]] | None = None,
) -> Found:
    """
    Args:
        since: the first hour (projection.hour_number); a multiple of `width`.
        width: hours of one bar.
        workflow: id; what belongs to no workflow is left out then.
        only: measure -> its first values that are wanted; of any other measure, all.
    """
    series = _series(seen, metrics, workflow)
    if only:
        series = series.filter(reduce(and_, (~Q(metric=name) | Q(a__in=values) for name, values in only.items())))
    rows = Bucket.objects.filter(hour__gte=since, series__in=series)
    columns = ("series__metric", "series__a", "series__b", "series__c", "series__d", "bar", "slot")
    grouped = rows.order_by().annotate(bar=F("hour") / width).values_list(*columns).annotate(n=Sum("count"), t=Sum("total"))
    return Found(
        Row(metric, (a, b, c, d), bar - since // width, slot, n, int(t)) for metric, a, b, c, d, bar, slot, n, t in grouped
    )


def most(seen: Reach, metric: str, *, since: int, limit: int, workflow: str = "") -> tuple[list[str], int]:
    """The first values of a measure with the highest counts, those first, and how many values there are. Two queries."""
    series = _series(seen, [metric], workflow).exclude(a=measures.OTHER)
    rows = Bucket.objects.filter(hour__gte=since, series__in=series).order_by().values("series__a").annotate(n=Sum("count"))
    names = list(rows.order_by("-n", "series__a").values_list("series__a", flat=True)[:limit])
    return names, rows.count()


def begun(seen: Reach, metric: str, workflow: str = "") -> dict[Values, datetime]:
    """When each combination of values first appeared, over all time, as far as the reader may see."""
    series = Series.objects.within(seen).filter(metric=metric)
    if workflow:
        series = series.filter(scope="workflow", scope_id=workflow)
    found: dict[Values, datetime] = {}
    for a, b, c, d, at in series.values_list("a", "b", "c", "d", "first_at"):
        found[(a, b, c, d)] = min(at, found.get((a, b, c, d), at))
    return found


def workflows(seen: Reach) -> list[tuple[str, str]]:
    """(id, name) of the workflows that anything was counted of and that the reader may see, by name."""
    ids = set(Series.objects.within(seen).filter(scope="workflow").values_list("scope_id", flat=True).distinct())
    named = names_of("workflow", ids)
    return sorted(((ref, named.get(ref, ref[:8])) for ref in ids), key=lambda item: item[1].lower())


def _series(seen: Reach, metrics: Iterable[str], workflow: str) -> SeriesQuerySet:
    series = Series.objects.within(seen).filter(metric__in=metrics)
    return series.filter(scope="workflow", scope_id=workflow) if workflow else series
