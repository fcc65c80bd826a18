"""Gives every event its place in one tree. One sealer at a time; readers that must miss nothing follow its order.

Transactions become visible in another order than they took their ids, so an id or a time is no bookmark. The sealer asks for
what is *visible and not sealed*: what it missed now it finds at the next look. That keeps the order of a stream too, as line
n is committed before line n+1 is written. Where to look from is what the stored transaction ids are for: all events below the
snapshot's xmin have been seen. After a restore into another cluster ids start anew: then it looks at everything (ADR 0043).

Plain SQL: a backlog of millions (an import, a long stop) must not become objects. 100,000 events are sealed in about a second.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final

from django.db import connection
from django.db.models import Count, Max, Min

from aegis.core import clock
from aegis.core.bulk import Rows
from aegis.core.db import in_transaction
from aegis.core.faults import crash_point
from audit import merkle
from audit.models import Event, Leaf, Tree

#: Events sealed in one transaction. SQLite has one writer, who must not keep the others waiting.
AT_ONCE: Final = {"postgresql": 100_000, "sqlite": 10_000}
TILE: Final = 8  # every so many levels a complete subtree's root is kept (audit.models.Node)

TREE: Final = 1
_LEAVES = Rows({"leaf_index": "int8", "event_id": "int8", "hash": "text"})
_NODES = Rows({"level": "int", "position": "int8", "hash": "text"})

Found = tuple[int, str]  # event id, leaf hash


@dataclass(frozen=True, slots=True)
class Unsealed:
    """What waits for the sealer.

    Attributes:
        events: how many.
        oldest_at: when the oldest of them was recorded; None if none waits.
    """

    events: int = 0
    oldest_at: datetime | None = None


def seal() -> int:
    """Seal what is visible and not sealed. Called by the sweep of every worker process. Returns how many events were sealed.

    0 as well if another process is sealing: what this one would have sealed is sealed there, or at the next look.
    """
    sealed = 0
    while _waits():
        count = in_transaction(_seal_some)
        sealed += count
        if count < AT_ONCE[connection.vendor]:
            break
    return sealed


def unsealed() -> Unsealed:
    """What waits now. Healthy is: nothing older than a few seconds."""
    tree = Tree.objects.filter(pk=TREE).first() or Tree()
    found = Event.objects.extra(where=[_not_sealed(tree)]).aggregate(events=Count("pk"), oldest=Min("at"))  # noqa: S610  (our own text)
    return Unsealed(found["events"], found["oldest"])


def size() -> int:
    """How many events are sealed: the index of the next leaf."""
    return Tree.objects.filter(pk=TREE).values_list("size", flat=True).first() or 0


def _waits() -> bool:
    """A look without a lock, so that an idle sealer takes none."""
    tree = Tree.objects.filter(pk=TREE).first()
    if tree is None:
        Tree.objects.bulk_create([Tree(pk=TREE)], ignore_conflicts=True)
        return True
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS (SELECT 1 FROM audit_event WHERE {_not_sealed(tree)})")
        return bool(cursor.fetchone()[0])


def _seal_some() -> int:
    # SQLite ignores the lock and needs none: an IMMEDIATE transaction is the only writer.
    tree = Tree.objects.select_for_update(skip_locked=connection.vendor == "postgresql").filter(pk=TREE).first()
    if tree is None:
        return 0  # another process seals
    found, xmin = _find(tree)
    if not found:
        return 0
    frontier = merkle.Frontier(tree.size, [bytes.fromhex(peak) for peak in tree.frontier])
    first = tree.size
    nodes: list[tuple[int, int, str]] = []

    def keep(level: int, index: int, root: bytes) -> None:
        if level % TILE == 0:
            nodes.append((level, index, root.hex()))

    for _, leaf in found:
        frontier.add(bytes.fromhex(leaf), keep)
    _insert("audit_leaf", _LEAVES, ((first + at, event, leaf) for at, (event, leaf) in enumerate(found)))
    _insert("audit_node", _NODES, iter(nodes))
    tree.size, tree.root = frontier.size, frontier.root().hex()
    tree.frontier = [peak.hex() for peak in frontier.peaks]
    if len(found) < AT_ONCE[connection.vendor]:
        tree.sealed_xid, tree.cluster = xmin, _cluster()
    tree.sealed_at = clock.db_now()
    tree.save()
    crash_point("leaves_written")
    return len(found)


def _find(tree: Tree) -> tuple[Sequence[Found], int]:
    """The next events in the order they are sealed, and the snapshot's xmin: every event written below it is visible now."""
    xmin = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint" if connection.vendor == "postgresql" else "0"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, leaf, {xmin} FROM audit_event WHERE {_not_sealed(tree)} ORDER BY id LIMIT {AT_ONCE[connection.vendor]}"
        )
        rows = cursor.fetchall()
    return [(event, leaf) for event, leaf, _ in rows], rows[0][2] if rows else 0


def _not_sealed(tree: Tree) -> str:
    """The condition on `audit_event`.

    The numbers stand in the text: a prepared plan would not know how few rows lie behind them, and read the whole table.
    """
    if connection.vendor != "postgresql":
        last = Leaf.objects.aggregate(last=Max("event"))["last"] or 0  # one writer: ids are committed in their order
        return f"audit_event.id > {last}"
    since = tree.sealed_xid if knows_ids(tree) else 0
    return f"audit_event.xid >= '{since}'::xid8 AND NOT EXISTS (SELECT 1 FROM audit_leaf l WHERE l.event_id = audit_event.id)"


def knows_ids(tree: Tree) -> bool:
    """Are the transaction ids it noted those of this cluster?"""
    return tree.cluster == _cluster()


def _cluster() -> str:
    """Whose transaction ids these are; "" on SQLite."""
    if connection.vendor != "postgresql":
        return ""
    with connection.cursor() as cursor:
        cursor.execute("SELECT system_identifier::text FROM pg_control_system()")
        return str(cursor.fetchone()[0])


def _insert(table: str, columns: Rows, rows: Iterator[Any]) -> None:
    names = ", ".join(columns.columns)
    while batch := list(islice(rows, 5_000)):
        with connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM {columns.source()}", [columns.param(batch)])
