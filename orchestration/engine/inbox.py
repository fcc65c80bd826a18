"""What others have to tell a run. They write here and raise `wake`; the lease holder reads and raises `seen`.

Neither side writes the other's column, so no wake-up is lost (DESIGN section 4, one writer).
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from django.db import connection
from django.db.models import F

from aegis.core import canonical, clock, wake
from aegis.core.actors import Actor
from aegis.core.errors import NotFound
from audit.models import Payload
from orchestration.engine.children import telling
from orchestration.engine.models import InboxItem, Run
from orchestration.engine.moves import Message


def lock_run(run_id: UUID) -> Run:
    """Lock the run row for this transaction: always before a request or a record (lock order).

    Raises:
        NotFound: no such run.
    """
    rows = Run.objects.filter(pk=run_id)
    if connection.vendor == "postgresql":
        rows = rows.select_for_update()
    run = rows.first()
    if run is None:
        raise NotFound
    assert isinstance(run, Run)
    return run


def post(run_id: UUID, kind: str, *, actor: Actor, ref: str = "", outcome: str = "", reason: str = "") -> None:
    """Write one message and ring, inside the caller's transaction.

    The update of `wake` comes first: it locks the row, so the ordinals of one run are given in commit order.
    """
    Run.objects.filter(pk=run_id).update(wake=F("wake") + 1)
    ordinal = Run.objects.values_list("wake", flat=True).get(pk=run_id)
    InboxItem.objects.create(
        run_id=run_id,
        ordinal=ordinal,
        kind=kind,
        ref=ref,
        outcome=outcome,
        actor_kind=actor.kind,
        actor_ref=actor.ref,
        actor_auth=actor.auth,
        reason=reason,
        created_at=clock.now(),
    )
    wake.nudge()


def unread(spans: Mapping[UUID, tuple[int, int]]) -> dict[UUID, list[Message]]:
    """Run id -> messages with seen < ordinal <= wake, in order, of runs given with (seen, wake). One query, or none.

    Ordinal 1 is the submission itself, which writes no message.
    """
    wanted = {run_id: span for run_id, span in spans.items() if span[1] > max(span[0], 1)}
    if not wanted:
        return {}
    lowest = min(seen for seen, _ in wanted.values())
    rows = InboxItem.objects.filter(run_id__in=wanted, ordinal__gt=lowest).order_by("run_id", "ordinal")
    found: dict[UUID, list[Message]] = {}
    for row in rows:
        seen, wake = wanted[row.run_id]
        if seen < row.ordinal <= wake:
            found.setdefault(row.run_id, []).append(_message(row))
    return found


def _message(row: InboxItem) -> Message:
    actor = Actor(kind=row.actor_kind, ref=row.actor_ref, auth=row.actor_auth)  # type: ignore[arg-type]
    if row.kind == InboxItem.Kind.GATE_SETTLED:
        return _settled(row, actor)
    if row.kind == InboxItem.Kind.CHILD_ENDED:
        return telling.heard(row.ref, ordinal=row.ordinal, outcome=row.outcome, actor=actor)
    if row.kind == InboxItem.Kind.MESSAGE:
        return _sent(row, actor)
    plain = Message(ordinal=row.ordinal, kind=row.kind, ref=row.ref, outcome=row.outcome, actor=actor, reason=row.reason)
    if row.kind != InboxItem.Kind.REVIEW_SETTLED or row.outcome not in ("completed", "happened"):
        return plain
    item, _, place = row.ref.partition("#")  # "<item id>#<seq>,<case>": where the answer is
    seq, _, case = place.partition(",")
    output = Payload.objects.filter(stream=f"review:{item}", seq=int(seq), name="output").first()
    return Message(
        ordinal=row.ordinal,
        kind=row.kind,
        ref=item,
        outcome=row.outcome,
        actor=actor,
        reason="",
        output=f"review:{item}/{seq}" if output else "",
        value=canonical.parse(output.body) if output else None,
        case=case,
    )


def _settled(row: InboxItem, actor: Actor) -> Message:
    """Of a request: "<request id>#<digest of the effect>#<queue its policy names for what expired>#<seq of the edit that was
    approved>"."""
    ref, digest, queue, edit = (*row.ref.split("#"), "", "", "")[:4]
    edited = f"request:{UUID(ref)}" if edit.isdigit() and int(edit) else ""
    output = Payload.objects.filter(stream=edited, seq=int(edit), name="output").first() if edited else None
    return Message(
        ordinal=row.ordinal,
        kind=row.kind,
        ref=ref,
        outcome=row.outcome,
        actor=actor,
        reason=row.reason,
        digest=digest,
        output=f"{edited}/{edit}" if edited else "",
        value=canonical.parse(output.body) if output and output.body else None,
        case=queue,
    )


def _sent(row: InboxItem, actor: Actor) -> Message:
    """A message to the run: its payload is that of the first event of the message's stream."""
    stream = f"message:{UUID(row.outcome)}"
    sent = Payload.objects.filter(stream=stream, seq=1, name="output").values_list("body", flat=True).first()
    return Message(
        ordinal=row.ordinal,
        kind=row.kind,
        ref=row.ref,
        outcome=str(UUID(row.outcome)),
        actor=actor,
        reason="",
        output=f"{stream}/1",
        value=canonical.parse(sent) if sent else None,
    )
