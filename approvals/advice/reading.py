"""The history of a policy as one reader may see it. Queries do not grow with requests; what he may not see is not counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from aegis.core import canonical, clock
from aegis.core.canonical import Json
from aegis.core.errors import Malformed
from aegis.core.visibility import Viewer
from approvals import quality, questions
from approvals.advice import runs
from approvals.advice.cases import Case, History, Vote, Weakness
from approvals.changes import CONFIG_POLICY, ERASURE_POLICY
from approvals.models import ApprovalPolicy, ApprovalRequest, Decision
from audit import masking
from audit.models import Payload

DAYS: Final = (30, 90, 180, 365)
DEFAULT_DAYS: Final = 90
MOST: Final = 2_000  # settled requests looked at, the newest; and as many passings

_SETTLED: Final = [
    status
    for status in ApprovalRequest.Status.values
    if status not in (ApprovalRequest.Status.OPEN, ApprovalRequest.Status.FROZEN)
]
_SHOWN: Final = ("proposal", "record")


def read(reader: Viewer, policy: ApprovalPolicy, days: int = DEFAULT_DAYS) -> History:
    """What was settled under the policy in the last days, of the requests that `reader` may see."""
    since = clock.now() - timedelta(days=days)
    rows = ApprovalRequest.objects.visible_to(reader).filter(policy=policy, status__in=_SETTLED, settled_at__gte=since)
    newest = list(rows.order_by("-settled_at", "pk")[: MOST + 1])
    requests = newest[:MOST]
    votes = _votes(reader, requests, since)
    shown = _shown(reader, requests)
    run_ids = {one.run_id for one in requests if one.run_id is not None and one.status == ApprovalRequest.Status.APPROVED}
    fates = runs.owner().undone(reader, run_ids)
    passages = tuple(runs.owner().passed(reader, policy.name, since, MOST))
    return History(
        days=days,
        cases=tuple(_case(one, votes.get(one.pk, ()), shown.get(one.pk, {}), fates) for one in requests),
        passages=passages,
        standing=runs.owner().standing(policy.name),
        is_cut=len(newest) > MOST or len(passages) == MOST,
        is_own=policy.name in (CONFIG_POLICY, ERASURE_POLICY),
    )


def _case(request: ApprovalRequest, votes: Sequence[Vote], shown: dict[str, Json], fates: Mapping[UUID, bool]) -> Case:
    assert request.settled_at is not None
    run_id = request.run_id if request.status == ApprovalRequest.Status.APPROVED else None
    return Case(
        id=request.pk,
        capability=request.capability,
        risk=request.risk,
        outcome=request.status,
        seconds=(request.settled_at - request.opened_at).total_seconds(),
        votes=tuple(votes),
        may_pass_fast=_looks_at_fast_paths(request.question),
        parameters=_parameters(request, shown.get("proposal")),
        record=_body(shown.get("record")),
        was_edited=request.revision > 0,
        was_undone=run_id is not None and fates.get(run_id, False),
        is_followed=run_id is None or run_id in fates,
    )


def _looks_at_fast_paths(kind: str) -> bool:
    return kind in questions.registered() and questions.get(kind).looks_at_fast_paths


def _parameters(request: ApprovalRequest, proposal: Json) -> Any:
    """What a fast path calls `parameters`: of an effect those of its proposal, of a gate the proposal itself."""
    if request.capability:
        proposal = proposal.get("parameters") if isinstance(proposal, dict) else None
    return proposal if isinstance(proposal, dict) else None


def _body(record: Json) -> Any:
    body = record.get("body") if isinstance(record, dict) else None
    return body if isinstance(body, dict) else None


def _votes(reader: Viewer, requests: Sequence[ApprovalRequest], since: Any) -> dict[UUID, list[Vote]]:
    """The votes on each request, in their order. Three queries."""
    rows = Decision.objects.filter(request__in=[one.pk for one in requests])
    decisions = list(rows.select_related("person", "request__policy").order_by("at", "seq"))
    easy = quality.approving_everything(reader, since) if decisions else frozenset()
    found: dict[UUID, list[Vote]] = {}
    for row, told in zip(decisions, quality.told(decisions), strict=True):
        weakness: Weakness = "hurried" if told.is_fast else "approves_all" if row.person_id in easy else ""
        found.setdefault(row.request_id, []).append(Vote(told.person, row.verdict, row.stage, row.digest, weakness))
    return found


def _shown(reader: Viewer, requests: Sequence[ApprovalRequest]) -> dict[UUID, dict[str, Json]]:
    """What was shown with each request when it opened, as the reader may see it; what was edited counts against it anyway."""
    by_stream = {one.stream: one.pk for one in requests if _looks_at_fast_paths(one.question) and one.risk == "low"}
    rows = Payload.objects.filter(stream__in=list(by_stream), seq=1, name__in=_SHOWN, erased_at__isnull=True)
    found: dict[UUID, dict[str, Json]] = {}
    for row in masking.shown(reader, rows.values_list("stream", "seq", "name", "body")):
        try:
            found.setdefault(by_stream[row.stream], {})[row.name] = canonical.parse(row.body)
        except Malformed:
            continue
    return found
