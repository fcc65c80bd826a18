"""The flow map as the template draws it, and as Mermaid text. Pure: states and links are handed in.

A run page passes what each step is doing; a workflow page passes nothing, and each node then says what it names.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from orchestration.workflows.picture import NODE_HEIGHT, Edge, Frame, Graph, Node

EdgeState = Literal["done", "todo", "off", "plain"]

ICONS: Final[Mapping[str, str]] = {
    "agent": "bot", "act": "effect", "route": "route", "gate": "gate", "review": "person", "set": "table",
    "wait": "hourglass", "finish": "flag",
    "queue": "queue", "undo": "undo", "parallel": "fork", "map": "copy", "run": "flow",
}  # fmt: skip
KIND_WORDS: Final[Mapping[str, str]] = {
    "agent": "agent", "act": "action", "route": "routing table", "gate": "gate", "review": "review", "set": "values",
    "wait": "wait for",
    "finish": "end", "queue": "review queue",
    "undo": "compensation of", "parallel": "parallel branches", "map": "for each of", "run": "workflow",
}  # fmt: skip


class Mark(Protocol):
    """What a node is doing: tone (colour), icon (name in the sprite) and word, as the pages' `Mark` has them."""

    @property
    def tone(self) -> str: ...
    @property
    def icon(self) -> str: ...
    @property
    def word(self) -> str: ...


@dataclass(frozen=True, slots=True)
class _Mark:
    tone: str
    icon: str
    word: str


_NOT_TAKEN: Final = _Mark("grey", "skip", "not taken")


@dataclass(frozen=True, slots=True)
class Box:
    """One node to draw. Texts are cut to fit; `name` (for screen readers and on hover) has them whole."""

    id: str
    x: int
    y: int
    w: int
    h: int
    icon: str
    title: str
    status: str
    status_icon: str  # "" where nothing runs
    tone: str  # "" where nothing runs
    name: str
    href: str
    full_title: str
    about: str
    word: str
    depth: int = 0  # blocks around it
    is_block: bool = False  # it holds other boxes

    @property
    def anchor(self) -> str:
        return anchor_of(self.id)

    # Where the parts stand, ready for SVG attributes: templates do not add.
    @property
    def icon_x(self) -> int:
        return self.x + 10

    @property
    def icon_y(self) -> int:
        return self.y + 9

    @property
    def title_x(self) -> int:
        return self.x + 30

    @property
    def title_y(self) -> int:
        return self.y + 21

    @property
    def status_icon_y(self) -> int:
        return self.y + 35

    @property
    def status_x(self) -> int:
        return self.x + (29 if self.status_icon else 11)

    @property
    def status_y(self) -> int:
        return self.y + 46


@dataclass(frozen=True, slots=True)
class Line:
    """One edge to draw; `path` is an SVG path."""

    path: str
    state: EdgeState
    label: str
    title: str
    label_x: int
    label_y: int


@dataclass(frozen=True, slots=True)
class Drawing:
    """Everything `workflows/_flowmap.html` needs. `steps` are the boxes of steps in document order, for the list beside it."""

    boxes: tuple[Box, ...]
    frames: tuple[Frame, ...]
    lines: tuple[Line, ...]
    steps: tuple[Box, ...]
    width: int
    height: int
    summary: str
    is_live: bool

    @property
    def view_box(self) -> str:
        return f"0 0 {self.width} {self.height}"

    @property
    def size(self) -> str:
        """Class of its width: a wide map is not shrunk until nobody can read it, it scrolls."""
        return "s" if self.width <= 900 else "m" if self.width <= 1300 else "l" if self.width <= 1800 else "xl"


def draw(
    graph: Graph,
    marks: Mapping[str, Mark] | None = None,
    hrefs: Mapping[str, str] | None = None,
    *,
    default_href: str = "",
    taken: Collection[tuple[str, str]] | None = None,
) -> Drawing:
    """Put states and links on a graph.

    Args:
        marks: node id -> what it is doing; None for a map without a run. Nodes left out were not taken.
        hrefs: node id -> address.
        default_href: where a node left out of `hrefs` leads; "" = its line in the list, "#step-<id>".
        taken: (source, target) of the ways the run went, if known. Otherwise a way counts as gone where both ends were.
    """
    hrefs = hrefs or {}
    nodes = in_order(graph)
    boxes = tuple(_box(node, marks, hrefs.get(node.id) or default_href or f"#{anchor_of(node.id)}") for node in nodes)
    ways = tuple(_line(edge, marks, taken) for edge in graph.edges)
    lines = (*ways, *(_line(edge, marks, None) for edge in graph.inner_edges))
    # A way that was gone is drawn over one that was not.
    order: Mapping[EdgeState, int] = {"off": 0, "todo": 1, "plain": 1, "done": 2}
    return Drawing(
        boxes=boxes,
        frames=graph.frames,
        lines=tuple(sorted(lines, key=lambda line: order[line.state])),
        steps=tuple(box for box, node in zip(boxes, nodes, strict=True) if node.kind not in ("queue", "undo")),
        width=graph.width,
        height=graph.height,
        summary="; ".join(f"{box.full_title}: {box.status}" for box in boxes) + ".",
        is_live=marks is not None,
    )


def in_order(graph: Graph) -> tuple[Node, ...]:
    """Every node, those inside a block right after it."""
    return tuple(one for node in graph.nodes for one in (node, *(inner for inner in graph.inner if node.id in inner.within)))


def anchor_of(node_id: str) -> str:
    """Id of a node's line in the list."""
    return f"step-{node_id.replace(':', '-')}"


def mermaid(graph: Graph) -> str:
    """The map as a Mermaid flowchart, for documents elsewhere."""
    shapes: Mapping[str, tuple[str, str]] = {
        "route": ("{", "}"), "gate": ("{{", "}}"), "act": ("[[", "]]"), "finish": ("([", "])"), "queue": ("[(", ")]"),
        "review": ("[/", "/]"), "parallel": ("[[", "]]"), "map": ("[[", "]]"), "run": ("[[", "]]"),
    }  # fmt: skip
    nodes = in_order(graph)
    ids = {node.id: f"n{index}" for index, node in enumerate(nodes)}
    holds = {block for node in graph.inner for block in node.within}
    rows = ["flowchart LR"]
    open_blocks: list[str] = []
    for node in nodes:
        while open_blocks and open_blocks[-1] not in node.within:
            rows.append(f"{'  ' * len(open_blocks)}end")
            open_blocks.pop()
        indent, text = "  " * (len(open_blocks) + 1), f'"{_quoted(node.title)}<br/>{_quoted(_about(node))}"'
        if node.id in holds:
            rows.append(f"{indent}subgraph {ids[node.id]}[{text}]")
            open_blocks.append(node.id)
            continue
        opening, closing = shapes.get(node.kind, ("[", "]"))
        rows.append(f"{indent}{ids[node.id]}{opening}{text}{closing}")
    rows += [f"{'  ' * depth}end" for depth in range(len(open_blocks), 0, -1)]
    for edge in (*graph.edges, *graph.inner_edges):
        arrow = "-->" if edge.kind in ("next", "case") else "-.->"
        label = f'|"{_quoted(", ".join(edge.labels))}"|' if edge.labels else ""
        rows.append(f"  {ids[edge.source]} {arrow}{label} {ids[edge.target]}")
    return "\n".join(rows) + "\n"


def _box(node: Node, marks: Mapping[str, Mark] | None, href: str) -> Box:
    about = _about(node)
    mark = marks.get(node.id, _NOT_TAKEN) if marks is not None else None
    says = mark.word if mark else f"from {node.about}" if node.kind == "act" else node.about  # the icon says the kind
    return Box(
        id=node.id,
        x=node.x,
        y=node.y,
        w=node.w,
        h=node.h,
        icon=ICONS[node.kind],
        title=_cut(node.title, (node.w - 36) // 7),
        status=_cut(says, (node.w - 34) // 6),
        status_icon=mark.icon if mark else "",
        tone=mark.tone if mark else "",
        name=f"{node.title}, {about}: {mark.word}" if mark else f"{node.title}, {about}",
        href=href,
        full_title=node.title,
        about=about,
        word=mark.word if mark else "",
        depth=len(node.within),
        is_block=node.h > NODE_HEIGHT,
    )


def _line(edge: Edge, marks: Mapping[str, Mark] | None, taken: Collection[tuple[str, str]] | None) -> Line:
    start, *rest = edge.points
    path = f"M{start[0]} {start[1]}"
    for (x, y), (before_x, _) in zip(rest, edge.points, strict=False):
        path += f"V{y}" if x == before_x else f"H{x}"
    return Line(
        path=path,
        state=_edge_state(edge, marks, taken),
        label=edge.label,
        title=", ".join(edge.labels),
        label_x=edge.label_x,
        label_y=edge.label_y,
    )


def _edge_state(edge: Edge, marks: Mapping[str, Mark] | None, taken: Collection[tuple[str, str]] | None) -> EdgeState:
    if marks is None:
        return "plain"
    source, target = marks.get(edge.source, _NOT_TAKEN), marks.get(edge.target, _NOT_TAKEN)
    if "skip" in (source.icon, target.icon):
        return "off"
    gone = (edge.source, edge.target) in taken if taken is not None else "dot" not in (source.icon, target.icon)
    return "done" if gone else "todo"


def _about(node: Node) -> str:
    word = KIND_WORDS[node.kind]
    if node.kind == "act":
        return f"{word} proposed by {node.about}"
    return word if node.kind == "queue" else f"{word} {node.about}"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _quoted(text: str) -> str:
    """Text inside a quoted Mermaid label: nothing of it can end the label or start markup."""
    plain = " ".join(text.split())
    for char, code in (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;"), ("`", "#96;")):
        plain = plain.replace(char, code)
    return plain
