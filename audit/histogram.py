"""The histogram over the list: bars that are links, so that time is narrowed by mouse, by keyboard, and without a script."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.http import QueryDict

from audit.asking import Search
from audit.counting import Bar, Counts
from audit.rail import url

WIDTH, HEIGHT = 960, 56
_TICKS = 5
_MINUTE = "%Y-%m-%dT%H:%M"
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Drawn:
    """One bar, in the units of the picture. `start` and `end` are what the address says; `end` "" means open."""

    x: float
    width: float
    y: float
    height: float
    bad_y: float
    bad_height: float
    slot_x: float
    slot_width: float
    start: str
    end: str
    url: str
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    bars: tuple[Drawn, ...]
    ticks: tuple[tuple[float, str], ...]
    each: str
    summary: str


def draw(counts: Counts, asked: Search, params: QueryDict) -> Chart:
    bars = counts.bars
    if not bars:
        return Chart((), (), "", "No time to show")
    most = max(bar.count for bar in bars) or 1
    slot = WIDTH / len(bars)
    width = _width(bars)
    drawn = []
    for place, bar in enumerate(bars):
        is_open = bar is bars[-1] and asked.until is None
        start, end = f"{bar.start:{_MINUTE}}", "" if is_open else f"{bar.end:{_MINUTE}}"
        address = url(params, drop=("span", "event", "to"), add={"from": start, **({"to": end} if end else {})})
        drawn.append(_bar(bar, place * slot, slot, most, (start, end, address), width))
    every = max(1, len(bars) // _TICKS)
    marked = range(0, len(bars) - every // 2, every)
    ticks = tuple((round(place * slot, 1), _moment(bars[place].start, width)) for place in marked)
    ticks = (*ticks, (float(WIDTH), "now" if asked.until is None else _moment(bars[-1].end, width)))
    total, bad = sum(bar.count for bar in bars), sum(bar.bad for bar in bars)
    summary = f"{total:,} events from {bars[0].start:%d %b %Y %H:%M} UTC on, {bad:,} of them refused or failed"
    return Chart(tuple(drawn), ticks, f"events per {_words(width)}", summary)


def _bar(bar: Bar, x: float, slot: float, most: int, where: tuple[str, str, str], width: timedelta) -> Drawn:
    height = _scaled(bar.count, most)
    bad = min(height, _scaled(bar.bad, most))
    return Drawn(
        x=round(x + slot * 0.12, 2),
        width=round(slot * 0.76, 2),
        y=round(HEIGHT - height, 2),
        height=height,
        bad_y=round(HEIGHT - bad, 2),
        bad_height=bad,
        slot_x=round(x, 2),
        slot_width=round(slot, 2),
        start=where[0],
        end=where[1],
        url=where[2],
        label=f"{_moment(bar.start, width)} UTC, {_words(width)}: {bar.count:,} events, {bar.bad:,} refused or failed",
    )


def _scaled(count: int, most: int) -> float:
    """At least two units: one event in a busy month is still to be seen."""
    return round(max(2.0, HEIGHT * count / most), 2) if count else 0.0


def _width(bars: list[Bar]) -> timedelta:
    """Of a bar in the middle: the first and the last may be cut."""
    middle = bars[len(bars) // 2] if len(bars) > 2 else max(bars, key=lambda bar: bar.end - bar.start)
    return middle.end - middle.start


def _moment(at: datetime, width: timedelta) -> str:
    return f"{at:%d %b %Y}" if width >= _DAY else f"{at:%d %b %H:%M}"


def _words(width: timedelta) -> str:
    minutes = round(width.total_seconds() / 60)
    for size, name in ((1440, "day"), (60, "hour"), (1, "minute")):
        if minutes >= size and minutes % size == 0:
            number = minutes // size
            return name if number == 1 else f"{number} {name}s"
    return "minute"
