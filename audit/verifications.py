"""Verifying on somebody's behalf: runs `audit.verify`, keeps the result for the badge and records that it was done."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db.models import Subquery

from aegis.core import clock
from aegis.core.actors import Actor
from aegis.core.db import in_transaction
from audit import journal, sealer, triggers
from audit.drafts import Context, Draft
from audit.models import Tree, Verification
from audit.verify import Progress, Report, verify, verify_leaves

SYSTEM_STREAM = "system"
#: From the first look of a worker to the first verification: soon, so that a new installation has something to show for itself.
FIRST_SECONDS = 120


def run(
    actor: Actor,
    stream: str | None = None,
    *,
    against: Path | None = None,
    jobs: int = 1,
    on_progress: Progress | None = None,
) -> Report:
    """Verify now. A broken record is reported, not raised, and never repaired.

    Args:
        against: a file with checkpoints kept elsewhere.
        jobs: processes to share the work among; inside a transaction there is one, whatever is asked.
    """
    report = verify(stream, against=against, jobs=jobs, on_progress=on_progress)
    in_transaction(lambda: _record(actor, report))
    return report


def run_leaves(actor: Actor, first: int, last: int | None, *, against: Path | None = None, jobs: int = 1) -> Report:
    """Verify bytes, chain, tree and signatures of a stretch of leaves. No badge follows from it."""
    report = verify_leaves(first, last, against=against, jobs=jobs)
    report.stream = f"leaves from {first}" + ("" if last is None else f" to {last - 1}")
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


def keep() -> bool:
    """Begin the verification of the hour, in a process of its own, if it is due. Called by the sweep. Did one begin?

    The first is due two minutes after the journal began. Of several workers the one that moves the moment runs it.
    """
    global _running
    if _running is not None and _running.poll() is None:
        return False
    _running = None
    if not settings.VERIFY_SECONDS:
        return False
    now = clock.db_now()
    tree = Tree.objects.filter(pk=sealer.TREE).first()
    if tree is None:
        return False
    mine = Tree.objects.filter(pk=tree.pk, verify_at=tree.verify_at)
    if tree.verify_at is None:
        mine.update(verify_at=now + timedelta(seconds=min(FIRST_SECONDS, settings.VERIFY_SECONDS)))
        return False
    if tree.verify_at > now or not mine.update(verify_at=now + timedelta(seconds=settings.VERIFY_SECONDS)):
        return False
    command = [sys.executable, "-m", "django", "aegis", "journal", "verify", "--scheduled"]
    _running = subprocess.Popen(command, cwd=settings.BASE_DIR, stdout=subprocess.DEVNULL)  # noqa: S603  (our own words)
    return True


_running: subprocess.Popen[bytes] | None = None


def latest() -> Verification | None:
    """The last verification of everything, with the tree's `refusal` of now (`checkpoints.refusal`); the badge shows both."""
    refusal = Tree.objects.filter(pk=sealer.TREE).values("refusal")[:1]
    return Verification.objects.filter(stream="").annotate(refusal=Subquery(refusal)).order_by("-id").first()


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
