"""Deciding several requests together: each gets a vote of its own, with its own digest and its own refusal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from aegis.core.actors import Actor, user_actor
from aegis.core.errors import AegisError, Conflict, NotFound
from aegis.identity.models import User
from approvals import gates, questions, signing
from approvals.models import ApprovalRequest
from audit import access

MAX_TOGETHER: Final = 10


class NotTogether(Conflict):
    """High risk, under a floor lock, or claimed by somebody else: it is looked at by itself."""

    code, title = "not_together", "This request is decided by itself"


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one vote: `error` is None where it was recorded."""

    label: str
    error: AegisError | None


def alone_because(request: ApprovalRequest, person: User) -> str:
    """Why a request cannot be decided together with others; "" if it can."""
    return alone_of([request], person).get(request.pk, "")


def alone_of(requests: Sequence[ApprovalRequest], person: User) -> dict[UUID, str]:
    """Request -> why it cannot be decided together with others, for those that cannot. Queries do not grow with the rows."""
    by_kind: dict[str, list[ApprovalRequest]] = {}
    for request in requests:
        by_kind.setdefault(request.question, []).append(request)
    locked = {pk for kind, group in by_kind.items() for pk in questions.get(kind).locked(group)}
    found = {}
    for request in requests:
        if signing.risk_of(request) == "high":
            found[request.pk] = "its risk is high"
        elif request.pk in locked:
            found[request.pk] = "a floor lock stands over it"
        elif request.claimed_by_id not in (None, person.pk):
            found[request.pk] = "somebody else has taken it"
    return found


def decide_each(
    seen: Mapping[UUID, tuple[str, int | None]],
    *,
    person: User,
    auth: str,
    verdict: str,
    reason: str,
    proved_at: datetime | None,
) -> list[Answer]:
    """Vote on each as if it came alone; one refusal keeps no other vote back. Call it outside a transaction.

    Args:
        seen: request -> digest that was shown, seconds it was open.

    Raises:
        NotFound: none of them is there for this person.
    """
    answers: list[Answer] = []
    for request_id, (digest, seconds) in list(seen.items())[:MAX_TOGETHER]:
        row = ApprovalRequest.objects.visible_to(person).select_related("policy").filter(pk=request_id).first()
        if row is None:
            answers.append(Answer(ApprovalRequest(id=request_id).label, NotFound()))
            continue
        try:
            if why := alone_because(row, person):
                raise NotTogether(f"{row.label} is decided by itself: {why}")
            gates.decide(
                row.pk,
                person=person,
                auth=auth,
                verdict=verdict,
                reason=reason,
                seen_digest=digest,
                proved_at=proved_at,
                seconds_open=seconds,
            )
            answers.append(Answer(row.label, None))
        except AegisError as error:
            answers.append(Answer(row.label, error))
    _record_missing(answers, user_actor(person.pk, auth=auth))
    return answers


def _record_missing(answers: Sequence[Answer], actor: Actor) -> None:
    """What is not there for this person is on record; where nothing else was sent, by the edge that refuses it all.

    Raises:
        NotFound: of all.
    """
    missing = [answer.error for answer in answers if isinstance(answer.error, NotFound)]
    if missing and len(missing) == len(answers):
        raise missing[0]
    for error in missing:
        if not error.is_on_record:
            access.deny(actor, "requests.decide", error)
