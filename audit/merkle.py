"""The Merkle tree of RFC 9162 (section 2.1): roots, frontier, proofs and their verification. Pure; hashes are 32 bytes.

A tree is never held as a whole. Growing needs the frontier (the roots of its complete subtrees, some twenty hashes); proving
needs a `Nodes`, which answers for complete subtrees: level 0 are the leaf hashes, level h the roots over 2^h of them.

Source: RFC 9162, sections 2.1.1 (root), 2.1.3 (inclusion) and 2.1.4 (consistency). RFC 6962 defines the same tree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

EMPTY_ROOT = hashlib.sha256(b"").digest()

# (level, index) -> root of the complete subtree over leaves index * 2^level and following.
Nodes = Callable[[int, int], bytes]
# Told (level, index, root) of a subtree that became complete.
Completed = Callable[[int, int, bytes], None]


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(slots=True)
class Frontier:
    """What a tree needs to grow: its size and the roots of its complete subtrees, the largest (leftmost) first."""

    size: int = 0
    peaks: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        if len(self.peaks) != self.size.bit_count():
            raise ValueError(f"{len(self.peaks)} peaks are no frontier of {self.size} leaves")

    def add(self, leaf: bytes, completed: Completed | None = None) -> None:
        """Append a leaf hash; `completed` is told of every subtree (of two leaves or more) that it makes complete."""
        peaks, level = self.peaks, 0
        peaks.append(leaf)
        self.size += 1
        while not (self.size >> level) & 1:
            right = peaks.pop()
            peaks[-1] = hashlib.sha256(b"\x01" + peaks[-1] + right).digest()
            level += 1
            if completed is not None:
                completed(level, (self.size >> level) - 1, peaks[-1])

    def extend(self, leaves: Iterable[bytes]) -> None:
        for leaf in leaves:
            self.add(leaf)

    def root(self) -> bytes:
        if not self.peaks:
            return EMPTY_ROOT
        result = self.peaks[-1]
        for left in reversed(self.peaks[:-1]):
            result = node_hash(left, result)
        return result


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf hashes."""
    frontier = Frontier()
    frontier.extend(leaves)
    return frontier.root()


def nodes_of(leaves: Sequence[bytes]) -> Nodes:
    """A `Nodes` over leaf hashes held in memory."""
    levels = [list(leaves)]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([node_hash(below[at], below[at + 1]) for at in range(0, len(below) - 1, 2)])
    return lambda level, index: levels[level][index]


def root_at(size: int, nodes: Nodes) -> bytes:
    """The root over the first `size` leaves."""
    return _range(0, size, nodes) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, nodes: Nodes) -> list[bytes]:
    """The audit path of a leaf in the tree over the first `size` leaves.

    Raises:
        ValueError: the tree has no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size}")
    low, high = 0, size
    path: list[bytes] = []
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(_range(middle, high, nodes))
            high = middle
        else:
            path.append(_range(low, middle, nodes))
            low = middle
    return path[::-1]


def consistency_proof(old: int, new: int, nodes: Nodes) -> list[bytes]:
    """That the tree over the first `old` leaves is the beginning of the one over the first `new`. Empty if one of them is.

    Raises:
        ValueError: `old` is larger than `new`.
    """
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} leaves does not begin with {old}")
    if old in (0, new):
        return []
    low, high = 0, new
    path: list[bytes] = []
    is_whole = True  # the old tree is exactly the range walked into: its root is known to the verifier
    while high != old:
        middle = low + _split(high - low)
        if old <= middle:
            path.append(_range(middle, high, nodes))
            high = middle
        else:
            path.append(_range(low, middle, nodes))
            low, is_whole = middle, False
    if not is_whole:
        path.append(_range(low, high, nodes))
    return path[::-1]


def is_included(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Does `path` prove that `leaf` stands at `index` under `root`? RFC 9162, section 2.1.3.2."""
    if not 0 <= index < size:
        return False
    first, last, result = index, size - 1, leaf
    for node in path:
        if last == 0:
            return False
        if first & 1 or first == last:
            result = node_hash(node, result)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            result = node_hash(result, node)
        first, last = first >> 1, last >> 1
    return last == 0 and result == root


def is_consistent(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Does `path` prove that the tree `new` begins with the tree `old`? RFC 9162, section 2.1.4.2; every tree begins with the
    empty one."""
    if not 0 <= old <= new:
        return False
    if old == new:
        return not path and old_root == new_root
    if old == 0:
        return not path and old_root == EMPTY_ROOT
    if not path:
        return False
    nodes = [old_root, *path] if old & (old - 1) == 0 else list(path)
    first, last = old - 1, new - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    was = became = nodes[0]
    for node in nodes[1:]:
        if last == 0:
            return False
        if first & 1 or first == last:
            was, became = node_hash(node, was), node_hash(node, became)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            became = node_hash(became, node)
        first, last = first >> 1, last >> 1
    return last == 0 and was == old_root and became == new_root


def _split(size: int) -> int:
    """The largest power of two below `size` (which is at least 2)."""
    return 1 << ((size - 1).bit_length() - 1)


def _range(low: int, high: int, nodes: Nodes) -> bytes:
    """The root over leaves low..high-1, where `low` is where such a range may begin."""
    size = high - low
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return nodes(level, low >> level)
    middle = low + _split(size)
    return node_hash(_range(low, middle, nodes), _range(middle, high, nodes))
