"""Nodes of the stored tree, for proofs: read in tiles of 256, each once."""

from __future__ import annotations

from audit import merkle
from audit.models import Leaf, Node
from audit.sealer import TILE

_WIDTH = 1 << TILE


class StoredNodes:
    """A `merkle.Nodes` over the tables. Make one per question: it keeps what it has read.

    Raises:
        LookupError: a row that the tree needs is not there.
    """

    def __init__(self) -> None:
        self._tiles: dict[tuple[int, int], merkle.Nodes] = {}

    def __call__(self, level: int, index: int) -> bytes:
        base, height = level // TILE * TILE, level % TILE
        tile = index << height >> TILE
        if (base, tile) not in self._tiles:
            self._tiles[base, tile] = merkle.nodes_of(self._read(base, tile))
        try:
            return self._tiles[base, tile](height, index - (tile << TILE >> height))
        except IndexError:
            raise LookupError(f"The tree lacks node {index} of level {level}") from None

    def _read(self, base: int, tile: int) -> list[bytes]:
        first = tile * _WIDTH
        if base == 0:
            leaves = Leaf.objects.filter(leaf_index__gte=first, leaf_index__lt=first + _WIDTH).order_by("leaf_index")
            rows = list(leaves.values_list("leaf_index", "hash"))
        else:
            nodes = Node.objects.filter(level=base, position__gte=first, position__lt=first + _WIDTH).order_by("position")
            rows = list(nodes.values_list("position", "hash"))
        found: list[bytes] = []
        for place, text in rows:
            if place != first + len(found):
                break  # what stands behind a gap stands in the wrong place
            found.append(bytes.fromhex(text))
        return found
