"""A flow map as it is handed out: nodes, ways and frames with their places. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from orchestration.workflows.graph import LinkKind

NODE_WIDTH: Final = 148
NODE_HEIGHT: Final = 58


@dataclass(frozen=True, slots=True)
class Node:
    """A step, or what lies beside the steps: a review queue ("queue:<name>"), compensation ("undo:effects").

    Attributes:
        kind: kind word of the step, "queue" or "undo".
        about: the agent, table, policy or queue it names; of an `act`, the step whose proposal it carries out.
        x, y: upper left corner.
    """

    id: str
    kind: str
    title: str
    about: str
    x: int
    y: int
    w: int = NODE_WIDTH
    h: int = NODE_HEIGHT
    within: tuple[str, ...] = ()  # the blocks around it, outer first


@dataclass(frozen=True, slots=True)
class Frame:
    """Around the steps of one branch, with its name; of a `map` without one."""

    title: str
    x: int
    y: int
    w: int
    h: int


@dataclass(frozen=True, slots=True)
class Edge:
    """A way, as a line of horizontal and vertical pieces from the side of one node to the side of another.

    Attributes:
        label: cases or codes, shortened; `labels` has them whole.
        label_x, label_y: where the label's text starts (its base line).
    """

    source: str
    target: str
    kind: LinkKind
    points: tuple[tuple[int, int], ...]
    label: str
    labels: tuple[str, ...]
    label_x: int
    label_y: int


@dataclass(frozen=True, slots=True)
class Graph:
    """The whole picture; everything lies between (0, 0) and (width, height).

    Attributes:
        inner, inner_edges, frames: what lies inside the nodes of blocks, outer ones first.
        is_down: steps follow one another downwards instead of to the right.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    width: int
    height: int
    inner: tuple[Node, ...] = ()
    inner_edges: tuple[Edge, ...] = ()
    frames: tuple[Frame, ...] = ()
    is_down: bool = False


def moved(graph: Graph, x: int, y: int) -> Graph:
    """The picture with its corner at (x, y)."""

    def edge(one: Edge) -> Edge:
        points = tuple((left + x, top + y) for left, top in one.points)
        return replace(one, points=points, label_x=one.label_x + x, label_y=one.label_y + y)

    return replace(
        graph,
        nodes=tuple(replace(one, x=one.x + x, y=one.y + y) for one in graph.nodes),
        edges=tuple(edge(one) for one in graph.edges),
        inner=tuple(replace(one, x=one.x + x, y=one.y + y) for one in graph.inner),
        inner_edges=tuple(edge(one) for one in graph.inner_edges),
        frames=tuple(replace(one, x=one.x + x, y=one.y + y) for one in graph.frames),
    )
