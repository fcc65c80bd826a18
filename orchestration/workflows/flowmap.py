"""Where each node and edge of a workflow's map stands. Pure and deterministic: same definition, same picture.

Steps stand in columns (longest path from the start), each in a cell of its own; an edge that skips columns gets a cell in every
column it passes, so no line runs through a node. Ways back run above the map; review queues stand in rows of their own below.
Between columns there are gutters, wide enough for their lines and labels. A map that would be wider than a page runs downwards.
A block holds the maps of its bodies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from itertools import count
from typing import Final, assert_never

from aegis.core import durations
from orchestration.workflows.definition import (
    ActStep,
    AgentStep,
    Definition,
    FinishStep,
    GateStep,
    MapStep,
    ParallelStep,
    ReviewStep,
    RouteStep,
    RunStep,
    SetStep,
    Step,
    WaitStep,
)
from orchestration.workflows.graph import ASIDE, Link, links_of
from orchestration.workflows.picture import NODE_HEIGHT, NODE_WIDTH, Edge, Frame, Graph, Node, moved

LINE_HEIGHT: Final = 16  # of a row in which lines pass but no node stands
ROW_GAP: Final = 22
GUTTER: Final = 28
LANE: Final = 10  # between two lines in one gutter
TRACK: Final = 16  # between two ways back above the map
CHARACTER: Final = 6.4  # width of one, in labels of edges
LABEL_HEIGHT: Final = 13
MAX_LABEL: Final = 22
MARGIN: Final = 4
PAD: Final = 10  # around the bodies inside a block
HEAD: Final = 20  # for the name of a branch
MAX_WIDTH: Final = 1150  # of a map that runs to the right


def layout(definition: Definition) -> Graph:
    """Place a workflow. Cost grows with steps and links, not with paths."""
    wide = _Layout(definition).graph()
    return wide if wide.width <= MAX_WIDTH else _Layout(definition, is_down=True).graph()


def kind_and_subject(step: Step) -> tuple[str, str]:
    """The kind word of a step, and what it names."""
    match step:
        case AgentStep():
            return "agent", step.agent
        case ActStep():
            return "act", step.source
        case RouteStep():
            return "route", step.table
        case GateStep():
            return "gate", step.policy
        case ReviewStep():
            return "review", step.queue
        case SetStep():
            return "set", ", ".join(step.values)
        case WaitStep():
            return "wait", step.message or (durations.describe(step.lasting) if step.lasting else step.until)
        case ParallelStep():
            return "parallel", ", ".join(step.branches)
        case MapStep():
            return "map", step.items
        case RunStep():
            return "run", step.workflow
        case FinishStep():
            return "finish", step.outcome
        case _:
            assert_never(step)


@dataclass(frozen=True, slots=True)
class _Route:
    """The cells a link passes: columns and rows, first the source's, last the target's."""

    link: Link
    cells: tuple[tuple[int, int], ...]
    is_back: bool = False


class _Layout:
    """Columns lie along the main axis, rows across it; only what is handed out knows which of the two runs to the right."""

    def __init__(self, definition: Definition, *, is_down: bool = False, within: tuple[str, ...] = ()) -> None:
        self.definition, self.is_down, self.within = definition, is_down, within
        self.across = NODE_WIDTH if is_down else NODE_HEIGHT
        self.insides = {step.common.id: inside for step in definition.steps if (inside := self._inside(step)) is not None}
        self.order = {step.common.id: index for index, step in enumerate(definition.steps)}
        links = links_of(definition)
        self.flow = [link for link in links if link.kind not in ASIDE]
        self.aside = [link for link in links if link.kind in ASIDE and not within]
        self.back = self._ways_back()
        self.columns = self._columns()
        self.cells: dict[tuple[int, int], str] = {}  # (column, row) -> node, or "" where a line passes
        self.rows: dict[str, int] = {}
        self.routes: list[_Route] = []
        self._place_steps()
        self._place_queues()
        self._shift_rows()
        self.lanes = self._assign_lanes()
        self.lefts, self.gutter_lefts, self.width = self._column_positions()
        self.tops = self._row_positions()

    # --- blocks ---

    def _inside(self, step: Step) -> Graph | None:
        """The maps of a block's bodies beside each other, from the block's own corner; their size is that of the block."""
        bodies = list(self.definition.inside(step))
        if not bodies:
            return None
        within = (*self.within, step.common.id)
        x, y = PAD, NODE_HEIGHT
        nodes: list[Node] = []
        edges: list[Edge] = []
        frames: list[Frame] = []
        for name, body in bodies:
            one = _Layout(body, is_down=self.is_down, within=within).graph()
            head = HEAD if name else 0
            width = max(one.width, round(len(name) * CHARACTER) + 2 * PAD)
            placed = moved(one, x, y + head)
            nodes += (*placed.nodes, *placed.inner)
            edges += (*placed.edges, *placed.inner_edges)
            frames += (Frame(name, x, y, width, one.height + head), *placed.frames)
            x, y = (x + width + PAD, y) if self.is_down else (x, y + one.height + head + PAD)
        width = max([NODE_WIDTH, *(frame.x + frame.w + PAD for frame in frames)])
        height = max(frame.y + frame.h + PAD for frame in frames)
        return Graph((), (), width, height, tuple(nodes), tuple(edges), tuple(frames))

    def _size(self, name: str) -> tuple[int, int]:
        """Along the main axis, and across it."""
        inside = self.insides.get(name)
        width, height = (inside.width, inside.height) if inside else (NODE_WIDTH, NODE_HEIGHT)
        return (height, width) if self.is_down else (width, height)

    def _xy(self, main: int, across: int) -> tuple[int, int]:
        return (across, main) if self.is_down else (main, across)

    # --- cells ---

    def _ways_back(self) -> list[Link]:
        """Links that close a loop, found in document order from the first step."""
        following: dict[str, list[Link]] = {}
        for one in self.flow:
            following.setdefault(one.source, []).append(one)
        back: list[Link] = []
        done: set[str] = set()
        for start in self.order:
            if start in done:
                continue
            path, stack = {start}, [(start, iter(following.get(start, ())))]
            while stack:
                here, rest = stack[-1]
                link: Link | None = next(rest, None)
                if link is None:
                    stack.pop()
                    path.discard(here)
                    done.add(here)
                elif link.target in path:
                    back.append(link)
                elif link.target not in done:
                    path.add(link.target)
                    stack.append((link.target, iter(following.get(link.target, ()))))
        return back

    def _columns(self) -> dict[str, int]:
        before: dict[str, set[str]] = {step: set() for step in self.order}
        for link in self.flow:
            if link not in self.back:
                before[link.target].add(link.source)
        columns: dict[str, int] = {}
        for step in TopologicalSorter(before).static_order():
            columns[step] = max((columns[other] + 1 for other in before[step]), default=0)
        return columns

    def _place_steps(self) -> None:
        """Column by column; a step prefers the row of the line that leads to it nearest to the middle."""
        forward = [link for link in self.flow if link not in self.back]
        passing: dict[int, list[tuple[Link, list[tuple[int, int]]]]] = {}  # column -> open lines that reach it
        for column in range(max(self.columns.values()) + 1):
            arriving = passing.pop(column, [])
            here = [step for step in self.order if self.columns[step] == column]
            wishes = {
                step: min((cells[-1][1] for link, cells in arriving if link.target == step), key=abs, default=0)
                for step in here
            }
            for step in sorted(here, key=lambda name: (abs(wishes[name]), self.order[name])):
                self.rows[step] = self._take(column, wishes[step], step, below_first=True)
            for link, cells in arriving:
                if self.columns[link.target] == column:
                    self.routes.append(_Route(link, (*cells, (column, self.rows[link.target]))))
                else:
                    row = self._take(column, cells[-1][1], "", below_first=False)
                    passing.setdefault(column + 1, []).append((link, [*cells, (column, row)]))
            for link in forward:
                if self.columns[link.source] == column:
                    passing.setdefault(column + 1, []).append((link, [(column, self.rows[link.source])]))
        for link in self.back:
            ends = ((self.columns[end], self.rows[end]) for end in (link.source, link.target))
            self.routes.append(_Route(link, tuple(ends), is_back=True))

    def _take(self, column: int, wish: int, name: str, *, below_first: bool) -> int:
        for distance in count():
            for row in (wish + distance, wish - distance) if below_first else (wish - distance, wish + distance):
                if (column, row) not in self.cells:
                    self.cells[(column, row)] = name
                    return row
        raise AssertionError("unreachable")

    def _place_queues(self) -> None:
        """Each queue, and compensation, has a row of its own, one column behind the last step that leads to it."""
        bottom = max(row for _, row in self.cells)
        for offset, name in enumerate(dict.fromkeys(_node_of(link) for link in self.aside), start=1):
            links = [link for link in self.aside if _node_of(link) == name]
            column = max(self.columns[link.source] for link in links) + 1
            self.columns[name], self.rows[name] = column, bottom + offset
            self.cells[(column, bottom + offset)] = name
            for link in links:
                source = (self.columns[link.source], self.rows[link.source])
                self.routes.append(_Route(link, (source, (column, bottom + offset))))

    def _shift_rows(self) -> None:
        top = min(row for _, row in self.cells)
        self.rows = {name: row - top for name, row in self.rows.items()}
        self.cells = {(column, row - top): name for (column, row), name in self.cells.items()}
        self.routes = [replace(route, cells=tuple((column, row - top) for column, row in route.cells)) for route in self.routes]

    # --- coordinates ---

    def _assign_lanes(self) -> dict[tuple[int, str], int]:
        """(gutter, line) -> lane. Gutter n is right of column n; gutter -1 is left of all."""
        wanted: dict[int, dict[str, None]] = {}
        for index, route in enumerate(self.routes):
            for gutter, key in self._verticals(index, route):
                wanted.setdefault(gutter, {})[key] = None
        return {(gutter, key): lane for gutter, keys in wanted.items() for lane, key in enumerate(keys)}

    def _verticals(self, index: int, route: _Route) -> Iterator[tuple[int, str]]:
        """The gutters in which a route changes its row, each with the line it may share there: what leaves one node does."""
        if route.is_back:
            yield route.cells[0][0], f"back:{index}"
            yield route.cells[1][0] - 1, f"back:{index}"
            return
        if route.link.kind in ASIDE:
            yield route.cells[0][0], f"aside:{route.link.source}:{_node_of(route.link)}"
            return
        for place, ((column, row), (_, next_row)) in enumerate(zip(route.cells, route.cells[1:], strict=False)):
            if row != next_row:
                yield column, f"from:{route.link.source}" if place == 0 else f"through:{index}"

    def _column_positions(self) -> tuple[list[int], dict[int, int], int]:
        last = max(column for column, _ in self.cells)
        labels: dict[int, int] = {}
        for route in self.routes:
            column, next_column = route.cells[0][0], route.cells[1][0]
            # Only a line to the next column needs its label inside the gutter; another one has a row to write it along.
            if self.is_down or (next_column == column + 1 and len(route.cells) == 2):
                labels[column] = max(labels.get(column, 0), len(_shortened(route.link.labels)))
        gutter_lefts: dict[int, int] = {}
        lefts: list[int] = []
        x = MARGIN
        for gutter in range(-1, last + 1):
            lanes = sum(1 for other, _ in self.lanes if other == gutter)
            wanted = TRACK if self.is_down else round(labels.get(gutter, 0) * CHARACTER) + 10
            room = lanes * LANE + (wanted if labels.get(gutter) else 0)
            gutter_lefts[gutter] = x
            ends = gutter in (-1, last)
            x += (room + LANE if room else 0) if ends else max(GUTTER, room + GUTTER // 2)
            if gutter < last:
                lefts.append(x)
                x += max(self._size(name)[0] for (column, _), name in self.cells.items() if column == gutter + 1)
        return lefts, gutter_lefts, x + MARGIN

    def _row_positions(self) -> list[int]:
        """Upper edge of each row, and of the row that would follow the last."""
        longest = max((len(_shortened(link.labels)) for link in self.back), default=0)
        labels = round(longest * CHARACTER) if self.is_down else TRACK * bool(longest)
        tops = [MARGIN + TRACK * len(self.back) + labels]
        for row in range(max(row for _, row in self.cells) + 1):
            sizes = [self._size(name)[1] for (_, other), name in self.cells.items() if other == row and name]
            tops.append(tops[-1] + max(sizes, default=LINE_HEIGHT) + ROW_GAP)
        return tops

    def _lane_x(self, gutter: int, key: str) -> int:
        return self.gutter_lefts[gutter] + LANE + LANE * self.lanes[(gutter, key)]

    def _middle(self, row: int) -> int:
        """Where lines run in a row: through the middle of its nodes, and of the heads of its blocks."""
        return self.tops[row] + min(self.across, self.tops[row + 1] - ROW_GAP - self.tops[row]) // 2

    def graph(self) -> Graph:
        edges = [self._edge(index, route) for index, route in enumerate(self.routes)]
        rank = {(link.source, _node_of(link), link.kind): place for place, link in enumerate([*self.flow, *self.aside])}
        width, height = self._xy(self.width, self.tops[-1] - ROW_GAP + MARGIN)
        nodes = tuple(self._nodes())
        insides = [moved(self.insides[node.id], node.x, node.y) for node in nodes if node.id in self.insides]
        return Graph(
            nodes=nodes,
            edges=tuple(_labels_apart(sorted(edges, key=lambda edge: rank[(edge.source, edge.target, edge.kind)]))),
            width=width,
            height=height,
            inner=tuple(node for inside in insides for node in inside.inner),
            inner_edges=tuple(edge for inside in insides for edge in inside.inner_edges),
            frames=tuple(frame for inside in insides for frame in inside.frames),
            is_down=self.is_down,
        )

    def _nodes(self) -> Iterator[Node]:
        for step in self.definition.steps:
            kind, about = kind_and_subject(step)
            yield self._node(step.common.id, kind, step.common.title or step.common.id, about)
        for link in {_node_of(link): link for link in self.aside}.values():
            if link.kind == "queue":
                yield self._node(_node_of(link), "queue", link.target, "review queue")
            else:
                undone = [step.common.id for step in self.definition.steps if isinstance(step, ActStep) and step.compensate]
                yield self._node(_node_of(link), "undo", "Undo, then fail", ", ".join(undone))

    def _node(self, name: str, kind: str, title: str, about: str) -> Node:
        x, y = self._xy(self.lefts[self.columns[name]], self.tops[self.rows[name]])
        w, h = self._xy(*self._size(name))
        return Node(name, kind, title, about, x, y, w, h, self.within)

    def _edge(self, index: int, route: _Route) -> Edge:
        link = route.link
        points = _without_repeats(self._points_back(index, route) if route.is_back else self._points(index, route))
        if self.is_down:
            return self._edge_down(route, points)
        first = route.cells[0][0]
        lanes = [lane for (gutter, _), lane in self.lanes.items() if gutter == first]
        label_x = self.gutter_lefts[first] + LANE * (max(lanes, default=-1) + 2) - 4
        label_row = points[-1][1] if link.kind in ASIDE else self._middle(route.cells[1][1])
        if route.is_back:
            label_x = max(points[3][0] + 6, points[2][0] - 6 - round(len(_shortened(link.labels)) * CHARACTER))
            label_row = points[2][1]
        return Edge(
            source=link.source,
            target=_node_of(link),
            kind=link.kind,
            points=points,
            label=_shortened(link.labels),
            labels=link.labels,
            label_x=label_x,
            label_y=label_row - 6,
        )

    def _edge_down(self, route: _Route, points: tuple[tuple[int, int], ...]) -> Edge:
        """The label stands beside the line: before it goes in, or along its way back."""
        link = route.link
        label = _shortened(link.labels)
        main, across = self.lefts[route.cells[1][0]] - 9, self._middle(route.cells[1][1]) + 5
        if route.is_back:
            main, across = (points[2][0] + points[3][0]) // 2, points[2][1] + 5
        xy = tuple((across_, main_) for main_, across_ in points)
        return Edge(link.source, _node_of(link), link.kind, xy, label, link.labels, across, main)

    def _points(self, index: int, route: _Route) -> Iterator[tuple[int, int]]:
        """Out at the right side, up or down in gutters only, in at the left side."""
        column, row = route.cells[0]
        turns = dict(self._verticals(index, route))
        yield self.lefts[column] + self._size(route.link.source)[0], self._middle(row)
        for (column, row), (_, next_row) in zip(route.cells, route.cells[1:], strict=False):
            if row != next_row:
                x = self._lane_x(column, turns[column])
                yield x, self._middle(row)
                yield x, self._middle(next_row)
        column, row = route.cells[-1]
        yield self.lefts[column], self._middle(row)

    def _points_back(self, index: int, route: _Route) -> Iterator[tuple[int, int]]:
        (column, row), (target_column, target_row) = route.cells
        track = self.tops[0] - TRACK * (self.back.index(route.link) + 1) + MARGIN
        out, into = self._lane_x(column, f"back:{index}"), self._lane_x(target_column - 1, f"back:{index}")
        yield self.lefts[column] + self._size(route.link.source)[0], self._middle(row)
        yield out, self._middle(row)
        yield out, track
        yield into, track
        yield into, self._middle(target_row)
        yield self.lefts[target_column], self._middle(target_row)


def _labels_apart(edges: Iterable[Edge]) -> Iterator[Edge]:
    """No label over another: what two lines into one node have in common is written once, others move up."""
    written: list[Edge] = []
    for edge in edges:
        said = edge
        while said.label and (under := next((other for other in written if _is_over(said, other)), None)):
            is_said = (said.target, said.label) == (under.target, under.label)
            said = replace(said, label="") if is_said else replace(said, label_y=under.label_y - LABEL_HEIGHT)
        if said.label:
            written.append(said)
        yield said


def _is_over(label: Edge, other: Edge) -> bool:
    left, right = sorted((label, other), key=lambda edge: edge.label_x)
    is_beside = right.label_x >= left.label_x + len(left.label) * CHARACTER
    return not is_beside and abs(label.label_y - other.label_y) < LABEL_HEIGHT


def _node_of(link: Link) -> str:
    """Id of the node a link leads to."""
    return f"{link.kind}:{link.target}" if link.kind in ASIDE else link.target


def _shortened(labels: tuple[str, ...]) -> str:
    text = ", ".join(labels)
    if len(text) <= MAX_LABEL:
        return text
    first = labels[0] if len(labels[0]) <= MAX_LABEL - 4 else labels[0][: MAX_LABEL - 5] + "…"
    return f"{first} +{len(labels) - 1}" if len(labels) > 1 else first


def _without_repeats(points: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    kept: list[tuple[int, int]] = []
    for point in points:
        if not kept or kept[-1] != point:
            kept.append(point)
    return tuple(kept)
