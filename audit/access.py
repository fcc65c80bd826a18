"""Refusals as events, and who may read the scopes `access` and `system`.

A first refusal is an event. The same one again within ten minutes is only counted, so that a loop or an attacker cannot grow
the journal at will; the count becomes one `denial.repeated`, at the next refusal after the ten minutes or by `flush_denials`.
Failed sign-ins with names that nobody has are counted in the same way, all names together: strangers make them up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from aegis.core import canonical, clock, clock_text
from aegis.core.actors import Actor
from aegis.core.db import in_transaction
from aegis.core.errors import AegisError, Forbidden
from aegis.core.visibility import Viewer
from aegis.identity.models import Area
from audit import journal
from audit.drafts import Context, Draft
from audit.models import DenialCount, Stream

WINDOW = timedelta(minutes=10)
UNKNOWN_NAME: Final = "sign-in with an unknown name"
#: What was refused -> the event that tells of its repeats; "denial.repeated" for all else.
_REPEATS: Final = {UNKNOWN_NAME: "access.sign_ins_failed"}


def readable_by(user: Viewer) -> Iterable[str] | None:
    """The Scope port for access and system: all of it to whoever may view the area "audit", else nothing."""
    return None if Area.objects.visible_to(user).filter(name="audit").exists() else ()


def stream_of(kind: str, ref: str) -> str:
    """One of sixteen streams, by principal: sign-ins of a whole company must not queue for one row."""
    return f"access:{hashlib.sha256(f'{kind}:{ref}'.encode()).hexdigest()[0]}"


def record_denial(
    actor: Actor,
    what: str,
    at: datetime | None = None,
    *,
    right: str = "",
    code: str = "forbidden",
    detail: str = "",
    times: int = 1,
) -> bool:
    """Record that `actor` was refused. Call it at an edge, after the refused transaction was rolled back.

    Args:
        what: names the attempt: a verb ("grants.grant") or a page; never text somebody typed.
        right: the one that is missing.
        detail: the sentence the actor was shown; erasable.
        times: how often, if the caller has counted.

    Returns:
        True if it became an event, False if it was counted.
    """
    data = {"what": what[:120], "right": right[:80], "code": code[:40]}
    payloads = {"detail": canonical.dump(detail.replace("\x00", ""))} if detail else {}
    first = Draft("access.denied", actor, data=data, payloads=payloads)
    return in_transaction(lambda: _record(first, data, at or clock.db_now(), times))


def record_unknown_name(failed: Draft, at: datetime) -> bool:
    """Record a sign-in with a name that nobody has, or count it if another one, with whatever name, was within ten minutes.

    Returns:
        True if it became an event, False if it was counted.
    """
    return in_transaction(lambda: _record(failed, {"what": UNKNOWN_NAME, "right": "", "code": "unknown_name"}, at, 1))


def deny(actor: Actor, what: str, error: AegisError, at: datetime | None = None) -> None:
    """Record one refusal as `record_denial`, and mark it as recorded: the edge it ends at then adds nothing."""
    right = error.right if isinstance(error, Forbidden) else ""
    record_denial(actor, what, at, right=right, code=error.code, detail=error.detail)
    error.is_on_record = True


def flush_denials(at: datetime | None = None, limit: int = 200) -> int:
    """Turn counts whose ten minutes are over into events. Returns how many rows were settled. Called by the sweep."""
    moment = at or clock.db_now()
    due = DenialCount.objects.filter(first_at__lte=moment - WINDOW).order_by("first_at").values_list("pk", flat=True)
    settled = 0
    for pk in list(due[:limit]):
        settled += in_transaction(lambda pk=pk: _settle(pk, moment))  # type: ignore[misc]  # pk is bound now, not later
    return settled


def _record(first: Draft, refused: dict[str, str], at: datetime, times: int) -> bool:
    """`first` as an event, unless the same was `refused` (what, right, code) within ten minutes."""
    actor = first.actor
    stream = journal.lock(stream_of(actor.kind, actor.ref))  # all refusals of one actor pass here one by one
    key = {"actor_kind": actor.kind, "actor_ref": actor.ref, **refused}
    row = DenialCount.objects.filter(**key).first()
    if row is not None and at - row.first_at < WINDOW:
        row.repeats, row.last_at = row.repeats + times, at
        row.save(update_fields=["repeats", "last_at"])
        return False
    if row is not None:
        _flush(stream, row, at)
    DenialCount.objects.create(**key, first_at=at, last_at=at, repeats=times - 1)
    journal.extend(stream, _context(stream, actor.ref), [first], at)
    return True


def _settle(pk: int, at: datetime) -> int:
    row = DenialCount.objects.filter(pk=pk).first()
    if row is None:
        return 0
    stream = journal.lock(stream_of(row.actor_kind, row.actor_ref))
    row = DenialCount.objects.filter(pk=pk).first()  # read again: it may have been settled while we waited
    if row is None or at - row.first_at < WINDOW:
        return 0
    _flush(stream, row, at)
    return 1


def _flush(stream: Stream, row: DenialCount, at: datetime) -> None:
    row.delete()
    if not row.repeats:
        return
    data = {
        "what": row.what,
        "right": row.right,
        "code": row.code,
        "count": row.repeats,
        "first_at": clock_text.render(row.first_at),
        "last_at": clock_text.render(row.last_at),
    }
    actor = Actor(kind=row.actor_kind, ref=row.actor_ref)  # type: ignore[arg-type]  # stored from an Actor
    repeated = Draft(_REPEATS.get(row.what, "denial.repeated"), actor, data=data)
    journal.extend(stream, _context(stream, row.actor_ref), [repeated], at)


def _context(stream: Stream, ref: str) -> Context:
    return Context(stream=stream.name, scope="access", scope_id=ref)
