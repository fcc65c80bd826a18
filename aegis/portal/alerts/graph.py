"""The graph that fired: one group of a rule window by window, the usual band behind it, the windows that were odd marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from approvals.alerts.findings import Told, pairs_of
from approvals.alerts.models import Episode
from audit.alerts import counted, telling, wording
from audit.alerts.evaluation import Window, alone, measured
from audit.alerts.rules import Absence, Anomaly, NewValue, Rule, Threshold
from audit.alerts.rules import Count as Counting

WIDTH: Final = 960
HEIGHT: Final = 220
BEFORE: Final = 72  # windows shown before the first odd one
LEAST: Final = 12  # of these are kept, even if nothing was counted in them
AFTER: Final = 24
MOST: Final = 160  # windows at most; an episode that goes on longer is shown from its beginning


@dataclass(frozen=True, slots=True)
class Point:
    """One window. `url` is the list of events behind it."""

    x: str
    y: str
    slot_x: str
    is_odd: bool
    moment: str
    label: str
    value: str
    usual: str
    border: str
    rests_on: int
    url: str


@dataclass(frozen=True, slots=True)
class Graph:
    """What the template writes; places in a box of WIDTH by HEIGHT.

    Attributes:
        lines: paths of the measured series, broken where nothing was counted.
        band: area between the borders of what is usual; "" if the rule knows none.
        center: path of the usual median. border: y of a fixed border, "" if there is none.
    """

    title: str
    unit: str
    points: tuple[Point, ...]
    slot: str
    line: str
    band: str
    center: str
    border: str
    border_words: str
    most: str
    ticks: tuple[tuple[str, str], ...]
    band_words: str

    @property
    def odd(self) -> tuple[Point, ...]:
        return tuple(point for point in self.points if point.is_odd)


def draw(rule: Rule, episode: Episode, *, now: int, workflow: str = "") -> Graph | None:
    """Three queries at most. None if nothing of the group is counted (any more).

    Args:
        now: the hour that is not over yet: no window that reaches into it is shown.
        workflow: id of the one the rule is about.
    """
    first = Told.of(episode.first)
    group = tuple(value for _, value in pairs_of(episode.group))
    if len(group) != len(rule.by):
        return None  # it was found by a rule of another form
    one, hours = alone(rule, group), rule.hours
    begun, ended = _hour(first.start), _hour(episode.last_at)
    since = begun - BEFORE * hours
    until = min(ended + AFTER * hours, since + MOST * hours, now - now % hours)
    history = counted.history([one], first=since, until=until, workflow=workflow)
    windows = measured(one, history, range(since, until, hours))
    if not any(window.value for window in windows):
        return None
    while not windows[0].value and windows[0].start < begun - LEAST * hours:  # nothing was counted so far back
        windows.pop(0)
    return _drawn(one, windows, range(begun, ended), first)


def _drawn(rule: Rule, windows: Sequence[Window], odd: range, told: Told) -> Graph:
    measures = rule.condition.measured if isinstance(rule.condition, Threshold | Anomaly) else Counting(rule.condition.figure)
    border = _fixed(rule)
    bands = [_band(rule, window) for window in windows]
    tops = [value for window in windows for value in (window.value,) if value is not None]
    tops += [high for _, high in filter(None, bands)] + ([border] if border is not None else [])
    most = max(tops, default=0) or 1
    slot = WIDTH / max(len(windows), 1)

    def y(value: float) -> float:
        return HEIGHT - (HEIGHT - 10) * min(max(value, 0), most) / most

    def x(place: int) -> float:
        return place * slot + slot / 2

    def words(value: float) -> str:
        return telling.value(measures, value)

    points = []
    for place, (window, band) in enumerate(zip(windows, bands, strict=True)):
        if window.value is None and window.start not in odd:
            continue
        at = datetime.fromtimestamp(window.start * 3600, UTC)
        value = words(window.value) if window.value is not None else "nothing"
        usual = words(window.usual.center) if window.usual else ""
        limit = f"{words(max(band[0], 0))} to {words(band[1])}" if band else ""
        label = f"{at:%d %b %H:%M} UTC: {value}{f', usual {usual}' if usual else ''}{', odd' if window.start in odd else ''}"
        points.append(
            Point(
                f"{x(place):.1f}", f"{y(window.value or 0):.1f}", f"{place * slot:.1f}", window.start in odd,
                f"{at:%d %b %H:%M}", label, value, usual, limit, window.rests_on, _list(told.address, window.start, rule.hours),
            )
        )  # fmt: skip
    return Graph(
        title=wording.measured_words(measures),
        unit="an hour" if rule.hours == 1 else f"{rule.hours} hours",
        points=tuple(points),
        slot=f"{slot:.1f}",
        line=_path([(x(place), y(one.value)) if one.value is not None else None for place, one in enumerate(windows)]),
        band=_area([(x(place), y(band[1]), y(band[0])) if band else None for place, band in enumerate(bands)]),
        center=_path([(x(place), y(one.usual.center)) if one.usual else None for place, one in enumerate(windows)]),
        border=f"{y(border):.1f}" if border is not None else "",
        border_words=words(border) if border is not None else "",
        most=words(most),
        ticks=_ticks(windows, slot),
        band_words=_band_words(rule),
    )


def _fixed(rule: Rule) -> float | None:
    condition = rule.condition
    if not isinstance(condition, Threshold):
        return None
    return condition.above if condition.above is not None else condition.below


def _band(rule: Rule, window: Window) -> tuple[float, float] | None:
    """Between which values a window is in order."""
    if window.usual is None or not isinstance(rule.condition, Anomaly):
        return None
    reach = rule.condition.factor * window.usual.spread
    return window.usual.center - reach, window.usual.center + reach


def _band_words(rule: Rule) -> str:
    condition = rule.condition
    match condition:
        case Anomaly():
            return (
                f"usual: the median of the same hours of the past {condition.weeks} weeks, {condition.factor:g} spreads around"
            )
        case Absence():
            return f"usual: the median of the same hours of {condition.weeks} weeks"
        case NewValue() | Threshold():
            return ""


def _list(address: str, start: int, hours: int) -> str:
    """The list behind the first odd window, for another one."""
    parts = urlsplit(address)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name not in ("from", "to")]
    for name, hour in (("from", start), ("to", start + hours)):
        query.append((name, f"{datetime.fromtimestamp(hour * 3600, UTC):%Y-%m-%dT%H:%MZ}"))
    return f"{parts.path}?{urlencode(query)}"


def _path(places: Sequence[tuple[float, float] | None]) -> str:
    found, is_on = [], False
    for place in places:
        if place is not None:
            found.append(f"{'L' if is_on else 'M'}{place[0]:.1f} {place[1]:.1f}")
        is_on = place is not None
    return "".join(found)


def _area(places: Sequence[tuple[float, float, float] | None]) -> str:
    """(x, top, bottom) of each window; a stretch without a gap is one shape."""
    found: list[str] = []
    run: list[tuple[float, float, float]] = []
    for place in [*places, None]:
        if place is not None:
            run.append(place)
        elif run:
            top = "L".join(f"{x:.1f} {high:.1f}" for x, high, _ in run)
            bottom = "L".join(f"{x:.1f} {low:.1f}" for x, _, low in reversed(run))
            found.append(f"M{top}L{bottom}Z")
            run = []
    return "".join(found)


def _ticks(windows: Sequence[Window], slot: float) -> tuple[tuple[str, str], ...]:
    """(x, words) of five windows from the first to the last, evenly apart."""
    last = len(windows) - 1
    places = sorted({round(last * part / 4) for part in range(5)})
    return tuple(
        (f"{place * slot + slot / 2:.1f}", f"{datetime.fromtimestamp(windows[place].start * 3600, UTC):%d %b %H:%M}")
        for place in places
    )


def _hour(at: datetime) -> int:
    return int(at.timestamp() // 3600)
