"""What the database says after a storm, told in a fork of the nursery (`cradle.Nursery.task`). Plain JSON for `judge`."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

ENDINGS: Final = ("run.completed", "run.failed", "run.cancelled")


def tell() -> dict[str, Any]:
    """Runs, requests, what their streams say, and the product's own verification."""
    from django.db import connection

    from approvals.models import ApprovalRequest, Decision
    from audit import journal
    from audit.models import Event
    from orchestration.engine.models import InboxItem, ReviewItem, Run
    from orchestration.records.models import RecordVersion

    every = Run.objects.order_by("submitted_at").select_related("workflow")
    runs = [run for run in every if run.parent_id is None]
    report = journal.verify()
    with connection.cursor() as cursor:
        cursor.execute("SELECT stream, seq, line_fence, run_fence FROM torture_witness")
        stale = [list(row) for row in cursor.fetchall()]
    return {
        "runs": [
            {
                "id": str(run.pk),
                "key": run.idempotency_key or "",
                "order": run.business_key,
                "workflow": run.workflow.name,
                "status": run.status,
                "step": run.step,
                "leased": run.lease_until is not None,
                "wake": run.wake,
                "seen": run.seen,
            }
            for run in runs
        ],
        "children": [
            {
                "id": str(run.pk),
                "parent": str(run.parent_id),
                "status": run.status,
                "step": run.step,
                "leased": run.lease_until is not None,
                "wake": run.wake,
                "seen": run.seen,
            }
            for run in every
            if run.parent_id is not None
        ],
        "streams": _streams(),
        **_meetings(),
        "inbox": [[str(row[0]), *row[1:]] for row in InboxItem.objects.values_list("run_id", "ordinal", "kind", "ref")],
        "review_codes": [
            [str(run), code] for run, code in ReviewItem.objects.filter(status="open").values_list("run_id", "code")
        ],
        "requests": {
            str(row[0]): {"status": row[1], "run": str(row[2])}
            for row in ApprovalRequest.objects.values_list("id", "status", "run_id")
        },
        "decisions": Counter(str(pk) for pk in Decision.objects.filter(is_void=False).values_list("request_id", flat=True)),
        "settled": Counter(
            stream.removeprefix("request:")
            for stream in Event.objects.filter(type="request.settled").values_list("stream", flat=True)
        ),
        "record_versions": Counter(RecordVersion.objects.values_list("effect_key", flat=True)),
        "stale": stale,
        "is_whole": report.is_good,
        "problems": [str(problem) for problem in report.problems],
    }


def _meetings() -> dict[str, Any]:
    """What runs have to do with one another, from their lines: who was forked and joined, who had a resource, who a message."""
    from audit import chain
    from audit.models import Event
    from orchestration.engine.messages.models import SentMessage
    from orchestration.engine.resources.models import Resource

    types = ("step.forked", "child.ended", "message.received", "resource.claimed", "resource.released", *ENDINGS)
    forked: Counter[str] = Counter()
    joined: Counter[str] = Counter()
    received: Counter[str] = Counter()
    places: list[list[str]] = []  # in the order in which they were written: whoever waited for a row wrote later
    for run, type_, text in Event.objects.filter(type__in=types).order_by("pk").values_list("run_id", "type", "line"):
        line = chain.read_line(text)
        match type_:
            case "step.forked":
                forked.update(line["data"]["begun"].values())
            case "child.ended":
                joined[line["data"]["child"]] += 1
            case "message.received":
                received[line["cause"].removeprefix("message:")] += 1
            case _:
                places.append([str(run), type_])
    return {
        "forked": forked,
        "joined": joined,
        "received": received,
        "places": places,
        "held": [[key, str(run)] for key, run in Resource.objects.values_list("key", "run_id")],
        "messages": {str(pk): status for pk, status in SentMessage.objects.values_list("pk", "status")},
    }


def _streams() -> dict[str, dict[str, Any]]:
    """Run id -> what its lines say: types counted, keys intended and done, causes, matrix versions of intents."""
    from audit import chain
    from audit.models import Event

    found: dict[str, dict[str, Any]] = {}
    for stream, type_, text in (
        Event.objects.filter(stream__startswith="run:").order_by("stream", "seq").values_list("stream", "type", "line")
    ):
        line = chain.read_line(text)
        about: dict[str, Any] = found.setdefault(
            stream.removeprefix("run:"), {"types": {}, "intended": {}, "done": {}, "causes": [], "fences": []}
        )
        about["types"][type_] = about["types"].get(type_, 0) + 1
        about["causes"].append(line["cause"])
        about["fences"].append(line["fence"])
        for event, book in (("effect.intended", "intended"), ("effect.done", "done")):
            if type_ == event:
                key = line["data"]["key"]
                about[book][key] = about[book].get(key, 0) + 1
    return found
