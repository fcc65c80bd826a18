"""Verifying on somebody's behalf: runs `audit.verify`, keeps the result for the badge and records that it was done."""

from __future__ import annotations

from aegis.core import clock
from aegis.core.actors import Actor
from aegis.core.db import in_transaction
from audit import journal, triggers
from audit.drafts import Context, Draft
from audit.models import Verification
from audit.verify import Progress, Report, verify

SYSTEM_STREAM = "system"


def run(actor: Actor, stream: str | None = None, *, on_progress: Progress | None = None) -> Report:
    """Verify now. A broken record is reported, not raised, and never repaired."""
    report = verify(stream, on_progress=on_progress)
    in_transaction(lambda: _record(actor, report))
    return report


def protect(actor: Actor) -> list[str]:
    """Put back append-only triggers that are missing or changed. Returns what was wrong; recorded if anything was."""

    def work() -> list[str]:
        found = triggers.restore()
        if found:
            draft = Draft("journal.protected", actor, data={"count": len(found), "faults": found[:20]})
            journal.append(Context(stream=SYSTEM_STREAM, scope="system"), [draft])
        return found

    return in_transaction(work)


def latest() -> Verification | None:
    """The last verification of everything; the badge shows it."""
    return Verification.objects.filter(stream="").order_by("-id").first()


def newest(count: int) -> list[Verification]:
    return list(Verification.objects.order_by("-id")[:count])


def _record(actor: Actor, report: Report) -> None:
    at = clock.db_now()
    first_bad = report.first_bad.place if report.first_bad else ""
    Verification.objects.create(
        at=at,
        by=actor.key,
        stream=report.stream,
        is_good=report.is_good,
        checked=report.checked,
        erased=report.erased,
        duration_ms=report.duration_ms,
        first_bad=first_bad[:160],
        report=report.as_json(),
    )
    data = {"stream": report.stream, "checked": report.checked, "erased": report.erased, "faults": report.faults}
    journal.append(
        Context(stream=SYSTEM_STREAM, scope="system"),
        [
            Draft(
                "journal.verified",
                actor,
                data={**data, "first_bad": first_bad},
                outcome="whole" if report.is_good else "broken",
                duration_ms=report.duration_ms,
            )
        ],
        at,
    )
