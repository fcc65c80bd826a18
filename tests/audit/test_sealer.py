"""The sealer: every event gets one place in the tree, whatever order transactions become visible in."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections, transaction

from aegis.core.actors import SYSTEM
from aegis.core.db import in_transaction
from audit import journal, merkle, sealer
from audit.drafts import Context, Draft
from audit.models import Event, Leaf, Node, Tree

PATIENCE = 30.0

races = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]


def sealed() -> list[tuple[int, str, int]]:
    rows = Leaf.objects.order_by("leaf_index").values_list("leaf_index", "event__stream", "event__seq")
    return [tuple(row) for row in rows if row[1].startswith("config:")]


def places() -> list[str]:
    return [f"{stream}/{seq}" for _, stream, seq in sealed()]


def is_whole() -> bool:
    """Each event once, no gap, and the root is that of the leaves."""
    leaves = list(Leaf.objects.order_by("leaf_index").values_list("leaf_index", "event_id", "hash"))
    hashes = dict(Event.objects.values_list("pk", "leaf"))
    tree = Tree.objects.get()
    return (
        [index for index, _, _ in leaves] == list(range(len(hashes)))
        and {event: leaf for _, event, leaf in leaves} == hashes
        and (tree.size, tree.root) == (len(leaves), merkle.root_of(bytes.fromhex(leaf) for _, _, leaf in leaves).hex())
    )


def append(stream: str, count: int = 1) -> None:
    journal.append(Context(stream=stream, scope="system"), [Draft("probe.noted", SYSTEM, {"code": "x"}) for _ in range(count)])


@contextmanager
def open_transaction(stream: str) -> Iterator[None]:
    """Somebody who has written to a stream and commits only when the block ends. In a thread, with his own connection."""
    written, may_commit = threading.Event(), threading.Event()

    def work() -> None:
        try:
            with transaction.atomic():
                append(stream)
                written.set()
                assert may_commit.wait(PATIENCE)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(work)
        assert written.wait(PATIENCE)
        try:
            yield
        finally:
            may_commit.set()
            done.result(PATIENCE)


def test_events_are_sealed_in_the_order_they_were_written(note: Callable[..., Any]) -> None:
    note("config:A", 2)
    note("config:B")
    note("config:A")

    assert sealer.seal() == Event.objects.count()

    assert places() == ["config:A/1", "config:A/2", "config:B/1", "config:A/3"]
    assert is_whole()


def test_the_tree_goes_on_where_it_was(note: Callable[..., Any]) -> None:
    for number in range(1, 6):
        note("config:A", number)
        sealer.seal()

    assert is_whole()
    assert sealer.seal() == 0
    assert sealer.size() == Event.objects.count()


def test_what_waits_is_told_with_its_age(note: Callable[..., Any]) -> None:
    sealer.seal()
    assert sealer.unsealed() == sealer.Unsealed()

    note("config:A", 3)

    assert sealer.unsealed() == sealer.Unsealed(3, Event.objects.filter(stream="config:A").first().at)


def test_a_backlog_is_sealed_in_several_transactions(note: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sealer.AT_ONCE, connection.vendor, 3)  # type: ignore[index]
    note("config:A", 3)
    note("config:B", 7)

    assert sealer.seal() == Event.objects.count()

    assert is_whole()


def test_roots_over_256_leaves_are_kept(note: Callable[..., Any]) -> None:
    note("config:A", 600)
    sealer.seal()

    hashes = [bytes.fromhex(leaf) for leaf in Leaf.objects.order_by("leaf_index").values_list("hash", flat=True)]
    kept = [(node.level, node.position, node.hash) for node in Node.objects.order_by("position")]
    assert kept == [(8, at, merkle.root_of(hashes[at * 256 : at * 256 + 256]).hex()) for at in range(len(hashes) // 256)]


def test_a_sealer_that_dies_has_sealed_nothing(note: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    note("config:A", 3)
    sealer.seal()
    note("config:A", 3)

    def die(point: str) -> None:
        raise KeyboardInterrupt(point)

    with monkeypatch.context() as patch:
        patch.setattr(sealer, "crash_point", die)
        with pytest.raises(KeyboardInterrupt, match="leaves_written"), transaction.atomic():
            sealer.seal()
    assert sealer.size() == Leaf.objects.count() == Event.objects.count() - 3

    sealer.seal()

    assert is_whole()


@pytest.mark.parametrize("table", ["audit_leaf", "audit_node"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET hash = 'forged'", "DELETE FROM {}"])
def test_a_place_in_the_tree_is_never_changed(note: Callable[..., Any], table: str, statement: str) -> None:
    note("config:A", 300)
    sealer.seal()

    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement.format(table))


class TestRaces:
    pytestmark = races

    def test_an_event_that_becomes_visible_late_is_sealed_late(self, note: Callable[..., Any]) -> None:
        with open_transaction("config:Early"):
            note("config:Later")
            sealer.seal()
            assert places() == ["config:Later/1"]
            note("config:Later")
            sealer.seal()
        sealer.seal()

        assert places() == ["config:Later/1", "config:Later/2", "config:Early/1"]
        assert is_whole()

    def test_the_order_of_a_stream_survives_ids_in_another_order(self, note: Callable[..., Any]) -> None:
        # The one who writes line 2 has the older transaction id; a third, older still, keeps the horizon back.
        took_id, may_write = threading.Event(), threading.Event()

        def second() -> None:
            try:
                with transaction.atomic():
                    with connection.cursor() as cursor:
                        cursor.execute("SELECT pg_current_xact_id()")
                    took_id.set()
                    assert may_write.wait(PATIENCE)
                    append("config:A")
            finally:
                connections.close_all()

        with open_transaction("config:Oldest"), ThreadPoolExecutor(1) as pool:
            done = pool.submit(second)
            assert took_id.wait(PATIENCE)
            note("config:A")
            may_write.set()
            done.result(PATIENCE)
            sealer.seal()
            assert places() == ["config:A/1", "config:A/2"]

    def test_a_backlog_of_many_transactions_is_sealed_whole_when_the_sealer_dies_in_the_middle(
        self, note: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sealer.AT_ONCE, connection.vendor, 3)  # type: ignore[index]
        sealer.seal()
        for number in range(8):
            note(f"config:{number}")
        once = in_transaction(sealer._seal_some)

        rest = sealer.seal()

        assert (once, rest) == (3, 5)
        assert is_whole()

    def test_a_restore_into_another_cluster_leaves_nothing_out(self, note: Callable[..., Any]) -> None:
        note("config:A", 2)
        sealer.seal()
        # As a dump brings it: ids of a cluster that was far ahead of this one.
        Tree.objects.update(sealed_xid=2**40, cluster="7000000000000000001")
        note("config:B")

        sealer.seal()

        assert places()[-1] == "config:B/1"
        assert Tree.objects.get().sealed_xid < 2**40
        note("config:B")
        sealer.seal()
        assert places()[-1] == "config:B/2"
        assert is_whole()

    def test_several_sealers_and_writers_seal_each_event_once(self, note: Callable[..., Any]) -> None:
        writing = threading.Event()

        def write(number: int) -> None:
            try:
                for at in range(25):
                    with transaction.atomic():
                        append(f"config:{(number + at) % 5}", 3)
            finally:
                connections.close_all()

        def keep_sealing() -> None:
            try:
                while not writing.is_set():
                    sealer.seal()
            finally:
                connections.close_all()

        with ThreadPoolExecutor(7) as pool:
            sealers = [pool.submit(keep_sealing) for _ in range(3)]
            writers = [pool.submit(write, number) for number in range(4)]
            for done in writers:
                done.result(PATIENCE)
            writing.set()
            for done in sealers:
                done.result(PATIENCE)
        sealer.seal()

        assert len(sealed()) == 4 * 25 * 3
        assert is_whole()
        for number in range(5):
            seqs = [seq for _, stream, seq in sealed() if stream == f"config:{number}"]
            assert seqs == sorted(seqs)
