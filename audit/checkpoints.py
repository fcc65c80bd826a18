"""Checkpoints: signed at most a minute after the journal grew, hourly even if nothing happened, kept in here and outside.

Before signing, the tree must begin with the one whose checkpoint was kept outside last. A database that was rolled back, or
rewritten, does not: then nothing is signed any more, the reason is on record, in the log and on the home page, until somebody
has found out (docs/guide/running.md). Sealing goes on meanwhile.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import structlog
from django.db import connection

from aegis.core import clock
from aegis.core.actors import SYSTEM
from aegis.core.db import in_transaction
from audit import journal, keys, merkle, outside, sealer
from audit.drafts import Context, Draft
from audit.models import Checkpoint, Tree
from audit.notes import BadKey, BadNote, Verifier, open_checkpoint, sign
from audit.notes import Checkpoint as Statement
from audit.tiles import StoredNodes

log = structlog.get_logger(__name__)

#: A minute, less what the sweep and the signature take.
EVERY: Final = timedelta(seconds=55)
IDLE: Final = timedelta(hours=1)


def keep() -> Checkpoint | None:
    """Sign a checkpoint if one is due, keep outside what is not there yet. Called by the sweep. Returns what was signed.

    One that was signed here and not kept outside, because the process died between, is kept at the next look; so is one that
    another host signed: each host has its own folder.
    """
    newest = latest()
    try:
        known = keys.known()
        kept = _kept_outside(known)
        if not _is_due(newest) and (kept.size if kept else 0) == (newest.size if newest else 0):
            _beat(newest)
            return None
        if why := _why_not(kept):
            _refuse(why, kept)
            return None
        signed = in_transaction(lambda: _sign(kept)) if _is_due(newest) else None
    except (BadNote, BadKey) as error:
        _refuse(error.detail, None)
        return None
    for checkpoint in Checkpoint.objects.filter(size__gt=kept.size if kept else 0).order_by("size"):
        outside.append(checkpoint.note, checkpoint.at)
    return signed


def latest() -> Checkpoint | None:
    return Checkpoint.objects.order_by("-size").first()


def refusal() -> str:
    """Why nothing is signed; "" if all is well."""
    return Tree.objects.filter(pk=sealer.TREE).values_list("refusal", flat=True).first() or ""


def _kept_outside(known: list[Verifier]) -> Statement | None:
    note = outside.last()
    if note is None:
        return None
    return open_checkpoint(note, known or [signer.verifier for signer in keys.signers()])


def _is_due(newest: Checkpoint | None) -> bool:
    size = sealer.size()
    if newest is None:
        return size > 0
    return size > newest.size and clock.db_now() - newest.at >= EVERY


def _why_not(kept: Statement | None) -> str:
    """Why the tree does not go on from what was kept outside; "" if it does. Asks the leaves, not the row of the tree."""
    if kept is None:
        return ""
    if kept.size > sealer.size():
        return f"the database was rolled back: a checkpoint of {kept.size:,} events is kept outside, and it has fewer"
    try:
        root = merkle.root_at(kept.size, StoredNodes())
    except LookupError as error:
        return f"the tree is damaged: {error}"
    if root != kept.root:
        return f"the first {kept.size:,} events are not those of the checkpoint that is kept outside"
    return ""


def _sign(kept: Statement | None) -> Checkpoint | None:
    """Sign the tree as it stands. None if another process did or is sealing: this one's turn comes at the next look."""
    tree = Tree.objects.select_for_update(skip_locked=connection.vendor == "postgresql").filter(pk=sealer.TREE).first()
    if tree is None or not _is_due(latest()):
        return None
    root, nodes = bytes.fromhex(tree.root), StoredNodes()
    if merkle.root_at(tree.size, nodes) != root:
        raise BadNote("the tree is damaged: its leaves do not give the root that the sealer reached")
    if kept is not None:
        proof = merkle.consistency_proof(kept.size, tree.size, nodes)
        if not merkle.is_consistent(kept.size, tree.size, kept.root, root, proof):
            raise BadNote("the tree does not begin with the one whose checkpoint is kept outside")
    signers = keys.signers()
    statement = Statement(signers[0].name, tree.size, root)
    if tree.refusal:
        tree.refusal = ""
        tree.save(update_fields=["refusal"])
    note = sign(str(statement), signers)
    return Checkpoint.objects.create(size=tree.size, root=tree.root, note=note, at=clock.db_now())


def _refuse(why: str, kept: Statement | None) -> None:
    """Once on record and in the log for each reason; shown as long as it stands."""

    def work() -> bool:
        tree = Tree.objects.select_for_update().get(pk=sealer.TREE)
        if tree.refusal == why[:300]:
            return False
        tree.refusal = why[:300]
        tree.save(update_fields=["refusal"])
        data = {"why": why, "size": tree.size, "outside": kept.size if kept else 0}
        journal.append(Context(stream="system", scope="system"), [Draft("checkpoint.refused", SYSTEM, data=data)])
        return True

    if refusal() != why[:300] and in_transaction(work):
        log.error("checkpoint_refused", why=why)


def _beat(newest: Checkpoint | None) -> None:
    """Grow by a line if nothing happened for an hour: a checkpoint follows, and its age says that somebody is watching."""
    if newest is None or clock.db_now() - newest.at < IDLE:
        return

    def work() -> None:
        journal.lock("system")  # before looking again: of several workers that are here, one writes
        last = latest()
        if last is None or clock.db_now() - last.at < IDLE or sealer.unsealed().events or sealer.size() > last.size:
            return
        draft = Draft("journal.heartbeat", SYSTEM, data={"size": last.size})
        journal.append(Context(stream="system", scope="system"), [draft])

    in_transaction(work)
