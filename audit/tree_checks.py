"""The checks of `journal verify` that concern the tree: sealed events against leaves, leaves against every signed checkpoint.

A root of a larger tree that comes out right proves all smaller ones consistent with it, because they are taken from the same
leaves. What the last trustworthy checkpoint does not cover is counted and said, never called good.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from django.db import connection
from django.db.models import Max

from audit import in_processes, keys, merkle, outside, sealer, treewalk
from audit.models import Checkpoint, Event, Leaf, Node, Tree
from audit.notes import BadKey, BadNote, Note, Verifier
from audit.problems import Problem
from audit.tiles import StoredNodes


class Findings(Protocol):
    size: int
    trusted: int
    unsealed: int
    remarks: list[str]
    checks: list[str]

    def add(self, problem: Problem) -> None: ...


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint that somebody kept: where, and what it says."""

    where: str
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Stretch:
    first: int
    last: int
    peaks: tuple[bytes, ...]
    sizes: tuple[int, ...]
    lines: bool


def check(
    report: Findings,
    *,
    first: int = 0,
    last: int | None = None,
    against: Path | None = None,
    lines: bool = False,
    jobs: int = 1,
) -> None:
    """Check the leaves first..last-1 (all of them if None is named) and everything that was signed.

    Args:
        against: a file with checkpoints kept elsewhere.
        lines: read the lines again (if nothing else reads them): bytes and chain.
        jobs: processes to share the work among.
    """
    report.checks += ["tree", "signatures", "nodes", "unsealed"]
    before = Tree.objects.filter(pk=sealer.TREE).first()
    newest = Leaf.objects.aggregate(newest=Max("leaf_index"))["newest"]
    size = 0 if newest is None else newest + 1
    last = size if last is None else min(last, size)
    first = min(first, last)
    signed = list(_signed(report, against))
    walked = _walk(first, last, [one.size for one in signed], lines=lines, jobs=jobs)
    for problem in walked.problems:
        report.add(problem)
    roots = {found: treewalk.root(peaks) for found, peaks in walked.roots.items()}
    roots[last] = treewalk.root(walked.peaks)
    _compare(report, signed, roots, first, last, size)
    _check_nodes(report, walked)
    report.size = size
    _check_sealing(report, before, size)


def _walk(first: int, last: int, sizes: Sequence[int], *, lines: bool, jobs: int) -> treewalk.Walked:
    wanted = tuple(sorted(set(sizes)))
    if first == 0:
        starts = range(0, max(last, 1), treewalk.STRETCH)
        stretches = [
            Stretch(start, min(start + treewalk.STRETCH, last), (), _within(wanted, start, treewalk.STRETCH), lines)
            for start in starts
        ]
        return treewalk.join(in_processes.each(_walk_one, stretches, jobs))
    return _walk_one(Stretch(first, last, tuple(_peaks(first)), _within(wanted, first, last - first), lines))


def _walk_one(stretch: Stretch) -> treewalk.Walked:
    return treewalk.walk(stretch.first, stretch.last, stretch.peaks, stretch.sizes, lines=stretch.lines)


def _within(sizes: Sequence[int], first: int, count: int) -> tuple[int, ...]:
    return tuple(size for size in sizes if first < size <= first + count)


def _peaks(size: int) -> Iterator[bytes]:
    """The frontier of the first `size` leaves, as stored."""
    nodes, start = StoredNodes(), 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            yield nodes(level, start >> level)
            start += 1 << level


def _signed(report: Findings, against: Path | None) -> Iterator[Signed]:
    """Every checkpoint in reach whose signature holds; the others are problems."""
    try:
        known = keys.known()
    except BadKey as error:
        report.add(Problem("signatures", "", 0, f"the signing key of this host cannot be read: {error}"))
        known = []
    if not known:
        report.remarks.append("signatures were not checked: this host knows no public key (AEGIS_JOURNAL_PUBLIC_KEYS)")
    inside = dict(Checkpoint.objects.order_by("size").values_list("size", "note"))
    for size, note in inside.items():
        yield from _opened(report, note, "in the database", known, size)
    kept = list(_kept_outside(report))
    if not kept:
        report.remarks.append("no checkpoint is kept outside the database on this host")
    for note in kept:
        for one in _opened(report, note, "kept outside", known, None):
            if one.size not in inside:
                report.add(Problem("signatures", "", 0, f"the checkpoint of {one.size:,} events is kept outside, not in here"))
            yield one
    for note in outside.read(against) if against is not None else ():
        yield from _opened(report, note, f"in {against.name if against else ''}", known, None)


def _kept_outside(report: Findings) -> Iterator[str]:
    try:
        yield from dict.fromkeys(outside.all_notes())
    except (BadNote, OSError) as error:
        report.add(Problem("signatures", "", 0, f"the checkpoints kept outside cannot be read: {error}"))


def _opened(report: Findings, note: str, where: str, known: Sequence[Verifier], size: int | None) -> Iterator[Signed]:
    try:
        read = Note.read(note)
        said = read.checkpoint()
        if known:
            read.signed_by(known)
            if said.origin not in {verifier.name for verifier in known}:
                raise BadNote(f"it is of another log, {said.origin}")
        if size is not None and said.size != size:
            raise BadNote(f"it says {said.size:,} events")
    except BadNote as error:
        of = "" if size is None else f" of {size:,} events"
        report.add(Problem("signatures", "", 0, f"the checkpoint{of} {where} does not hold: {error}"))
        return
    yield Signed(where, said.size, said.root)


def _compare(report: Findings, signed: Sequence[Signed], roots: dict[int, bytes], first: int, last: int, size: int) -> None:
    good, bad = [0], []
    for one in sorted(signed, key=lambda one: one.size):
        if one.size > size:
            why = f"the database was rolled back: the checkpoint {one.where} is of {one.size:,} events, {size:,} are sealed"
            report.add(Problem("tree", "", 0, why, leaf=size))
            continue
        root = roots.get(one.size) if first < one.size <= last else _stored_root(one.size)
        if one.size == 0 or root == one.root:
            good.append(one.size)
        else:
            bad.append(one)
    trusted = max((found for found in good if not bad or found < bad[0].size), default=0)
    if bad:
        first_event = Event.objects.filter(sealed__leaf_index=trusted).values_list("stream", "seq").first() or ("", 0)
        why = (
            f"the first {bad[0].size:,} events are not those of the checkpoint {bad[0].where};"
            f" it is this one or one of the {bad[0].size - trusted:,} events from here on"
        )
        report.add(Problem("tree", first_event[0], first_event[1], why, leaf=trusted))
    report.trusted = trusted
    if last < size and not bad:
        _tie(report, signed, roots[last], last)


def _tie(report: Findings, signed: Sequence[Signed], root: bytes, last: int) -> None:
    """What was read must be the beginning of something signed; the leaves behind it are taken as they are stored."""
    over = next((one for one in sorted(signed, key=lambda one: one.size) if one.size >= last), None)
    if over is None:
        return
    try:
        proof = merkle.consistency_proof(last, over.size, StoredNodes())
    except LookupError:
        proof = []
    if last != over.size and not merkle.is_consistent(last, over.size, root, over.root, proof):
        report.add(Problem("tree", "", 0, f"what was read is not in the checkpoint of {over.size:,} events", leaf=last - 1))


def _stored_root(size: int) -> bytes | None:
    try:
        return merkle.root_at(size, StoredNodes())
    except LookupError:
        return None


def _check_nodes(report: Findings, walked: treewalk.Walked) -> None:
    """Stored nodes serve proofs only; one that is not of the leaves would make true proofs look false."""
    if walked.first or not walked.count:
        return
    rows = Node.objects.values_list("level", "position", "hash")
    stored = {(level, at): text for level, at, text in rows if (at + 1) << level <= walked.count}
    for level, at in sorted(stored.keys() ^ walked.nodes.keys()):
        report.add(Problem("nodes", "", 0, f"node {at} of level {level} is missing or too many", leaf=at << level))
    for (level, at), text in stored.items():
        if (level, at) in walked.nodes and walked.nodes[level, at].hex() != text:
            report.add(Problem("nodes", "", 0, f"node {at} of level {level} is not the root of its leaves", leaf=at << level))


def _check_sealing(report: Findings, before: Tree | None, size: int) -> None:
    """Compared with the sealer's own row, which moves on meanwhile: it was read before the leaves, and is read again after."""
    report.unsealed = sealer.unsealed().events
    after = Tree.objects.filter(pk=sealer.TREE).first()
    if before is not None and before.size > size:
        why = f"the sealer had reached {before.size:,} leaves, {size:,} are there"
        report.add(Problem("tree", "", 0, why, leaf=size))
    if (after.size if after else 0) < size:
        why = f"the sealer has reached {after.size if after else 0:,} leaves, {size:,} are there"
        report.add(Problem("tree", "", 0, why, leaf=after.size if after else 0))
    for stream, seq in _behind(before) if before is not None else ():
        report.add(Problem("unsealed", stream, seq, "it was put in behind the sealer: what was written then is sealed"))


def _behind(tree: Tree) -> list[tuple[str, int]]:
    """Events without a place in the tree that the sealer will never look at again."""
    if connection.vendor == "postgresql":
        if not sealer.knows_ids(tree):
            return []  # restored: it will look at everything
        where = f"e.xid < '{tree.sealed_xid}'::xid8"
    else:
        where = "e.id <= (SELECT max(event_id) FROM audit_leaf)"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT e.stream, e.seq FROM audit_event e LEFT JOIN audit_leaf l ON l.event_id = e.id"
            f" WHERE l.event_id IS NULL AND {where} ORDER BY e.id LIMIT 100"
        )
        return [(stream, seq) for stream, seq in cursor.fetchall()]
