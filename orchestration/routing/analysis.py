"""Overlaps, dead rows and gaps of a table, each with an input that shows it. Pure.

Each tested column is cut into the pieces its cells tell apart (`regions.pieces`); a row is then a box of pieces, a bit mask per
column, and the questions are those of sets of boxes. Every example is tried against the table itself before it is reported.
Conditions in CEL count as far as `routing.conditions` can read them; rows it cannot are named, and for them nothing is claimed.

Cost: at most `MAX_STEPS` comparisons of boxes (about 1 s); beyond that the analysis says that it stopped. Boxes left over when
others are taken out can double with every row, so no bound on rows alone would do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from aegis.core.canonical import Json
from orchestration.routing.regions import ANYTHING, Region, mask, pieces
from orchestration.routing.rows import RoutingTable, Rule
from orchestration.routing.tables import choose, matching
from orchestration.routing.values import Column, Value, show

MAX_STEPS: Final = 600_000
MAX_CELLS: Final = 4_000_000  # tests of a piece by a cell when the pieces are told apart
MAX_FINDINGS: Final = 100
MAX_GAPS: Final = 10

Kind = Literal["overlap", "conflict", "dead", "gap", "never"]
_Box = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found.

    Attributes:
        kind: overlap (both rows match), conflict (and their outputs differ), dead (the row can never win), never (it matches
            nothing), gap (no row matches).
        rules: the rows concerned, the one to look at first; empty for a gap.
        position: of that row in the document; None for a gap.
        example: facts that show it; {} for a row that matches nothing.
    """

    kind: Kind
    rules: tuple[str, ...]
    position: int | None
    example: Mapping[str, Json]
    text: str


@dataclass(slots=True)
class Analysis:
    """What was found, and how far that goes.

    Attributes:
        unjudged: rows whose condition is CEL beyond what can be analysed.
        stopped: the analysis met its bound on cost; there may be more of everything.
        is_cut: there is more of a kind than it lists.
        is_complete: does some row match every input as declared? None = not known.
    """

    findings: list[Finding] = field(default_factory=list)
    unjudged: tuple[str, ...] = ()
    stopped: bool = False
    is_cut: bool = False
    is_complete: bool | None = None

    @property
    def open_ends(self) -> list[Finding]:
        return [one for one in self.findings if one.kind not in ("overlap", "conflict")]

    @property
    def shared(self) -> list[Finding]:
        """Pairs of rows that match one input: what the order of rows, or their agreement, has to settle."""
        return [one for one in self.findings if one.kind in ("overlap", "conflict")]

    def add(self, finding: Finding) -> None:
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(finding)
        else:
            self.is_cut = True


def analyse(table: RoutingTable, *, max_steps: int = MAX_STEPS) -> Analysis:
    """Look at everything. Deterministic: the same table gives the same findings and examples."""
    found = Analysis(unjudged=tuple(rule.id for rule in table.rules if rule.regions is None))
    grid = _Grid.of(table)
    if grid is None:
        found.stopped = True
        return found
    boxes = {rule.id: grid.box(rule) for rule in table.rules if rule.regions is not None}
    judged = [rule for rule in table.rules if rule.id in boxes]
    alive = []
    for rule in judged:
        if all(boxes[rule.id]):
            alive.append(rule)
        else:
            what = f"rule {rule.id!r} can never match: nothing in its columns fits all its cells"
            found.add(Finding("never", (rule.id,), rule.position, {}, what))
    looking = _Looking(table, grid, boxes, alive, found, max_steps)
    looking.gaps()
    if table.is_single_hit:
        looking.dead()
    if table.hit_policy in ("Unique", "Any", "First", "Priority"):
        looking.overlaps()
    return found


@dataclass(frozen=True, slots=True)
class _Grid:
    """The columns that rows test, cut into pieces."""

    columns: tuple[Column, ...]
    samples: tuple[tuple[Value, ...], ...]
    untested: Mapping[str, Json]  # a fact for each of the others
    masks: tuple[Mapping[Region, int], ...]

    @classmethod
    def of(cls, table: RoutingTable) -> _Grid | None:
        """None where telling the pieces apart alone would cost too much."""
        regions: dict[str, dict[Region, None]] = {}
        for rule in table.rules:
            for name, region in (rule.regions or {}).items():
                regions.setdefault(name, {})[region] = None
        columns = tuple(table.columns[name] for name in table.columns if name in regions)
        samples = tuple(tuple(pieces(column, regions[column.name])) for column in columns)
        if sum(len(found) * len(regions[column.name]) for column, found in zip(columns, samples, strict=True)) > MAX_CELLS:
            return None
        masks = tuple(
            {region: mask(region, found) for region in regions[column.name]}
            for column, found in zip(columns, samples, strict=True)
        )
        untested = {
            name: show(column.type, pieces(column, [ANYTHING])[0])
            for name, column in table.columns.items()
            if name not in regions
        }
        return cls(columns, samples, untested, masks)

    @property
    def whole(self) -> _Box:
        return tuple((1 << len(found)) - 1 for found in self.samples)

    def box(self, rule: Rule) -> _Box:
        regions = rule.regions or {}
        return tuple(
            masks[regions[column.name]] if column.name in regions else everything
            for column, masks, everything in zip(self.columns, self.masks, self.whole, strict=True)
        )

    def facts(self, box: _Box) -> dict[str, Json]:
        """An input inside a box."""
        found = dict(self.untested)
        for column, samples, bits in zip(self.columns, self.samples, box, strict=True):
            found[column.name] = show(column.type, samples[(bits & -bits).bit_length() - 1])
        return found


class _Looking:
    """The three questions over one table; they share the number of steps."""

    def __init__(
        self, table: RoutingTable, grid: _Grid, boxes: Mapping[str, _Box], alive: Sequence[Rule], found: Analysis, steps: int
    ) -> None:
        self.table, self.grid, self.boxes, self.alive, self.found, self.left = table, grid, boxes, alive, found, steps

    def gaps(self) -> None:
        """Inputs that no row matches. A row that cannot be judged may match one: then it is none."""
        shown, doubtful = 0, False
        for box in self._outside(self.grid.whole, [self.boxes[rule.id] for rule in self.alive]):
            example = self.grid.facts(box)
            says = matching(self.table, example).values()
            if any(outcome is not False for outcome in says):
                doubtful = True
            else:
                shown += 1
                self.found.add(Finding("gap", (), None, example, f"no rule matches {_shown(example)}"))
            if shown == MAX_GAPS:
                self.found.is_cut = True
                break
        self.found.is_complete = False if shown else None if doubtful or self._is_spent else True

    def dead(self) -> None:
        """Rows that never win, because those tried before them take every input that they match."""
        for index, rule in enumerate(self.alive):
            own = self.boxes[rule.id]
            earlier = [before for before in self.alive[:index] if _meet(own, self.boxes[before.id])]
            self.left -= index
            if self._is_spent:
                return
            if next(self._outside(own, [self.boxes[before.id] for before in earlier]), None) is not None or self._is_spent:
                continue
            single = next((before.id for before in earlier if _covers(self.boxes[before.id], own)), None)
            blockers = (single,) if single else tuple(before.id for before in earlier)
            example = self.grid.facts(own)
            if matching(self.table, example).get(rule.id) is not True or choose(self.table, example).rule == rule.id:
                continue
            who = (
                f"rule {single!r}" if single else f"rules {', '.join(blockers[:5])}{' …' if len(blockers) > 5 else ''} together"
            )
            verb = "matches" if single else "match"
            what = f"rule {rule.id!r} can never win: {who}, tried before it, {verb} whenever it would"
            self.found.add(Finding("dead", (rule.id, *blockers), rule.position, example, what))

    def overlaps(self) -> None:
        """Pairs of rows that match one input."""
        for index, rule in enumerate(self.alive):
            own = self.boxes[rule.id]
            for before in self.alive[:index]:
                self.left -= 1
                if self._is_spent:
                    return
                both = tuple(mine & other for mine, other in zip(own, self.boxes[before.id], strict=True))
                if not all(both):
                    continue
                example = self.grid.facts(both)
                says = matching(self.table, example)
                if not (says[rule.id] and says[before.id]):
                    continue
                is_conflict = rule.then != before.then
                what = f"rules {before.id!r} and {rule.id!r} both match {_shown(example)}"
                if is_conflict:
                    what += ", and their outputs differ"
                kind: Kind = "conflict" if is_conflict else "overlap"
                self.found.add(Finding(kind, (rule.id, before.id), rule.position, example, what))

    def _outside(self, whole: _Box, taken: Sequence[_Box]) -> Iterator[_Box]:
        """Boxes of what is in `whole` and in none of the others; they do not meet each other."""
        stack: list[tuple[_Box, int]] = [(whole, 0)]
        while stack:
            box, index = stack.pop()
            while index < len(taken) and not _meet(box, taken[index]):
                index += 1
                self.left -= 1
            self.left -= 1
            if self._is_spent:
                return
            if index == len(taken):
                yield box
                continue
            rest = list(box)
            for place, bits in enumerate(taken[index]):
                if outside := rest[place] & ~bits:
                    stack.append(((*rest[:place], outside, *rest[place + 1 :]), index + 1))
                    rest[place] &= bits

    @property
    def _is_spent(self) -> bool:
        if self.left <= 0:
            self.found.stopped = True
        return self.left <= 0


def _meet(one: _Box, other: _Box) -> bool:
    return all(mine & yours for mine, yours in zip(one, other, strict=True))


def _covers(one: _Box, other: _Box) -> bool:
    return all(not theirs & ~mine for mine, theirs in zip(one, other, strict=True))


def _shown(example: Mapping[str, Json]) -> str:
    return ", ".join(f"{name} = {value!r}" for name, value in example.items()) or "at all"
