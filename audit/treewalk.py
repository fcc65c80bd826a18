"""Reading the sealed journal in leaf order, with distrust: bytes, chain and tree of a stretch of leaves. Plain SQL.

A million events in well under ten seconds is the aim, so this reads rows as they are, takes the previous hash out of a line by
its place, and works on stretches of 65,536 leaves, each a complete subtree, in as many processes as it is given. What else a
line must fulfil (canonical form, columns, payloads) is `audit.inspection`'s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import connection

from audit import chain, merkle
from audit.problems import Problem

STRETCH: Final = 1 << 16
_READ: Final = 1 << 14
_PROBLEMS_KEPT: Final = 1_000  # of a stretch
_PREV: Final = '"prev":"'

# Of a stream within a stretch: first seq and the hash it names as previous, last seq and its hash.
End = tuple[int, str, int, str]


@dataclass(slots=True)
class Walked:
    """What one stretch holds.

    Attributes:
        peaks: the frontier at its end.
        roots: asked size -> the frontier there.
        nodes: (level, position) -> root, of the complete subtrees that are kept as rows.
        ends: by stream, if lines were read.
    """

    first: int
    count: int = 0
    peaks: list[bytes] = field(default_factory=list)
    roots: dict[int, list[bytes]] = field(default_factory=dict)
    nodes: dict[tuple[int, int], bytes] = field(default_factory=dict)
    ends: dict[str, End] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def add(self, problem: Problem) -> None:
        if len(self.problems) < _PROBLEMS_KEPT:
            self.problems.append(problem)


def walk(first: int, last: int, peaks: Sequence[bytes], sizes: Sequence[int], *, lines: bool) -> Walked:
    """Read leaves first..last-1.

    Args:
        peaks: the frontier of what lies before, if the stretch goes on from there; empty for a complete subtree of its own.
        sizes: sizes of the whole tree at which the frontier is wanted.
        lines: read the lines too, and check their bytes and how they are chained.
    """
    found = Walked(first)
    before = first if peaks else 0
    frontier = merkle.Frontier(before, list(peaks))
    base = first - before  # the frontier of a subtree of its own counts from 0
    wanted = {size for size in sizes if first < size <= last}
    tiles = found.nodes

    def keep(level: int, index: int, root: bytes) -> None:
        if not level & 7:
            tiles[level, index + (base >> level)] = root

    expected = first
    for index, sealed, stream, seq, leaf, line in _rows(first, last, lines=lines):
        if index != expected:
            found.add(Problem("tree", "", 0, f"leaves {expected} to {index - 1} are missing", leaf=expected))
            expected = index
        frontier.add(bytes.fromhex(_hash(found, index, sealed, stream, seq, leaf, line, lines)), keep)
        expected += 1
        if expected in wanted:
            found.roots[expected] = list(frontier.peaks)
    if expected != last:
        found.add(Problem("tree", "", 0, f"leaves {expected} to {last - 1} are missing", leaf=expected))
    found.peaks, found.count = list(frontier.peaks), expected - first
    return found


def join(stretches: Sequence[Walked]) -> Walked:
    """Stretches that follow each other from leaf 0, each complete but the last, as one."""
    whole = Walked(0)
    frontier = merkle.Frontier()  # over the stretches: the root of each is a leaf here
    for stretch in stretches:
        over = list(frontier.peaks)
        whole.roots.update({size: over + local for size, local in stretch.roots.items()})
        whole.nodes.update(stretch.nodes)
        whole.problems += stretch.problems
        _chain(whole, stretch)
        whole.count += stretch.count
        if stretch.count == STRETCH:
            frontier.add(stretch.peaks[0], _higher(whole.nodes))
            whole.peaks = list(frontier.peaks)
        else:
            whole.peaks = over + stretch.peaks
    for stream, (seq, prev, _, _) in whole.ends.items():
        if (seq, prev) != (1, chain.ZERO):
            whole.add(Problem("chain", stream, seq, "the lines before it are not sealed, or it names none before it"))
    return whole


def root(peaks: Sequence[bytes]) -> bytes:
    result = merkle.EMPTY_ROOT if not peaks else peaks[-1]
    for left in reversed(peaks[:-1]):
        result = merkle.node_hash(left, result)
    return result


def _hash(found: Walked, index: int, sealed: str, stream: str | None, seq: int, leaf: str, line: str, lines: bool) -> str:
    """The hash of what stands there now; of what was sealed if nothing does."""
    if stream is None:
        found.add(Problem("tree", "", 0, "the event that was sealed here is gone", leaf=index))
        return sealed
    if lines:
        leaf = hashlib.sha256(b"\x00" + line.encode("utf-8", "surrogatepass")).hexdigest()
        at = line.rfind(_PREV) + len(_PREV)  # no key behind it has a value that could hold these characters unescaped
        _follow(found, stream, seq, line[at : at + 64], seq, leaf)
    if leaf != sealed:
        found.add(Problem("tree", stream, seq, "it is not the event that was sealed in its place", leaf=index))
    return leaf if len(leaf) == 64 and leaf.isalnum() else sealed


def _follow(found: Walked, stream: str, seq: int, prev: str, last: int, leaf: str) -> None:
    end = found.ends.get(stream)
    if end is None:
        found.ends[stream] = (seq, prev, last, leaf)
        return
    if seq != end[2] + 1:
        found.add(Problem("gapless", stream, seq, f"it was sealed behind line {end[2]} of its stream"))
    elif prev != end[3]:
        found.add(Problem("chain", stream, seq, "it does not follow the line before it"))
    found.ends[stream] = (end[0], end[1], last, leaf)


def _chain(whole: Walked, stretch: Walked) -> None:
    for stream, (seq, prev, last, leaf) in stretch.ends.items():
        _follow(whole, stream, seq, prev, last, leaf)


def _higher(nodes: dict[tuple[int, int], bytes]) -> Callable[[int, int, bytes], None]:
    def keep(level: int, index: int, root: bytes) -> None:
        if not (level + 16) & 7:
            nodes[level + 16, index] = root

    return keep


def _rows(first: int, last: int, *, lines: bool) -> Iterator[tuple[Any, ...]]:
    columns = "l.leaf_index, l.hash, e.stream, e.seq, e.leaf, " + ("e.line" if lines else "''")
    for start in range(first, last, _READ):
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT {columns} FROM audit_leaf l LEFT JOIN audit_event e ON e.id = l.event_id"
                f" WHERE l.leaf_index >= {start} AND l.leaf_index < {min(start + _READ, last)} ORDER BY l.leaf_index"
            )
            yield from cursor.fetchall()
