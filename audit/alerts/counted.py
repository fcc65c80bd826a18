"""What the metrics counted, as rules read it. Three queries at most, whatever the number of rules and groups.

Only what the rules look at is read: the measures and values they name, the hours of the windows and of the past windows they
are compared with; and how amounts spread only where a rule asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from django.db.models import Min, Q, Sum

from audit.alerts.evaluation import BESIDE, Cell, History
from audit.alerts.rules import HOURS_OF_A_WEEK, Figure, Percentile, Rule, figures_of, weeks_of
from audit.metrics import slots
from audit.metrics.measures import NONE
from audit.metrics.models import Bucket, Series
from audit.metrics.projection import hour_number

Stretch = tuple[int, int]  # hours, the last one exclusive

_COLUMNS: Final = ("a", "b", "c", "d")


def history(rules: Sequence[Rule], *, first: int, until: int, workflow: str = "") -> History:
    """Enough to judge every window that begins at `first` or later and ends at `until` at most.

    What began in an hour that is not read is known by its beginning alone, so that a window in which nothing happened counts as
    nothing.

    Args:
        workflow: id of the one whose events alone count; "" for everything.
    """
    figures = {figure for rule in rules for figure in figures_of(rule.condition)}
    if not figures:
        return History()
    read = stretches(rules, first, until)
    series = Q(scope="workflow", scope_id=workflow) if workflow else Q()
    cells = list(_begun(Series.objects.filter(series, _of(figures, "")), read))
    spread = {figure.metric for rule in rules for figure in figures_of(rule.condition) if _needs_spread(rule, figure)}
    buckets = Bucket.objects.filter(_in(read))
    for metrics, by_slot in ((spread, True), ({one.metric for one in figures} - spread, False)):
        wanted = {figure for figure in figures if figure.metric in metrics}
        if wanted:
            narrowed = Q(series__scope="workflow", series__scope_id=workflow) if workflow else Q()
            cells += _counted(buckets.filter(narrowed, _of(wanted, "series__")), by_slot=by_slot)
    return History(cells)


def stretches(rules: Sequence[Rule], first: int, until: int) -> list[Stretch]:
    """The hours that the rules look at, in order, without overlap."""
    found = [(first, until)] + [
        (first - week * HOURS_OF_A_WEEK + min(BESIDE) * rule.hours, until - week * HOURS_OF_A_WEEK + max(BESIDE) * rule.hours)
        for rule in rules
        for week in range(1, weeks_of(rule.condition) + 1)
    ]
    merged: list[Stretch] = []
    for begin, end in sorted(found):
        if merged and begin <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((begin, end))
    return merged


def _begun(series: Any, read: Sequence[Stretch]) -> Iterable[Cell]:
    rows = series.order_by().values_list("metric", *_COLUMNS).annotate(began=Min("first_at"))
    for metric, a, b, c, d, at in rows:
        hour = hour_number(at)
        if not any(begin <= hour < end for begin, end in read):
            yield Cell(metric, (a, b, c, d), hour, slots.NONE, 1)


def _counted(buckets: Any, *, by_slot: bool) -> Iterable[Cell]:
    columns = [f"series__{column}" for column in ("metric", *_COLUMNS)] + ["hour"] + (["slot"] if by_slot else [])
    for row in buckets.order_by().values_list(*columns).annotate(n=Sum("count")):
        metric, a, b, c, d, hour, *slot, count = row
        yield Cell(metric, (a, b, c, d), hour, slot[0] if slot else slots.NONE, int(count))


def _of(figures: Iterable[Figure], path: str) -> Q:
    wanted = Q(pk__in=[])
    for figure in figures:
        asked = zip(_COLUMNS, figure.values, strict=False)
        named = {f"{path}{column}": "" if value == NONE else value for column, value in asked if value}
        wanted |= Q(**{f"{path}metric": figure.metric}, **named)
    return wanted


def _in(read: Sequence[Stretch]) -> Q:
    wanted = Q(pk__in=[])
    for begin, end in read:
        wanted |= Q(hour__gte=begin, hour__lt=end)
    return wanted


def _needs_spread(rule: Rule, figure: Figure) -> bool:
    return figure.within is not None or isinstance(getattr(rule.condition, "measured", None), Percentile)
