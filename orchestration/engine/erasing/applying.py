"""Doing what two people approved, in the transaction of the second vote."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import Q

from aegis.core.actors import SYSTEM
from aegis.core.canonical import Json
from approvals.changes import LEAST_APPROVERS
from approvals.models import ApprovalRequest, Decision
from audit import journal
from audit.drafts import Context, Draft
from audit.erasures import emptying
from audit.erasures.emptying import Basis
from audit.index import store
from audit.models import Erasure, Hold
from orchestration.engine.erasing import subjects
from orchestration.engine.erasing.verbs import STREAM
from orchestration.engine.messages.models import SentMessage
from orchestration.engine.models import InboxItem, Run
from orchestration.records.models import Record, RecordVersion

EMPTIED_BODY: Final = "{}"
Status = Erasure.Status


def settle(erasure: Erasure, outcome: str, label: str, cause: str, at: datetime) -> None:
    """The request has its outcome. Once: an erasure that is settled stays as it is.

    Args:
        label: of the request, as people call it.
        cause: "<stream>/<seq>" of the line that settled the request.
    """
    if erasure.status != Status.ASKED:
        return
    if outcome != "approved":
        _close(erasure, Status.REJECTED, cause, at)
        return
    runs = _locked(erasure)
    if code := _too_few(erasure) or subjects.obstacle(runs):
        erasure.code = code
        _close(erasure, Status.BLOCKED, cause, at)
        return
    basis = Basis("decision", f"decision {label}", cause)
    # Before its records: what the rows below say of it is not in the way of anybody then.
    records, erasure.shared_records = subjects.records_of(runs)
    keys = {run.business_key for run in runs} - {""} | ({erasure.key} - {""})
    _empty_rows(runs, records, at)
    erasure.payloads = sum(empty_run(run, basis, at) for run in sorted(runs, key=lambda run: str(run.pk)))
    store.forget_words()
    erasure.key = ""
    _close(erasure, Status.APPLIED, cause, at)
    _forget_keys(keys)


def empty_run(run: Run, basis: Basis, at: datetime) -> int:
    context = emptying.of_run(run.pk, "workflow", str(run.workflow_id))
    return emptying.empty(subjects.spots_of(run), context, basis, at)


def empty_keys(runs: Sequence[UUID]) -> None:
    """What stands about runs beside the journal: business keys, what clients named them by, reasons, texts of votes."""
    named = Run.objects.filter(pk__in=runs).exclude(business_key="", idempotency_key=None, input_digest="")
    named.update(business_key="", idempotency_key=None, input_digest="")
    InboxItem.objects.filter(run__in=runs).exclude(reason="").update(reason="")
    SentMessage.objects.filter(run__in=runs).update(key="", idempotency_key=None, digest="")
    requests = ApprovalRequest.objects.filter(run_id__in=runs)
    Decision.objects.filter(request__in=requests).exclude(meaning="").update(meaning="")  # names the resource


def _too_few(erasure: Erasure) -> str:
    """The policy may have been changed since it was asked: nobody erases alone, whatever it says by now."""
    votes = Decision.objects.filter(request=erasure.pk, is_void=False, verdict=Decision.Verdict.APPROVE)
    others = votes.exclude(person=UUID(erasure.asked_by)).values("person").distinct().count()
    return "too_few" if others < LEAST_APPROVERS else ""


def _locked(erasure: Erasure) -> list[Run]:
    ids = [UUID(text) for text in erasure.runs]
    return list(Run.objects.select_for_update(of=("self",)).filter(pk__in=ids).select_related("workflow").order_by("pk"))


def _empty_rows(runs: Sequence[Run], records: Sequence[Record], at: datetime) -> None:
    empty_keys([run.pk for run in runs])
    for record in records:
        # Another version, so that whoever looked at it before acts on what is no more.
        record.key, record.body = f"erased-{record.pk.hex}", EMPTIED_BODY
        record.version, record.updated_at = record.version + 1, at
        record.save(update_fields=["key", "body", "version", "updated_at"])
    RecordVersion.objects.filter(record__in=records).update(body=EMPTIED_BODY)


def _forget_keys(keys: set[str]) -> None:
    """Earlier requests and lifted holds name the key too, if nothing is left that they are about."""
    gone = keys - set(Run.objects.filter(business_key__in=keys).values_list("business_key", flat=True))
    Erasure.objects.filter(~Q(status=Status.ASKED), key__in=gone).update(key="")
    Hold.objects.filter(lifted_at__isnull=False, key__in=gone).update(key="")


def _close(erasure: Erasure, status: Status, cause: str, at: datetime) -> None:
    erasure.status, erasure.settled_at = status, at
    erasure.save(update_fields=["status", "settled_at", "code", "key", "payloads", "shared_records"])
    data: dict[str, Json] = {"erasure": str(erasure.pk), "what": erasure.label}
    if erasure.code:
        data["code"] = erasure.code
    draft = Draft("erasure.settled", SYSTEM, data=data, cause=cause, outcome=status.value)
    journal.append(Context(stream=STREAM, scope="access"), [draft], at)
