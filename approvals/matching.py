"""How many approvals can stand for a group of their own: a flow through stages, groups and people. Pure."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Mapping
from typing import Final

Node = tuple[str, str]
_SOURCE: Final[Node] = ("source", "")
_SINK: Final[Node] = ("sink", "")


def groups_filled(voters: Mapping[str, Collection[str]]) -> int:
    """The most voters that can each stand for a group of their own.

    Args:
        voters: person -> groups that the person may stand for.
    """
    edges = [(("person", person), ("group", group), 1) for person, groups in voters.items() for group in groups]
    groups = {group for found in voters.values() for group in found}
    return _flow(
        [*edges, *((_SOURCE, ("person", person), 1) for person in voters), *((("group", name), _SINK, 1) for name in groups)]
    )


def seats_filled(stages: Iterable[tuple[Collection[str], int]], people: Mapping[str, Collection[str]]) -> int:
    """The most seats that people can take, each person and each group once.

    Args:
        stages: (groups, quorum) of each.
        people: group -> ids of the people in it who could decide.
    """
    edges: list[tuple[Node, Node, int]] = []
    groups: set[str] = set()
    for index, (names, quorum) in enumerate(stages):
        stage = ("stage", str(index))
        edges.append((_SOURCE, stage, quorum))
        edges += [(stage, ("asked", name), 1) for name in names]
        groups.update(names)
    members = {person for name in groups for person in people.get(name, ())}
    edges += [(("asked", name), ("group", name), 1) for name in groups]  # a group is stood for once, whichever stage asks it
    edges += [(("group", name), ("person", person), 1) for name in groups for person in people.get(name, ())]
    edges += [(("person", person), _SINK, 1) for person in members]
    return _flow(edges)


def _flow(edges: Iterable[tuple[Node, Node, int]]) -> int:
    """The greatest flow from source to sink (shortest augmenting paths; a few dozen edges)."""
    room: defaultdict[Node, dict[Node, int]] = defaultdict(dict)
    for one, other, capacity in edges:
        room[one][other] = capacity
        room[other].setdefault(one, 0)
    flow = 0
    while (came_from := _path(room)) is not None:
        node = _SINK
        while node != _SOURCE:
            before = came_from[node]
            room[before][node] -= 1
            room[node][before] += 1
            node = before
        flow += 1
    return flow


def _path(room: Mapping[Node, Mapping[Node, int]]) -> dict[Node, Node] | None:
    """Where each node of a path to the sink was reached from, or None if there is none with room left."""
    came_from: dict[Node, Node] = {_SOURCE: _SOURCE}
    waiting = deque([_SOURCE])
    while waiting:
        node = waiting.popleft()
        for other, left in room.get(node, {}).items():
            if left and other not in came_from:
                came_from[other] = node
                if other == _SINK:
                    return came_from
                waiting.append(other)
    return None
