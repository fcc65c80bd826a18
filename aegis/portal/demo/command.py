"""`manage.py aegis demo load` and `manage.py aegis demo support-intake --input FILE.csv`."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

from aegis.core import canonical, clock
from aegis.core.commands import Terminal
from aegis.core.errors import Unavailable
from aegis.portal.demo import load, sheet
from aegis.portal.demo.examples import EXAMPLES
from approvals.models import ApprovalRequest
from orchestration.engine import worker
from orchestration.engine.models import ReviewItem, Run
from orchestration.records.models import Record

HELP = "load the demo, or put a CSV of requests through the reference workflow"
WIDTH = 32
STALL_SECONDS = 120.0
CHUNK = 500


def add_arguments(parser: ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="what", metavar="what", required=True)
    verbs.add_parser("load", help="configuration, people's mailbox and sample items; safe to repeat")
    intake = verbs.add_parser(load.WORKFLOW, help="submit every request of a CSV (columns id, text) and see them through")
    intake.add_argument("--input", type=Path, required=True, metavar="FILE.csv")


def handle(options: dict[str, Any], terminal: Terminal) -> int:
    return _load(terminal) if options["what"] == "load" else _intake(options["input"], terminal)


def _load(terminal: Terminal) -> int:
    is_new = load.configuration()
    person = load.mailbox()
    if is_new:
        rows = sheet.read(load.sample_items())
        terminal.line(f"Demo loaded: {load.WORKFLOW} with {load.submit(rows, person=person)} sample requests.")
        for example in EXAMPLES:
            terminal.line(f"Demo loaded: {example.workflow} with {load.samples_of(example)} samples.")
    return 0


def _intake(path: Path, terminal: Terminal) -> int:
    rows = sheet.read(path)
    load.configuration()
    person = load.mailbox()
    sheet.refuse(path, load.faults_of(rows))
    started = clock.monotonic()
    new = load.submit(rows, person=person)
    keys = [load.key_of(row) for row in rows]
    terminal.note(f"{len(rows):,} requests, {new:,} of them new.")
    _see_through(keys, terminal)
    seconds = clock.monotonic() - started
    for line in _summary(keys, seconds):
        terminal.line(line)
    return 0


def _see_through(keys: list[str], terminal: Terminal) -> None:
    """Drive until every run of these keys rests, beside whatever workers there are.

    Raises:
        Unavailable: nothing moved for two minutes.
    """
    moved_at, last = clock.monotonic(), -1
    while True:
        resting = sum(run["rests"] for run in _runs(keys))
        _draw(resting, len(keys), terminal)
        if resting == len(keys):
            terminal.note()
            return
        if resting != last:
            moved_at, last = clock.monotonic(), resting
        elif clock.monotonic() - moved_at > STALL_SECONDS:
            raise Unavailable(f"{len(keys) - resting} runs have not moved for {STALL_SECONDS:g} s")
        worker.drive_for(1.0)
        time.sleep(0.05)


def _draw(done: int, total: int, terminal: Terminal) -> None:
    filled = WIDTH * done // total
    terminal.err.write(f"\r[{'#' * filled}{'.' * (WIDTH - filled)}] {done:,} of {total:,}")
    terminal.err.flush()


def _runs(keys: list[str]) -> Iterator[dict[str, Any]]:
    moving = (Run.Status.RUNNING, Run.Status.WAITING_RETRY)
    for start in range(0, len(keys), CHUNK):
        rows = Run.objects.filter(idempotency_key__in=keys[start : start + CHUNK])
        for pk, status in rows.values_list("pk", "status"):
            yield {"id": pk, "status": status, "rests": status not in moving}


def _summary(keys: list[str], seconds: float) -> list[str]:
    """What became of them: nothing is lost, so the lines add up to the requests."""
    runs = list(_runs(keys))
    by_status = Counter(run["status"] for run in runs)
    ids = [run["id"] for run in runs]
    total = len(keys)
    lines = [f"{total:,} requests in {seconds:.1f} s ({total / seconds:.0f} a second); lost: {total - len(runs)}"]
    labels = dict(Run.Status.choices)
    lines += [f"  {labels[status]:<24} {count:>7,}  {_share(count, total)}" for status, count in by_status.most_common()]
    for title, counts in (("To people, because", _codes(ids)), ("Queue of the ticket", _queues(ids))):
        if counts:
            lines.append(title)
            lines += [f"  {name:<24} {count:>7,}  {_share(count, total)}" for name, count in counts.most_common()]
    lines.append(f"Waiting for an approval: {_waiting(ids):,}")
    return lines


def _codes(ids: list[UUID]) -> Counter[str]:
    found: Counter[str] = Counter()
    for start in range(0, len(ids), CHUNK):
        found.update(ReviewItem.objects.filter(run__in=ids[start : start + CHUNK]).values_list("code", flat=True))
    return found


def _queues(ids: list[UUID]) -> Counter[str]:
    found: Counter[str] = Counter()
    for start in range(0, len(ids), CHUNK):
        records = Record.objects.filter(versions__run_id__in=ids[start : start + CHUNK]).distinct()
        # With the key: two tickets may read alike, and distinct would make them one.
        found.update(str(canonical.parse(body).get("queue", "?")) for _, body in records.values_list("pk", "body"))
    return found


def _waiting(ids: list[UUID]) -> int:
    count = 0
    for start in range(0, len(ids), CHUNK):
        count += ApprovalRequest.objects.filter(
            run_id__in=ids[start : start + CHUNK], status=ApprovalRequest.Status.OPEN
        ).count()
    return count


def _share(count: int, total: int) -> str:
    return f"{100 * count / total:5.1f} %"
