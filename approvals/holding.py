"""What every verb on a request does first, in this order: authority lock, the question's lock (the run), the request's lock."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from aegis.core.errors import AegisError, NotFound
from aegis.identity.authority import hold_shared, raise_epoch
from approvals import delegations, docket, policies, questions
from approvals.errors import RequestExpired, RequestFrozen, RequestSettled
from approvals.models import ApprovalRequest, Decision
from approvals.policies import Policy
from approvals.questions import Live, Question

Status = ApprovalRequest.Status


def question_of(request_id: UUID) -> tuple[Question, str]:
    """What a request asks. Never changes after opening, so it is read without a lock."""
    found = ApprovalRequest.objects.filter(pk=request_id).values_list("question", "subject").first()
    if found is None:
        raise NotFound
    return questions.get(found[0]), found[1]


def hold_authority(question: Question) -> None:
    # Two deciders that both hold the lock shared could not both go on to take it exclusively.
    if question.changes_rights:
        raise_epoch()
    else:
        hold_shared()


def lock_request(request_id: UUID) -> ApprovalRequest:
    """The row, locked until the transaction ends: two deciders of one request pass here one after the other.

    This lock is what gives a gate one outcome; tests take it out and must then fail. SQLite needs none: its transactions are
    IMMEDIATE, so there is one writer.
    """
    return ApprovalRequest.objects.select_for_update(of=("self",)).select_related("policy").get(pk=request_id)


def hold(request_id: UUID) -> tuple[Question, ApprovalRequest]:
    """All three locks. The request as it stands under them."""
    question, subject = question_of(request_id)
    hold_authority(question)
    question.lock(subject)
    return question, lock_request(request_id)


def freeze_if_halted(request: ApprovalRequest, question: Question, now: datetime) -> bool:
    """Freeze an open request that a halt stands over, unless its deadline had passed before. The caller holds the authority
    lock: a halt is placed before or after, never meanwhile."""
    halted = question.halted(request)
    if halted is None or request.deadline <= halted.since:
        return False
    docket.freeze(request, halted, now)
    return True


def rebind_if_policy_moved(request: ApprovalRequest, question: Question, now: datetime) -> Policy:
    """Bind an open request to the policy as it is by now, from its first stage. Under the locks. Returns that policy."""
    policy = policies.load_text(request.policy.document)
    if policy.digest != request.policy_digest:
        live = question.live(request.subject)
        docket.rebind(request, live.digest, bound_by(request, live), policy, now)
    return policy


def refused_by_state(request: ApprovalRequest, now: datetime) -> AegisError | None:
    """Why nothing can be done with it any more, or at present; says who was faster and when."""
    if request.status == Status.FROZEN:
        return RequestFrozen()
    if request.status != Status.OPEN:
        return _settled_error(request)
    if request.deadline <= now:  # at the deadline itself it is over; the sweep closes it, time never approves
        return RequestExpired(f"Its deadline passed at {moment(request.deadline)}")
    return None


def bound_by(request: ApprovalRequest, live: Live) -> frozenset[str]:
    """Who is bound, whatever the question forgot: the requester, and whoever was bound when it opened (an owner who hands the
    agent on does not come free by it)."""
    opened = {str(pk) for pk in request.bound.values_list("pk", flat=True)}
    return live.bound | opened | ({str(request.requester_id)} if request.requester_id else set())


def barred_by(request: ApprovalRequest, live: Live, now: datetime) -> frozenset[str]:
    """Who cannot decide now: the bound, and whoever acts for one of them (DESIGN promise 8)."""
    bound = bound_by(request, live)
    return bound | delegations.acting_for(bound, now)


def moment(at: datetime) -> str:
    return f"{at:%H:%M:%S} UTC on {at:%d %B %Y}"


def _settled_error(request: ApprovalRequest) -> RequestSettled:
    how = str(request.get_status_display())
    last = Decision.objects.filter(request=request, is_void=False).select_related("person").order_by("seq").last()
    if last is not None and request.status in (Status.APPROVED, Status.REJECTED, Status.CHANGES_REQUESTED):
        who = last.person.display_name
        done = "requested changes to" if request.status == Status.CHANGES_REQUESTED else how
        return RequestSettled(
            f"{who} {done} this at {moment(last.at)}", status=request.status, decided_by=who, decided_at=last.at
        )
    when = f" at {moment(request.settled_at)}" if request.settled_at else ""
    return RequestSettled(f"This was {how}{when}", status=request.status, decided_at=request.settled_at)
