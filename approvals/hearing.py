"""One person's word on a request, whether it decides or edits: what comes before either, and how both are refused.

A refusal is the result of a transaction that commits, and only then raised: it is on record in the request's own stream, or
(a missing right, or the same refusal again) in `access`, and never in both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from aegis.core import clock
from aegis.core.actors import Actor
from aegis.core.db import in_transaction
from aegis.core.errors import AegisError, NotAuthenticated, NotFound, Stale
from aegis.identity.models import User
from aegis.identity.principals import require_live
from approvals import docket, electors, holding, judging, policies
from approvals.electors import Eligibility
from approvals.models import ApprovalRequest
from approvals.policies import Policy
from approvals.questions import Live, Question
from audit import access

LACKS_RIGHT: Final = ("group", "bound")  # refusals that are no matter of state

#: Writes one refusal into the request's stream.
Record = Callable[[ApprovalRequest, AegisError, datetime], None]


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal, raised after the commit.

    Attributes:
        is_denial: about to be in `access`; else the request's stream has it.
    """

    error: AegisError
    is_denial: bool = False


@dataclass(frozen=True, slots=True)
class Seat:
    """A live person who sees the request and has the right to decide it, under its locks.

    Attributes:
        may: whether he may now; a state that stands against it is asked for by `closed`.
        refused: puts a refusal on record and returns it.
    """

    question: Question
    request: ApprovalRequest
    person: User
    policy: Policy
    live: Live
    may: Eligibility
    now: datetime
    refused: Callable[[AegisError], Refused]

    def closed(self) -> Refused | None:
        """Refused, if it is too late, or his seat has spoken. Freezes a request that was halted a moment ago."""
        if self.request.status == ApprovalRequest.Status.OPEN:
            holding.freeze_if_halted(self.request, self.question, self.now)  # the sweep has not come to this one yet
        if error := holding.refused_by_state(self.request, self.now):
            return self.refused(error)
        return None if self.may.may else self.refused(electors.not_eligible(self.may))

    def moved(self, seen_digest: str, did: str, to: str) -> Refused | None:
        """Refused, if what was shown is not what stands now; the request is then bound to what stands.

        Args:
            did, to: the verb, as in "You decided on ..." and "then decide".
        """
        if self.live.digest != self.request.digest or self.policy.digest != self.request.policy_digest:
            refusal = self.refused(Stale(f"It changed since it was asked. Earlier votes are void; read it again, then {to}"))
            bound = holding.bound_by(self.request, self.live)
            docket.rebind(self.request, self.live.digest, bound, self.policy, self.now)
            return refusal
        if seen_digest != self.request.digest:
            return self.refused(Stale(f"You {did} something else than what stands now; read it again, then {to}"))
        return None


def answered(actor: Actor, what: str, work: Callable[[], ApprovalRequest | Refused]) -> ApprovalRequest:
    """Do `work` in a transaction of its own; what it refuses is raised once that is committed, and is on record once.

    Args:
        what: the verb, as `access.record_denial` names it.
    """
    result = in_transaction(work)
    if not isinstance(result, Refused):
        return result
    if result.is_denial:
        access.deny(actor, what, result.error)
    result.error.is_on_record = True
    raise result.error


def hear(
    request_id: UUID,
    actor: Actor,
    record: Record,
    *,
    is_answered: Callable[[ApprovalRequest, User], bool] | None = None,
) -> Seat | ApprovalRequest | Refused:
    """Take the locks, then the right comes before state and input: who lacks it changes nothing here.

    Args:
        is_answered: asked of who sees the request, before his right: the same word came before, and the request as it stands
            is the answer.
    """
    question, request = holding.hold(request_id)
    now = clock.db_now()

    def refused(error: AegisError) -> Refused:
        if docket.was_refused(request, actor, error, now):
            return Refused(error, is_denial=True)  # repeats are counted, not written here
        record(request, error, now)
        return Refused(error)

    try:
        person = require_live(actor)
    except NotAuthenticated as ended:
        return refused(ended)
    if not ApprovalRequest.objects.visible_to(person).filter(pk=request.pk).exists():
        return Refused(NotFound(), is_denial=True)
    if is_answered is not None and is_answered(request, person):
        return request
    policy = policies.load_text(request.policy.document)
    live = question.live(request.subject)
    may = judging.judge(request, policy, person, live, now)
    if may.refusal == "group":
        return Refused(electors.not_eligible(may), is_denial=True)
    if may.refusal == "bound":  # told of in the request's own stream
        return refused(electors.not_eligible(may))
    return Seat(question, request, person, policy, live, may, now, refused)
