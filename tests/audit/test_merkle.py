"""The tree of RFC 9162: published vectors, and every proof of every small tree."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import merkle

# The eight inputs, their roots and proofs that the reference implementation of RFC 6962 publishes (transparency-dev/merkle and
# google/certificate-transparency, merkle_tree_test).
INPUTS = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
LEAVES = [merkle.leaf_hash(data) for data in INPUTS]
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    4: "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    6: "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}
INCLUSION = {
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
CONSISTENCY = {
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}

sizes = st.integers(1, 300)


def leaves(count: int) -> list[bytes]:
    return [merkle.leaf_hash(str(number).encode()) for number in range(count)]


def by_definition(leaves: list[bytes]) -> bytes:
    """MTH as RFC 9162, section 2.1.1 writes it."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + by_definition(leaves[:k]) + by_definition(leaves[k:])).digest()


@pytest.mark.parametrize("size", ROOTS)
def test_roots_are_the_published_ones(size: int) -> None:
    assert merkle.root_of(LEAVES[:size]).hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size"), INCLUSION)
def test_inclusion_proofs_are_the_published_ones(index: int, size: int) -> None:
    path = merkle.inclusion_proof(index, size, merkle.nodes_of(LEAVES))

    assert [node.hex() for node in path] == INCLUSION[index, size]
    assert merkle.is_included(LEAVES[index], index, size, path, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("old", "new"), CONSISTENCY)
def test_consistency_proofs_are_the_published_ones(old: int, new: int) -> None:
    path = merkle.consistency_proof(old, new, merkle.nodes_of(LEAVES))

    assert [node.hex() for node in path] == CONSISTENCY[old, new]
    assert merkle.is_consistent(old, new, bytes.fromhex(ROOTS[old]), bytes.fromhex(ROOTS[new]), path)


@given(sizes)
def test_a_frontier_gives_the_root_of_the_definition(size: int) -> None:
    given = leaves(size)

    assert merkle.root_of(given) == by_definition(given) == merkle.root_at(size, merkle.nodes_of(given))


@given(sizes, st.data())
def test_every_leaf_is_proved_and_no_other_place_or_leaf_is(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    given = leaves(size)
    root, path = merkle.root_of(given), merkle.inclusion_proof(index, size, merkle.nodes_of(given))

    assert merkle.is_included(given[index], index, size, path, root)
    other = data.draw(st.integers(-1, size + 1).filter(lambda found: found != index))
    assert not merkle.is_included(given[index], other, size, path, root)
    assert not merkle.is_included(merkle.leaf_hash(b"forged"), index, size, path, root)
    assert not merkle.is_included(given[index], index, size, [*path, root], root)
    if path:
        assert not merkle.is_included(given[index], index, size, path[:-1], root)


@given(sizes, st.data())
def test_every_beginning_is_proved_and_no_forged_one_is(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(0, new))
    given = leaves(new)
    path = merkle.consistency_proof(old, new, merkle.nodes_of(given))
    old_root, new_root = merkle.root_of(given[:old]), merkle.root_of(given)

    assert merkle.is_consistent(old, new, old_root, new_root, path)
    assert not merkle.is_consistent(old, new, old_root, new_root, [*path, new_root])
    if old:
        at = data.draw(st.integers(0, old - 1))
        forged = [*given[:at], merkle.leaf_hash(b"forged"), *given[at + 1 :]]
        forged_path = merkle.consistency_proof(old, new, merkle.nodes_of(forged))
        assert not merkle.is_consistent(old, new, old_root, merkle.root_of(forged), forged_path)
        assert not merkle.is_consistent(old, new, merkle.root_of(forged[:old]), new_root, path)
    if path and old != new:
        assert not merkle.is_consistent(old, new, old_root, new_root, path[:-1])


@given(st.integers(0, 300), st.integers(0, 300))
def test_a_frontier_goes_on_where_it_was_put_down(first: int, more: int) -> None:
    given = leaves(first + more)
    frontier = merkle.Frontier()
    frontier.extend(given[:first])
    taken_up = merkle.Frontier(frontier.size, list(frontier.peaks))
    taken_up.extend(given[first:])

    assert taken_up.root() == merkle.root_of(given)


def test_a_frontier_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="no frontier of 3"):
        merkle.Frontier(3, [b"x" * 32])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (3, 3), (-1, 3)])
def test_no_proof_for_a_leaf_that_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="is not in a tree"):
        merkle.inclusion_proof(index, size, merkle.nodes_of(LEAVES))


def test_no_proof_that_a_tree_begins_with_a_larger_one() -> None:
    with pytest.raises(ValueError, match="does not begin"):
        merkle.consistency_proof(4, 3, merkle.nodes_of(LEAVES))
