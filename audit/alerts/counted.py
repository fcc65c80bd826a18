"""What the metrics counted, as rules read it. Two queries, whatever the number of rules."""

from __future__ import annotations

from collections.abc import Sequence

from audit.alerts.evaluation import BESIDE, Cell, History
from audit.alerts.rules import HOURS_OF_A_WEEK, Rule, figures_of, weeks_of
from audit.metrics import slots
from audit.metrics.models import Bucket, Series
from audit.metrics.projection import hour_number


def history(rules: Sequence[Rule], *, first: int, until: int) -> History:
    """Enough to judge every window that begins at `first` or later and ends at `until` at most.

    What began before that far is known by its beginning alone, so that a window in which nothing happened counts as nothing.
    """
    since = first - max((_reach(rule) for rule in rules), default=0)
    names = {figure.metric for rule in rules for figure in figures_of(rule.condition)}
    columns = ("metric", "a", "b", "c", "d")
    begun = Series.objects.filter(metric__in=names).values_list(*columns, "first_at")
    cells: list[Cell] = []
    for metric, a, b, c, d, at in begun:
        if hour_number(at) < since:
            cells.append(Cell(metric, (a, b, c, d), hour_number(at), slots.NONE, 1))
    buckets = Bucket.objects.filter(series__metric__in=names, hour__gte=since, hour__lt=until)
    for metric, a, b, c, d, hour, slot, count in buckets.values_list(
        *(f"series__{column}" for column in columns), "hour", "slot", "count"
    ):
        cells.append(Cell(metric, (a, b, c, d), hour, slot, count))
    return History(cells)


def _reach(rule: Rule) -> int:
    """Hours before a window that the rule looks at."""
    return weeks_of(rule.condition) * HOURS_OF_A_WEEK + -min(BESIDE) * rule.hours
