"""What the metrics page shows: the counts of a time, told as figures, charts and tables. A few queries, whatever there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from aegis.core import clock
from aegis.portal.metrics import charts
from aegis.portal.metrics.asked import Asked
from aegis.portal.metrics.charts import Lines, Part, Stack
from approvals.pages.words import duration
from audit import catalogue
from audit.metrics import reading
from audit.metrics.measures import NONE
from audit.metrics.reading import Found, Row, Sums
from audit.scopes import Reach

#: In the order they are stacked.
OUTCOMES: Final = (
    ("completed", "completed", "green"),
    ("failed", "failed", "red"),
    ("cancelled", "cancelled", "grey"),
    ("rolled_back", "rolled back", "amber"),
)
ANSWERS: Final = (
    ("done", "done", "green"),
    ("unsure", "not sure enough", "amber"),
    ("abstained", "does not know", "blue"),
    ("failed", "failed", "red"),
)
HANDED: Final = (("failure", "something failed (dead letters)", "red"), ("judgement", "a person has to judge", "amber"))
SUCCESSES: Final = (("yes", "met", "green"), ("no", "not met", "red"), ("unknown", "not known", "grey"))
READ: Final = (
    "started", "runs", "routes", "answers", "failures", "handed", "requests", "permissions", "changes", "tokens", "cost",
)  # fmt: skip
TABLES_SHOWN: Final = 4
ROWS_SHOWN: Final = 12


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure and the list behind it."""

    label: str
    value: str
    detail: str
    url: str
    tone: str = "grey"
    icon: str = "dot"


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    name: str
    ended: Cell
    approved: Cell
    rejected: Cell
    expired: Cell
    expired_share: str
    p50: str
    p95: str
    is_bad: bool


@dataclass(frozen=True, slots=True)
class Agent:
    name: str
    answers: Cell
    pieces: tuple[tuple[str, str, str, str], ...]  # tone, x, width, label
    errors: Cell
    error_share: int
    p50: str
    p95: str
    tokens: Cell
    cost: Cell


@dataclass(frozen=True, slots=True)
class Failure:
    agent: str
    version: str
    step: str
    code: str
    count: Cell
    spark: tuple[tuple[str, str, str, str], ...]
    since: datetime
    is_new_time: bool  # first seen within the time shown
    is_new_version: bool  # no other version of this agent ever failed so


@dataclass(frozen=True, slots=True)
class Board:
    tiles: tuple[Tile, ...]
    runs: Stack
    latency: Lines
    success: Stack
    routes: tuple[Stack, ...]
    tables_more: int
    handed: Stack
    causes: tuple[tuple[str, str, Cell], ...]
    policies: tuple[Policy, ...]
    agents: tuple[Agent, ...]
    failures: tuple[Failure, ...]
    failures_more: int
    permissions: Stack | None  # None: the reader may not read the area
    changes: tuple[tuple[str, str, Cell], ...]
    unreadable: Cell


def gather(seen: Reach, asked: Asked) -> Board:
    names, tables = reading.most(seen, "routes", since=asked.since, limit=TABLES_SHOWN, workflow=asked.workflow)
    found = reading.read(
        seen,
        (*READ, "unreadable"),
        since=asked.since,
        width=asked.width,
        workflow=asked.workflow,
        only={"routes": names},
    )
    failures = _failures(found, asked, reading.begun(seen, "failures", asked.workflow))
    return Board(
        tiles=_tiles(found, asked),
        runs=_stack(found, asked, "runs", OUTCOMES, "Runs by outcome", noun="runs ended"),
        latency=_latency(found, asked),
        success=_stack(found, asked, "runs", SUCCESSES, "Success criterion of completed runs", place=1, before=("completed",)),
        routes=tuple(_named(found, asked, "routes", 1, name, "decisions", (name,)) for name in names),
        tables_more=tables - len(names),
        handed=_stack(found, asked, "handed", HANDED, "Handed to people", noun="review items opened"),
        causes=_pairs(found, asked, "handed", 1, 2),
        policies=_policies(found, asked),
        agents=_agents(found, asked),
        failures=failures[:ROWS_SHOWN],
        failures_more=max(0, len(failures) - ROWS_SHOWN),
        permissions=_permissions(found, asked) if "access" in seen.ids and seen.ids["access"] is None else None,
        changes=_pairs(found, asked, "changes", 0, 1),
        unreadable=Cell(f"{found.of('unreadable').count:,}" if found.of("unreadable").count else "", asked.url("unreadable")),
    )


def _tiles(found: Found, asked: Asked) -> tuple[Tile, ...]:
    runs, failed = found.of("runs"), found.of("runs", "failed")
    started, handed, dead = found.of("started"), found.of("handed"), found.of("handed", "failure")
    met, unmet = found.of("runs", "completed", "yes"), found.of("runs", "completed", "no")
    requests, expired = found.of("requests"), found.of("requests", "", "expired")
    tokens, cost = found.of("tokens"), found.of("cost")
    tiles = [
        Tile("Runs started", f"{started.count:,}", f"{runs.count:,} ended", asked.url("started"), "blue", "play"),
        Tile(
            "Failed", share(failed.count, runs.count), f"{failed.count:,} of {runs.count:,} that ended",
            asked.url("runs", "failed"), "red" if failed.count else "green", "x-circle" if failed.count else "check-circle",
        ),
        Tile(
            "From start to end", _took(runs, 0.5), f"half of all; 95 in 100 within {_took(runs, 0.95)}",
            asked.url("runs"), "grey", "clock",
        ),
        Tile(
            "Handed to people", f"{handed.count:,}", _for_each_hundred(handed.count, runs.count),
            asked.url("handed"), "amber" if handed.count else "grey", "queue",
        ),
        Tile(
            "Dead letters", f"{dead.count:,}", f"{share(dead.count, handed.count)} of what was handed over",
            asked.url("handed", "failure"), "red" if dead.count else "grey", "dead",
        ),
        Tile(
            "Approvals", _took(requests, 0.5), f"half of {requests.count:,}; 95 in 100 within {_took(requests, 0.95)}",
            asked.url("requests"), "violet", "stamp",
        ),
        Tile(
            "Expired", share(expired.count, requests.count), f"{expired.count:,} requests ended by their deadline",
            asked.url("requests", "", "expired"), "amber" if expired.count else "grey", "alarm",
        ),
        Tile(
            "Success criterion", share(met.count, met.count + unmet.count), f"met in {met.count:,}, not in {unmet.count:,}",
            asked.url("runs", "completed", "yes"), "green" if met.count and not unmet.count else "grey", "flag",
        ),
        Tile(
            "Used by agents", f"{tokens.total:,}" if tokens.count else "none", _spent(cost),
            asked.url("tokens"), "grey", "bot",
        ),
    ]  # fmt: skip
    return tuple(tiles)


def _for_each_hundred(items: int, runs: int) -> str:
    """No share: a run may be handed over many times, and be handed over in one time and end in another."""
    return f"review items; {items * 100 / runs:.0f} for each 100 runs that ended" if runs else "review items; no run ended"


def _spent(cost: Sums) -> str:
    return f"tokens; cost {cost.total:,} as told by {cost.count:,} answers" if cost.count else "tokens; no answer told a cost"


def _stack(
    found: Found,
    asked: Asked,
    metric: str,
    kinds: Sequence[tuple[str, str, str]],
    title: str,
    *,
    place: int = 0,
    before: tuple[str, ...] = (),
    noun: str = "runs",
) -> Stack:
    """A chart of the known values of one dimension. `before`: the values in front of it."""
    counted = found.by(metric, lambda row: (row.bar, row.values[place]) if row.values[:place] == before else None)
    parts = [
        Part(
            label,
            [_count(counted, (bar, value)) for bar in range(asked.bars)],
            _list(asked, metric, *before, value),
            tone,
        )
        for value, label, tone in kinds
    ]
    return charts.stack(title, parts, _moments(asked), _bars(asked, metric, *before), each=asked.each, noun=noun)


def _named(found: Found, asked: Asked, metric: str, place: int, title: str, noun: str, before: tuple[str, ...] = ()) -> Stack:
    """A chart of whatever values there are, the most frequent first."""
    mine: Callable[[Row], bool] = lambda row: row.values[:place] == before  # noqa: E731
    names = [name for name in found.by(metric, lambda row: row.values[place] if mine(row) else "") if name]
    counted = found.by(metric, lambda row: (row.bar, row.values[place] if mine(row) else ""))
    parts = [
        Part(
            _words(metric, name),
            [_count(counted, (bar, name)) for bar in range(asked.bars)],
            _list(asked, metric, *before, name),
        )
        for name in names
    ]
    return charts.stack(title, parts, _moments(asked), _bars(asked, metric, *before), each=asked.each, noun=noun)


def _permissions(found: Found, asked: Asked) -> Stack:
    return _named(found, asked, "permissions", 0, "Changes of rights, groups, accounts and keys", "changes")


def _latency(found: Found, asked: Asked) -> Lines:
    by_bar = found.by("runs", lambda row: row.bar)
    rows = [
        (label, tone, [by_bar[bar].percentile(at) if bar in by_bar else None for bar in range(asked.bars)])
        for label, tone, at in (("half within", "blue", 0.5), ("95 in 100 within", "violet", 0.95))
    ]
    return charts.lines("From submission to end", rows, _moments(asked), _bars(asked, "runs"), duration)


def _policies(found: Found, asked: Asked) -> tuple[Policy, ...]:
    rows = []
    outcomes = found.by("requests", lambda row: row.values[:2])
    for name, sums in found.by("requests", lambda row: row.values[0]).items():
        of = {outcome: _count(outcomes, (name, outcome)) for outcome in ("approved", "rejected", "expired")}
        rows.append(
            Policy(
                name=name,
                ended=Cell(f"{sums.count:,}", asked.url("requests", name)),
                approved=_cell(of["approved"], asked.url("requests", name, "approved")),
                rejected=_cell(of["rejected"], asked.url("requests", name, "rejected")),
                expired=_cell(of["expired"], asked.url("requests", name, "expired")),
                expired_share=share(of["expired"], sums.count),
                p50=_took(sums, 0.5),
                p95=_took(sums, 0.95),
                is_bad=of["expired"] > 0,
            )
        )
    return tuple(rows)


def _agents(found: Found, asked: Asked) -> tuple[Agent, ...]:
    rows = []
    answers = found.by("answers", lambda row: row.values[:2])
    used = {metric: found.by(metric, lambda row: row.values[0]) for metric in ("tokens", "cost")}
    for name, sums in found.by("answers", lambda row: row.values[0]).items():
        counts = {value: _count(answers, (name, value)) for value, _, _ in ANSWERS}
        wrong = counts["failed"]
        rows.append(
            Agent(
                name=name,
                answers=Cell(f"{sums.count:,}", asked.url("answers", name)),
                pieces=_pieces([(label, tone, counts[value]) for value, label, tone in ANSWERS], sums.count),
                errors=_cell(wrong, asked.url("answers", name, "failed")),
                error_share=round(100 * wrong / sums.count),
                p50=_took(sums, 0.5),
                p95=_took(sums, 0.95),
                tokens=_total(used["tokens"].get(name), asked.url("tokens", name)),
                cost=_total(used["cost"].get(name), asked.url("cost", name)),
            )
        )
    return tuple(rows)


def _failures(found: Found, asked: Asked, begun: dict[reading.Values, datetime]) -> tuple[Failure, ...]:
    versions: dict[tuple[str, str, str], set[str]] = {}
    for agent, version, step, code in begun:
        versions.setdefault((agent, step, code), set()).add(version)
    bars = found.by("failures", lambda row: (row.values, row.bar))
    rows = []
    for values, sums in found.by("failures", lambda row: row.values).items():
        agent, version, step, code = values
        counts = [_count(bars, (values, bar)) for bar in range(asked.bars)]
        since = begun.get(values) or clock.now()
        rows.append(
            Failure(
                agent=agent,
                version=version,
                step=step,
                code=code,
                count=Cell(f"{sums.count:,}", asked.url("failures", *(value or NONE for value in values))),
                spark=charts.spark(counts),
                since=since,
                is_new_time=since >= asked.start(0),
                is_new_version=len(versions[agent, step, code]) == 1 and _has_elders(begun, agent, version, since),
            )
        )
    return tuple(rows)


def _has_elders(begun: dict[reading.Values, datetime], agent: str, version: str, since: datetime) -> bool:
    """Did another version of this agent fail before, in whatever way? Else "new in this version" says nothing."""
    return any(at < since for (name, other, _, _), at in begun.items() if name == agent and other != version)


def _pairs(found: Found, asked: Asked, metric: str, first: int, second: int) -> tuple[tuple[str, str, Cell], ...]:
    """The most frequent values of two dimensions, with their lists."""
    rows = []
    for pair, sums in list(found.by(metric, lambda row: (row.values[first], row.values[second])).items())[:ROWS_SHOWN]:
        values = [""] * (second + 1)
        values[first], values[second] = (value or NONE for value in pair)
        rows.append((pair[0], pair[1], Cell(f"{sums.count:,}", asked.url(metric, *values))))
    return tuple(rows)


def _pieces(parts: Sequence[tuple[str, str, int]], total: int) -> tuple[tuple[str, str, str, str], ...]:
    found, x = [], 0.0
    for label, tone, count in parts:
        width = 100 * count / total
        if count:
            found.append((tone, f"{x:.2f}", f"{width:.2f}", f"{label}: {count:,}"))
        x += width
    return tuple(found)


def share(part: int, whole: int) -> str:
    """Percent in words that do not round something to nothing, nor almost all to all."""
    if not whole:
        return "–"
    percent = 100 * part / whole
    if 0 < percent < 1 or 99 < percent < 100:
        return f"{percent:.1f} %"
    return f"{percent:.0f} %"


def _count(grouped: dict[Any, Sums], key: Any) -> int:
    return grouped[key].count if key in grouped else 0


def _total(sums: Sums | None, url: str) -> Cell:
    return Cell(f"{sums.total:,}", url) if sums else Cell("")


def _cell(count: int, url: str) -> Cell:
    return Cell(f"{count:,}", url if count else "")


def _took(sums: Sums, at: float) -> str:
    return duration(sums.percentile(at)) or "–"


def _words(metric: str, value: str) -> str:
    """An event by its verb ("group joined"); anything else as it is."""
    if metric == "permissions" and value in {one.name for one in catalogue.all_types()}:
        return value.partition(".")[2].replace("_", " ")
    return value


def _moments(asked: Asked) -> list[str]:
    return [asked.moment(bar) for bar in range(asked.bars)]


def _bars(asked: Asked, metric: str, *values: str) -> Callable[[int], str]:
    return lambda bar: asked.url(metric, *values, bar=bar)


def _list(asked: Asked, metric: str, *values: Any) -> Callable[[int | None], str]:
    return lambda bar: asked.url(metric, *values, bar=bar)
