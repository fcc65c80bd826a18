"""Opening, deciding and closing approval requests: the public verbs (DESIGN promises 6, 7, 8).

Every verb has one shape: the locks (`holding.hold`), check, change, record. A refusal is recorded too (`hearing`), so call
`decide` outside a transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from aegis.core import canonical, clock
from aegis.core.actors import SYSTEM, Actor, user_actor
from aegis.core.db import in_transaction
from aegis.core.errors import AegisError, Fault, IdempotencyMismatch, Invalid, Stale
from aegis.core.faults import crash_point
from aegis.core.idempotency import check_key
from aegis.identity.models import User
from aegis.identity.principals import MAX_REASON_CHARS
from approvals import delegations, docket, electors, hearing, holding, judging, policies, questions, rowwise, signing, tally
from approvals.electors import Eligibility
from approvals.errors import ChangesNotTaken, NobodyEligible, ReasonMissing
from approvals.evidence import evidence_of
from approvals.hearing import Refused, Seat
from approvals.models import ApprovalPolicy, ApprovalRequest, Decision
from approvals.policies import Policy
from approvals.questions import Live

__all__ = [
    "Eligibility",
    "decide",
    "eligibility",
    "evidence_of",
    "expire",
    "expire_due",
    "freeze",
    "open_request",
    "require_right",
    "thaw",
    "withdraw",
    "withdraw_for_run",
]

Status = ApprovalRequest.Status
Verdict = Decision.Verdict


@dataclass(frozen=True, slots=True)
class _Ballot:
    """What a person sends in; the fields are those of `decide`."""

    verdict: Verdict
    reason: str
    seen_digest: str
    key: str | None
    proved_at: datetime | None
    seconds_open: int | None


def open_request(
    *,
    request_id: UUID,
    question: str,
    subject: str,
    policy: ApprovalPolicy,
    digest: str,
    risk: str,
    capability: str = "",
    agent: str = "",
    requester_id: UUID | None,
    run_id: UUID | None,
    context_scope: str,
    scope_id: str = "",
    evidence: Mapping[str, bytes],
    at: datetime,
    actor: Actor,
    bound: frozenset[str] | None = None,
    cause: str = "",
) -> ApprovalRequest:
    """Ask people. Inside the caller's transaction, which holds the authority lock and the question's.

    Asking twice under one id is asking once: the request is returned as it stands.

    Args:
        digest: what a decision signs (DESIGN promise 7).
        risk: "low", "medium", "high"; raised to the policy's least risk.
        evidence: name -> canonical bytes shown with the question, frozen here; read back by `evidence_of`.
        at: from `clock.db_now()`; the deadline counts from it.
        bound: ids bound by separation of duties, if the caller knows them (its rows may not be written yet); else
            `Question.live` is asked. The requester is always bound.

    Raises:
        NobodyEligible: the active people who are not bound can never meet the stages' quorums.
        UndeclaredContent: a piece of evidence has a name that `events.EVIDENCE` does not know.
    """
    standing = ApprovalRequest.objects.filter(pk=request_id).first()
    if standing is not None:
        return standing
    rules = policies.load_text(policy.document)
    tied = bound if bound is not None else questions.get(question).live(subject).bound
    tied |= {str(requester_id)} if requester_id else set()
    require_electors(rules, tied | delegations.acting_for(tied, at))
    request = ApprovalRequest(
        id=request_id,
        question=question,
        subject=subject,
        run_id=run_id,
        scope=context_scope,
        scope_id=scope_id,
        policy=policy,
        policy_digest=policy.digest,
        digest=digest,
        risk=policies.raised_risk(rules, risk),
        capability=capability,
        agent=agent,
        requester_id=requester_id,
        opened_at=at,
        stage_since=at,
        deadline=at + rules.deadline,
    )
    docket.open_(request, actor, evidence, tied, rules, cause=cause)
    return request


def decide(
    request_id: UUID,
    *,
    person: User,
    auth: str,
    verdict: str,
    reason: str,
    seen_digest: str,
    key: str | None = None,
    proved_at: datetime | None = None,
    seconds_open: int | None = None,
) -> ApprovalRequest:
    """One person's vote. Call it outside a transaction.

    Args:
        auth: how the person proved themselves ("session", "api_key:<prefix>").
        verdict: "approve", "reject" or "request_changes".
        seen_digest: the digest of what was shown (`Live.digest`); what the vote signs.
        key: idempotency key. The same vote of the same person again under it gives the request as it stands by now, whatever
            happened since, and leaves no record.
        proved_at: when the person last proved who it is (password); None if that is not known.
        seconds_open: how long the page had been open.

    Raises:
        IdempotencyMismatch: the person voted under this key, and differently.
        NotFound: unknown, or not visible to the person.
        NotAuthenticated: the account or its key ended meanwhile.
        RequestSettled, RequestFrozen, RequestExpired: too late; says who was faster and when.
        NotEligible: not in a group of this stage, bound by separation of duties, or voted already.
        Stale: not what stands now. Votes for what stood before are void, and the request is bound to what stands.
        StepUpNeeded: the policy asks for a more recent sign-in. ChangesNotTaken: nobody would do it again.
        ReasonMissing, Invalid: the input; these alone leave no record.
    """
    actor = user_actor(person.pk, auth=auth)
    try:
        if verdict not in Verdict.values:
            raise Invalid("There is no such decision", faults=[Fault("/verdict", f"is none of {', '.join(Verdict.values)}")])
        text = _checked_reason(reason)
        if key is not None:
            check_key(key)
    except Invalid:
        require_right(request_id, person)
        raise
    ballot = _Ballot(Verdict(verdict), text, seen_digest, key, proved_at, seconds_open)
    return hearing.answered(actor, "requests.decide", lambda: _decide(request_id, actor, ballot))


def require_right(request_id: UUID, person: User) -> None:
    """For edges that find fault with what was sent: the right comes before the input, whatever state the request is in.

    Raises:
        NotFound: unknown, or not visible. NotEligible: not in a group of this stage, or bound.
    """
    request = ApprovalRequest.objects.select_related("policy").get_visible(person, pk=request_id)
    live = questions.get(request.question).live(request.subject)
    may = judging.judge(request, policies.load_text(request.policy.document), person, live, clock.db_now())
    if may.refusal in hearing.LACKS_RIGHT:
        raise electors.not_eligible(may)


def withdraw_for_run(run_id: UUID, actor: Actor, reason: str, at: datetime) -> int:
    """Close what a run no longer asks, inside the transaction of its owner, who therefore is not told. Returns how many."""
    # By id, as everybody who locks several requests.
    ids = ApprovalRequest.objects.filter(run_id=run_id, status__in=[Status.OPEN, Status.FROZEN]).order_by("pk")
    return sum(withdraw(request_id, actor, reason, at) for request_id in list(ids.values_list("pk", flat=True)))


def withdraw(request_id: UUID, actor: Actor, reason: str, at: datetime) -> bool:
    """Close one request because its question is gone. Inside the owner's transaction. False if it was settled already."""
    request = holding.lock_request(request_id)
    if request.status not in (Status.OPEN, Status.FROZEN):
        return False
    docket.withdraw(request, actor, reason, at)
    return True


def expire_due(limit: int = 100) -> int:
    """Close open requests whose deadline has passed: expired, never approved. Called by the sweep. Returns how many."""
    due = ApprovalRequest.objects.filter(status=Status.OPEN, deadline__lte=clock.db_now()).order_by("deadline")
    return rowwise.each(list(due.values_list("pk", flat=True)[:limit]), expire)


def expire(request_id: UUID) -> bool:
    """Close one request if it is open and past its deadline. False if somebody decided first."""
    return in_transaction(lambda: _expire(request_id))


def freeze(request_id: UUID) -> bool:
    """Stop the clock of an open request over which a halt stands. False if none does, or it is not open any more."""

    def work() -> bool:
        question, request = holding.hold(request_id)
        return request.status == Status.OPEN and holding.freeze_if_halted(request, question, clock.db_now())

    return in_transaction(work)


def thaw(request_id: UUID) -> bool:
    """Let a frozen request's clock run again, if no halt stands over it any more. False if one does, or it is not frozen."""

    def work() -> bool:
        question, request = holding.hold(request_id)  # with the authority lock: nobody halts meanwhile
        if request.status != Status.FROZEN or question.halted(request) is not None:
            return False
        docket.thaw(request, policies.load_text(request.policy.document), clock.db_now())
        return True

    return in_transaction(work)


def eligibility(request: ApprovalRequest, user: User, *, live: Live | None = None) -> Eligibility:
    """May `user` decide now? For pages and lists; `decide` asks again under the lock.

    Args:
        live: the question as already read by the caller.
    """
    now = clock.db_now()
    if error := holding.refused_by_state(request, now):
        return Eligibility(False, f"{error.detail}.", (), error.code)
    if not user.is_active:
        return Eligibility(False, "You cannot decide this: your account is not active.", (), "inactive")
    live = live or questions.get(request.question).live(request.subject)
    return judging.judge(request, policies.load_text(request.policy.document), user, live, now)


def _decide(request_id: UUID, actor: Actor, ballot: _Ballot) -> ApprovalRequest | Refused:
    def on_record(request: ApprovalRequest, error: AegisError, now: datetime) -> None:
        docket.refuse(request, actor, ballot.verdict, ballot.seen_digest, error, now)

    seat = hearing.hear(
        request_id,
        actor,
        on_record,
        is_answered=lambda request, person: ballot.key is not None and _is_recorded(request, person, ballot, ballot.key),
    )
    if not isinstance(seat, Seat):
        return seat
    if refusal := seat.closed() or seat.moved(ballot.seen_digest, "decided on", "decide"):
        return refusal
    question, request, person, policy, live, now = seat.question, seat.request, seat.person, seat.policy, seat.live, seat.now
    if not live.is_current and ballot.verdict != Verdict.REJECT:
        return seat.refused(Stale("What it would change is no longer there in that form; it can only be rejected"))
    if ballot.verdict == Verdict.APPROVE and (missing := signing.step_up(request, policy, ballot.proved_at, now)):
        return seat.refused(missing)
    if ballot.verdict == Verdict.REQUEST_CHANGES and not question.takes_changes(request):
        return seat.refused(ChangesNotTaken("Nobody would do it again: approve it, or reject it"))
    if not ballot.reason and (ballot.verdict != Verdict.APPROVE or policies.needs_reason(policy, request.risk)):
        raise ReasonMissing("Say why", faults=[Fault("/reason", "is empty")])
    cause = docket.record_vote(
        request,
        policy,
        actor,
        person,
        ballot.verdict,
        ballot.reason,
        now,
        signature=signing.signature(
            ballot.verdict,
            person,
            seat.may,
            live.title,
            request,
            policy,
            proved_at=ballot.proved_at,
            seconds_open=ballot.seconds_open,
        ),
        delegation=seat.may.delegation,
        key=ballot.key,
    )
    if ballot.verdict == Verdict.REQUEST_CHANGES:
        docket.settle(request, None, "changes_requested", actor, now, cause=cause)
        question.settled(request, "changes_requested", actor, ballot.reason)
        return request
    result = electors.count(request, policy, holding.bound_by(request, live), holding.barred_by(request, live, now))
    match result.status:
        case "approved" | "rejected":
            docket.settle(request, policy if result.status == "approved" else None, result.status, actor, now, cause=cause)
            question.settled(request, result.status, actor)
        case "stage_passed":
            docket.pass_stage(request, policy, result.stage, cause, now)
        case "open":
            pass
    crash_point("decision_written")
    return request


def _is_recorded(request: ApprovalRequest, person: User, ballot: _Ballot, key: str) -> bool:
    """Did this vote come before, and its answer was lost?

    Raises:
        IdempotencyMismatch: another vote came under the key.
    """
    vote = Decision.objects.filter(request=request, person=person, idempotency_key=key, is_void=False).first()
    if vote is None:
        return False
    if not docket.is_repeat(vote, ballot.verdict, ballot.reason, ballot.seen_digest):
        raise IdempotencyMismatch(f"You {vote.get_verdict_display()} this under the Idempotency-Key {key!r}")
    return True


def _expire(request_id: UUID) -> bool:
    question, request = holding.hold(request_id)
    now = clock.db_now()
    # Read again under the lock: a decision may have come between the list and here.
    if request.status != Status.OPEN or request.deadline > now:
        return False
    if holding.freeze_if_halted(request, question, now):
        return False
    docket.settle(request, None, "expired", SYSTEM, now)
    question.settled(request, "expired", SYSTEM)
    crash_point("expiry_written")
    return True


def require_electors(policy: Policy, bound: frozenset[str]) -> None:
    """
    Raises:
        NobodyEligible: the active people who are not bound can never meet the quorums.
    """
    people = electors.active_people(policy.groups, without=bound)
    if missing := tally.shortfall(policy.stages, people, distinct_groups=policy.distinct_groups):
        raise NobodyEligible(f"Nobody could decide under “{policy.title or policy.name}”: {missing} (who is bound left out)")


def _checked_reason(reason: str) -> str:
    text = reason.strip()
    if len(text) > MAX_REASON_CHARS:
        raise Invalid("The reason is too long", faults=[Fault("/reason", f"longer than {MAX_REASON_CHARS} characters")])
    canonical.check_value({"reason": text})
    return text
