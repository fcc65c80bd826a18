"""The numbers beside the filters and the histogram over the list: of what the reader may see, and never by counting a table.

Without filters, or with one, they are sums of counts by hour, day and month (`Tally`), which are exact. With more, or with a
text, they are counted from the newest `CAP` rows that fit; if there are more than that, `is_capped` says so and numbers read
"at least".
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db.models import Min, Q, Sum

from aegis.core import clock
from aegis.core.visibility import Viewer
from audit import catalogue
from audit import search as searching
from audit.asking import FACETS, Search
from audit.index import store
from audit.index.content import DIMENSIONS
from audit.index.models import Hour, IndexedQuerySet, Tally, TallyQuerySet
from audit.index.projection import day_of, hour_of, month_of
from audit.scopes import Reach

CAP: Final = 10_000
BARS: Final = 60
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
# fmt: off
_WIDTHS: Final = (
    timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), _HOUR, 2 * _HOUR, 4 * _HOUR, 12 * _HOUR, _DAY, 7 * _DAY,
    28 * _DAY, 91 * _DAY, 364 * _DAY, 3640 * _DAY, 100_000 * _DAY,
)
# fmt: on
#: Grain of a tally -> where the one of a moment starts; how long one takes at most.
_STARTS: Final = {"h": hour_of, "d": day_of, "m": month_of}
_LONGEST: Final = {"h": _HOUR, "d": _DAY, "m": 31 * _DAY}
_MONDAY: Final = datetime(1, 1, 1, tzinfo=UTC)
#: What is counted one by one from rows, and what the histogram is drawn from.
_COUNTED: Final = (*DIMENSIONS, "scope", "scope_id")
_SAMPLED: Final = (*_COUNTED, "at", "is_bad")
#: Facets that are no column -> the columns that tell them.
_READ: Final = {"workflow": ("scope", "scope_id"), "lane": ("type",)}

Values = dict[str, int]


@dataclass(slots=True)
class Bar:
    start: datetime
    end: datetime
    count: int = 0
    bad: int = 0


@dataclass(slots=True)
class Counts:
    """Of one search.

    Attributes:
        values: facet -> value -> events. A facet that filters is counted as if it did not: so its other values can be weighed.
        bars: the histogram, oldest first, over the whole time asked for.
        is_capped: there are more than `CAP`; every number taken from rows means "at least".
        capped: facets whose numbers are of the newest `CAP` only.
    """

    total: int = 0
    values: dict[str, Values] = field(default_factory=dict)
    bars: list[Bar] = field(default_factory=list)
    is_capped: bool = False
    capped: set[str] = field(default_factory=set)


def count(search: Search, user: Viewer, seen: Reach) -> Counts:
    """A bounded number of queries: one more for each facet that filters."""
    now = clock.now()
    since, until = search.times(now)
    is_whole = _is_whole(since) and _is_whole(until)
    found = Counts(bars=frame(since, until, now, least=_HOUR if is_whole else _WIDTHS[0]))
    on = [name for name in FACETS if getattr(search, name)]
    by_value = [name for name in on if name != "workflow"]
    tallied: TallyQuerySet | None = None
    of_workflow: TallyQuerySet | None = None
    if is_whole and not (search.text or search.figure or search.is_one_thing):
        own = Q(scope="workflow", scope_id__in=search.workflow) if search.workflow else Q()
        tallied = Tally.objects.within(seen).filter(_pieces(since, until, "mdh"))
        of_workflow = tallied.filter(own)
        if len(by_value) <= 1:
            drawn = _pieces(since, until, "h" if _is_narrow(found.bars) else "dh")
            _count_whole(found, Tally.objects.within(seen).filter(own & drawn), search, by_value)
    if of_workflow is not None and not by_value:
        found.values = _tallied_values(of_workflow, FACETS)
    else:
        _count_rows(found, search, user, seen, has_total=bool(found.total))
    for name in on:
        if tallied is not None and on == [name]:
            found.values[name] = _tallied_values(tallied, [name])[name]
            found.capped.discard(name)
        else:
            columns = _READ.get(name, (name,))
            sample = _sample(searching.narrowed(search, seen, without=name), search, user, columns)
            found.values[name] = _values_of(sample[:CAP], columns)[name]
            found.capped.discard(name)
            if len(sample) > CAP:
                found.capped.add(name)
    return found


def frame(since: datetime | None, until: datetime | None, now: datetime, *, least: timedelta = _WIDTHS[0]) -> list[Bar]:
    """Empty bars over a time: of a width that people know, at most `BARS`. Without a beginning it is that of the journal.

    Args:
        least: no narrower than this: hourly counts cannot fill the minutes.
    """
    end = until or now
    start = since or Hour.objects.aggregate(first=Min("start"))["first"] or end - _DAY
    if start >= end:
        return []
    width = next(width for width in _WIDTHS if width >= least and (end - start) / width <= BARS - 1)
    at = _MONDAY + (start - _MONDAY) // width * width
    bars = []
    while at < end:
        following = end if end - at <= width else at + width
        bars.append(Bar(max(at, start), following))
        at = following
    return bars


def _count_whole(found: Counts, tallied: TallyQuerySet, search: Search, by_value: Sequence[str]) -> None:
    """Total and histogram from counts, under at most one filter."""
    rows = tallied.filter(dimension="all")
    for name in by_value:
        dimension, values = ("type", _types_of(search)) if name == "lane" else (name, searching.meant(search, name))
        rows = tallied.filter(dimension=dimension, value__in=values)
    for start, count, bad in rows.values_list("start").annotate(n=Sum("count"), b=Sum("bad")).values_list("start", "n", "b"):
        _add(found.bars, start, count, bad)
        found.total += count


def _tallied_values(tallied: TallyQuerySet, facets: Sequence[str]) -> dict[str, Values]:
    columns = {column for name in facets for column in _READ.get(name, (name,)) if column in DIMENSIONS}
    values: dict[str, Values] = {name: {} for name in facets}
    if columns:
        counted = tallied.filter(dimension__in=sorted(columns)).values_list("dimension", "value").annotate(n=Sum("count"))
        for dimension, value, count in counted.values_list("dimension", "value", "n"):
            values.setdefault(dimension, {})[value] = count
    if "workflow" in facets:
        of_workflows = tallied.filter(dimension="all", scope="workflow").values_list("scope_id").annotate(n=Sum("count"))
        values["workflow"] = dict(of_workflows.values_list("scope_id", "n"))
    if "lane" in facets:
        values["lane"] = _lanes(values.get("type", {}))
    return values


def _count_rows(found: Counts, search: Search, user: Viewer, seen: Reach, *, has_total: bool) -> None:
    columns = _COUNTED if has_total else _SAMPLED
    sample = _sample(searching.narrowed(search, seen), search, user, columns)
    found.is_capped = len(sample) > CAP
    rows = sample[:CAP]
    found.values = _values_of(rows, columns)
    if found.is_capped:
        found.capped = set(FACETS)
    if has_total:
        found.is_capped = False  # the sum is exact, the numbers of the other facets are not
        return
    found.total = len(rows)
    edges = [store.as_read(bar.start) for bar in found.bars]
    end = store.as_read(found.bars[-1].end) if found.bars else None
    placed = [(bisect_right(edges, row[-2]) - 1, bool(row[-1])) for row in rows if end is not None and row[-2] < end]
    for (place, is_bad), count in Counter(placed).items():
        bar = found.bars[max(place, 0)]  # -1: in the whole hour or day that the time begins in
        bar.count += count
        bar.bad += count if is_bad else 0


def _sample(rows: IndexedQuerySet, search: Search, user: Viewer, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """Columns of the newest rows that fit, one more than `CAP` at most."""
    return searching.read_newest(rows, search, user, columns, CAP + 1)


def _values_of(rows: Iterable[tuple[Any, ...]], columns: Sequence[str]) -> dict[str, Values]:
    """Facet -> value -> rows, of the facets that can be told from these columns."""
    read = dict(zip(columns, list(zip(*rows, strict=True)) or [()] * len(columns), strict=True))
    values: dict[str, Values] = {name: Counter(read[name]) for name in DIMENSIONS if name in read}
    for counted in values.values():
        counted.pop("", None)
    if "scope_id" in read:
        values["workflow"] = Counter(
            ref for scope, ref in zip(read["scope"], read["scope_id"], strict=True) if scope == "workflow"
        )
    if "type" in values:
        values["lane"] = _lanes(values["type"])
    return values


def _lanes(types: Values) -> Values:
    found: Counter[str] = Counter()
    for lane in catalogue.LANES:
        if number := sum(types.get(name, 0) for name in catalogue.in_lane(lane)):
            found[lane] = number
    return found


def _types_of(search: Search) -> list[str]:
    return [name for lane in search.lane for name in catalogue.in_lane(lane)]


def _add(bars: list[Bar], at: datetime, count: int, bad: int) -> None:
    place = bisect_right(bars, at, key=lambda bar: bar.start) - 1
    if place >= 0 and at < bars[-1].end:
        bars[place].count += count
        bars[place].bad += bad
    elif place < 0 and bars:  # the whole hour or day that its time is in
        bars[0].count += count
        bars[0].bad += bad


def _is_whole(moment: datetime | None) -> bool:
    return moment is None or moment == hour_of(moment)


def _is_narrow(bars: Sequence[Bar]) -> bool:
    """Bars of less than a day? The one in the middle tells: the first and the last may be cut."""
    return bool(bars) and bars[len(bars) // 2].end - bars[len(bars) // 2].start < _DAY


def _pieces(since: datetime | None, until: datetime | None, grains: str) -> Q:
    """The tallies of a time of whole hours, each in the coarsest of these grains that fits into it, coarsest first."""
    grain, finer = grains[0], grains[1:]
    first, last = (since, until) if not finer else (since and _first_from(grain, since), until and _STARTS[grain](until))
    if first is not None and last is not None and first >= last:
        return _pieces(since, until, finer) if finer else Q(pk__in=[])
    condition = Q(grain=grain)
    if first is not None:
        condition &= Q(start__gte=first)
    if last is not None:
        condition &= Q(start__lt=last)
    if finer and since != first:
        condition |= _pieces(since, first, finer)
    if finer and until != last:
        condition |= _pieces(last, until, finer)
    return condition


def _first_from(grain: str, moment: datetime) -> datetime:
    """The first month, day or hour that begins then or later."""
    start = _STARTS[grain](moment)
    return start if start == moment else _STARTS[grain](start + _LONGEST[grain])
