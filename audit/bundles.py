"""The evidence bundle of a run: a zip that anybody verifies without AEGIS, with Python alone.

Events that the reader may see, payloads as far as he may see them, inclusion proofs, the checkpoint, public keys, a page to
read, and `verify.py`. A payload of which anything is hidden from him is left out whole: its commitment opens to the true text
only. Stored, not compressed: who looks for what must not leak looks into the file as it is.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.template.loader import render_to_string

from aegis.core import clock
from aegis.core.actors import Actor
from aegis.core.db import in_transaction
from aegis.core.errors import Conflict, TooLarge
from aegis.core.visibility import Viewer
from audit import access, checkpoints, journal, keys, masking, merkle, telling
from audit.drafts import Context, Draft
from audit.models import Event, Leaf, Payload
from audit.notes import Note
from audit.tiles import StoredNodes

FORMAT: Final = "aegis/evidence/v1"
MAX_EVENTS: Final = 5_000
_SCRIPT: Final = Path(__file__).with_name("standalone.py")


class NoCheckpoint(Conflict):
    """Nothing was signed yet, so nothing could be proved."""

    code, http_status, title = "no_checkpoint", 409, "No checkpoint was signed yet; try again in a minute"


@dataclass(frozen=True, slots=True)
class Bundle:
    """
    Attributes:
        content: the zip.
        not_covered: events younger than the checkpoint.
    """

    name: str
    content: bytes
    events: int
    not_covered: int


def of_run(run_id: UUID, stream: str, label: str, *, viewer: Viewer, actor: Actor) -> Bundle:
    """Everything about one run that `viewer` may see, and the record that he took it.

    Args:
        stream: the run's own; it is in the bundle as a whole, so its chain must begin with its first line.
        label: how people call the run.

    Raises:
        NoCheckpoint, TooLarge
    """
    newest = checkpoints.latest()
    if newest is None:
        raise NoCheckpoint
    events = list(Event.objects.visible_to(viewer).filter(run_id=run_id).order_by("stream", "seq")[: MAX_EVENTS + 1])
    if len(events) > MAX_EVENTS:
        raise TooLarge(f"A bundle holds {MAX_EVENTS:,} events at most; this run has more")
    made_at = clock.now()
    leaves = dict(Leaf.objects.filter(event__in=[event.pk for event in events]).values_list("event_id", "leaf_index"))
    payloads = _payloads(viewer, events)
    nodes = StoredNodes()
    entries = [_entry(event, leaves.get(event.pk), newest.size, payloads[event.stream, event.seq], nodes) for event in events]
    not_covered = sum(not entry["proof"] and not _is_alone(entry, newest.size) for entry in entries)
    document = {
        "format": FORMAT,
        "run": str(run_id),
        "label": label,
        "made_at": made_at.isoformat(timespec="seconds"),
        "whole": [stream],
        "keys": [str(key) for key in keys.known()],
        "checkpoint": newest.note,
        "events": entries,
    }
    page = render_to_string(
        "audit/evidence.html",
        {
            "label": label,
            "run_id": run_id,
            "made_at": made_at,
            "rows": list(zip(telling.tell(events, viewer), entries, strict=True)),
            "checkpoint": newest,
            "origin": Note.read(newest.note).checkpoint().origin,
            "keys": document["keys"],
            "not_covered": not_covered,
        },
    )
    content = _zip(
        {
            "README.html": page,
            "bundle.json": json.dumps(document, indent=1),
            "checkpoint.note": newest.note,
            "public-keys.txt": "".join(f"{key}\n" for key in keys.known()),
            "verify.py": _SCRIPT.read_text(encoding="utf-8"),
        }
    )
    _record(actor, run_id, len(events), content)
    return Bundle(f"evidence-{str(run_id)[:8]}-{newest.size}.zip", content, len(events), not_covered)


def _entry(event: Event, leaf: int | None, size: int, payloads: list[dict[str, Any]], nodes: StoredNodes) -> dict[str, Any]:
    is_covered = leaf is not None and leaf < size
    proof = merkle.inclusion_proof(leaf, size, nodes) if leaf is not None and is_covered else []
    return {"leaf_index": leaf, "line": event.line, "proof": [node.hex() for node in proof], "payloads": payloads}


def _is_alone(entry: dict[str, Any], size: int) -> bool:
    """The only leaf of a tree needs no proof."""
    return bool(size == 1 and entry["leaf_index"] == 0)


def _payloads(viewer: Viewer, events: Sequence[Event]) -> dict[tuple[str, int], list[dict[str, Any]]]:
    wanted = {(event.stream, event.seq) for event in events}
    rows = Payload.objects.filter(stream__in={event.stream for event in events}).order_by("stream", "seq", "name")
    found: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for row, body in masking.bodies(viewer, [row for row in rows if (row.stream, row.seq) in wanted]):
        if row.erased_at is not None:
            entry = {"name": row.name, "state": "erased"}
        elif body != row.body:
            entry = {"name": row.name, "state": "hidden"}
        else:
            entry = {"name": row.name, "body": row.body, "salt": row.salt}
        found[row.stream, row.seq].append(entry)
    return found


def _record(actor: Actor, run_id: UUID, rows: int, content: bytes) -> None:
    data = {"what": f"the evidence of run:{run_id}", "rows": rows, "digest": hashlib.sha256(content).hexdigest()}
    context = Context(stream=access.stream_of(actor.kind, actor.ref), scope="access", scope_id=actor.ref)
    in_transaction(lambda: journal.append(context, [Draft("export.created", actor, data=data)]))


def _zip(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, text in files.items():
            archive.writestr(name, text.encode("utf-8", "backslashreplace"))
    return buffer.getvalue()
