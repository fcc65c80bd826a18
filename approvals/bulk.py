"""Deciding several requests together: each gets a vote of its own, with its own digest and its own refusal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from aegis.core.errors import AegisError, Conflict, NotFound
from aegis.identity.models import User
from approvals import gates, questions
from approvals.models import ApprovalRequest

MAX_TOGETHER: Final = 10


class NotTogether(Conflict):
    """High risk, under a floor lock, or claimed by somebody else: it is looked at by itself."""

    code, title = "not_together", "This request is decided by itself"


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one vote: `error` is None where it was recorded."""

    request: ApprovalRequest
    error: AegisError | None


def alone_because(request: ApprovalRequest, person: User) -> str:
    """Why a request cannot be decided together with others; "" if it can."""
    if request.risk == ApprovalRequest.Risk.HIGH:
        return "its risk is high"
    if questions.get(request.question).is_locked(request):
        return "a floor lock stands over it"
    if request.claimed_by_id not in (None, person.pk):
        return "somebody else has taken it"
    return ""


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
    """
    answers = []
    for request_id, (digest, seconds) in list(seen.items())[:MAX_TOGETHER]:
        row = ApprovalRequest.objects.visible_to(person).select_related("policy").filter(pk=request_id).first()
        if row is None:
            raise NotFound
        try:
            if why := alone_because(row, person):
                raise NotTogether(f"{row.label} is decided by itself: {why}")
            decided = gates.decide(
                row.pk,
                person=person,
                auth=auth,
                verdict=verdict,
                reason=reason,
                seen_digest=digest,
                proved_at=proved_at,
                seconds_open=seconds,
            )
            answers.append(Answer(decided, None))
        except AegisError as error:
            answers.append(Answer(row, error))
    return answers
