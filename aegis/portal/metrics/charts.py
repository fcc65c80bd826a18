"""Bars and lines as SVG: numbers become places here, templates only write them. Each bar is a link, each chart has a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 720
HEIGHT: Final = 132
#: Kinds shown by themselves; the others are added up.
MOST: Final = 5
REST: Final = "others"
#: Class of a kind that has no colour of its own, by its place.
_PLAIN: Final = ("violet", "blue", "green", "amber", "red", "grey")


@dataclass(frozen=True, slots=True)
class Kind:
    """One part of a stack: what it is called, how it is drawn, how many, and the list behind them ("" if it has none)."""

    label: str
    tone: str
    count: int
    url: str
    share: int  # percent of all


@dataclass(frozen=True, slots=True)
class Piece:
    tone: str
    y: str
    height: str


@dataclass(frozen=True, slots=True)
class Bar:
    x: str
    width: str
    slot_x: str
    slot_width: str
    label: str
    moment: str
    url: str
    pieces: tuple[Piece, ...]
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Stack:
    """Bars of several kinds over time."""

    title: str
    kinds: tuple[Kind, ...]
    bars: tuple[Bar, ...]
    ticks: tuple[str, ...]
    most: int
    total: int


@dataclass(frozen=True, slots=True)
class Point:
    x: str
    y: str
    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Line:
    label: str
    tone: str
    path: str
    points: tuple[Point, ...]
    cells: tuple[str, ...]  # for the table, a bar each


@dataclass(frozen=True, slots=True)
class Lines:
    title: str
    lines: tuple[Line, ...]
    moments: tuple[str, ...]
    ticks: tuple[str, ...]
    most: str


@dataclass(frozen=True, slots=True)
class Part:
    """What a stack is made of: a kind with its counts by bar. `url(bar)` is its list; None means of the whole time."""

    label: str
    counts: Sequence[int]
    url: Callable[[int | None], str]
    tone: str = ""


def stack(
    title: str, parts: Sequence[Part], moments: Sequence[str], url: Callable[[int], str], *, each: str, noun: str
) -> Stack:
    """
    Args:
        url: bar -> the list of everything in it.
        each: how long a bar is, for people ("6 hours").
        noun: what is counted, in the plural.
    """
    parts = _fewer([part for part in parts if any(part.counts)])
    sums = [sum(part.counts[bar] for part in parts) for bar in range(len(moments))]
    most, total = max(sums, default=0), sum(sums)
    slot = WIDTH / max(len(moments), 1)
    drawn = []
    for bar, moment in enumerate(moments):
        pieces, top = [], float(HEIGHT)
        for part, tone in zip(parts, _tones(parts), strict=True):
            height = HEIGHT * part.counts[bar] / most if most else 0.0
            if height:
                top -= height
                pieces.append(Piece(tone, f"{top:.2f}", f"{max(height - 0.8, 0.8):.2f}"))
        told = ", ".join(f"{part.label} {part.counts[bar]:,}" for part in parts if part.counts[bar])
        drawn.append(
            Bar(
                x=f"{bar * slot + slot * 0.1:.2f}",
                width=f"{slot * 0.8:.2f}",
                slot_x=f"{bar * slot:.2f}",
                slot_width=f"{slot:.2f}",
                label=f"{moment} UTC, {each}: {sums[bar]:,} {noun}" + (f" ({told})" if told else ""),
                moment=moment,
                url=url(bar) if sums[bar] else "",
                pieces=tuple(pieces),
                numbers=tuple(part.counts[bar] for part in parts),
            )
        )
    kinds = tuple(
        Kind(part.label, tone, sum(part.counts), part.url(None), round(100 * sum(part.counts) / total))
        for part, tone in zip(parts, _tones(parts), strict=True)
    )
    return Stack(title, kinds, tuple(drawn), _ticks(moments), most, total)


def lines(
    title: str,
    rows: Sequence[tuple[str, str, Sequence[int | None]]],
    moments: Sequence[str],
    url: Callable[[int], str],
    words: Callable[[int], str],
) -> Lines:
    """
    Args:
        rows: (label, tone, amount by bar; None where there is none). A line breaks where it has no amount.
        words: an amount for people.
    """
    most = max((value for _, _, values in rows for value in values if value is not None), default=0)
    slot = WIDTH / max(len(moments), 1)
    drawn = []
    for label, tone, values in rows:
        points: list[Point] = []
        path, is_on = [], False
        for bar, value in enumerate(values):
            if value is None:
                is_on = False
                continue
            x, y = bar * slot + slot / 2, HEIGHT - (HEIGHT - 6) * value / (most or 1)
            path.append(f"{'L' if is_on else 'M'}{x:.1f} {y:.1f}")
            is_on = True
            points.append(Point(f"{x:.1f}", f"{y:.1f}", f"{moments[bar]} UTC, {label}: {words(value)}", url(bar)))
        cells = tuple("" if value is None else words(value) for value in values)
        drawn.append(Line(label, tone, "".join(path), tuple(points), cells))
    return Lines(title, tuple(drawn), tuple(moments), _ticks(moments), words(most) if most else "")


def spark(counts: Sequence[int], width: int = 96, height: int = 20) -> tuple[tuple[str, str, str, str], ...]:
    """(x, y, width, height) of the small bars beside a row."""
    most, slot = max(counts, default=0), width / max(len(counts), 1)
    heights = [(bar, max(2, height * count / most)) for bar, count in enumerate(counts) if count]
    return tuple(
        (f"{bar * slot:.2f}", f"{height - high:.2f}", f"{max(slot - 1, 1):.2f}", f"{high:.2f}") for bar, high in heights
    )


def _fewer(parts: list[Part]) -> list[Part]:
    """The largest by themselves, the others together. They are in no one list, so the sum leads nowhere."""
    if len(parts) <= MOST + 1:
        return parts
    kept, rest = parts[:MOST], parts[MOST:]
    counts = [sum(values) for values in zip(*(part.counts for part in rest), strict=True)]
    return [*kept, Part(f"{len(rest)} {REST}", counts, lambda bar: "", "grey")]


def _tones(parts: Sequence[Part]) -> list[str]:
    return [part.tone or _PLAIN[place % len(_PLAIN)] for place, part in enumerate(parts)]


def _ticks(moments: Sequence[str]) -> tuple[str, ...]:
    every = max(1, len(moments) // 4)
    return tuple(moments[place] for place in range(0, len(moments), every))
