"""What people do with a request beside deciding: claim, release, reassign, escalate, comment, withdraw.

A claim says who is at it; it stops nobody from deciding, for a second stage or quorum must go on. Whoever claims could decide,
so separation of duties binds here as it binds there. Call every verb outside a transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from aegis.core import canonical, clock
from aegis.core.actors import Actor
from aegis.core.db import in_transaction
from aegis.core.errors import AegisError, Conflict, Fault, Forbidden, Invalid, NotFound
from aegis.identity.models import User
from aegis.identity.principals import MAX_REASON_CHARS, require_live, stated
from approvals import docket, holding, judging, policies, questions
from approvals.electors import Eligibility, not_eligible
from approvals.errors import Claimed, NotYours
from approvals.models import ApprovalRequest
from approvals.questions import Question
from audit import access

Work = Callable[[ApprovalRequest, Question, User], None]


def claim(request_id: UUID, *, actor: Actor, reason: str = "") -> ApprovalRequest:
    """Say that the actor is at it. Again by the same person: nothing changes.

    Raises:
        NotFound, NotAuthenticated, RequestSettled, RequestFrozen, RequestExpired, NotEligible: as for deciding.
        Claimed: somebody else is at it; says who and since when.
    """
    text = _checked(reason, "/reason")

    def work(request: ApprovalRequest, question: Question, person: User) -> None:
        _require_eligible(request, question, person)
        _require_open(request)
        if request.claimed_by_id == person.pk:
            return
        if request.claimed_by is not None and request.claimed_at is not None:
            who = request.claimed_by.display_name
            detail = f"{who} took this at {holding.moment(request.claimed_at)}; reassign it to yourself to go on instead"
            raise Claimed(detail, claimed_by=who, claimed_at=request.claimed_at)
        docket.claim(request, person, actor, text, clock.db_now())

    return _held(request_id, actor, "requests.claim", work)


def release(request_id: UUID, *, actor: Actor, reason: str = "") -> ApprovalRequest:
    """Let it go again. Only who has it can.

    Raises:
        NotEligible: the actor does not have it, and could not take it either. Conflict: he could, and does not have it.
    """
    text = _checked(reason, "/reason")

    def work(request: ApprovalRequest, question: Question, person: User) -> None:
        if request.claimed_by_id != person.pk:
            _require_eligible(request, question, person)
            who = f"{request.claimed_by.display_name} has it" if request.claimed_by else "nobody has taken it"
            raise Conflict(f"You have not taken this request: {who}")
        docket.claim(request, None, actor, text, clock.db_now())

    return _held(request_id, actor, "requests.release", work)


def reassign(request_id: UUID, *, to: UUID | str, actor: Actor, reason: str) -> ApprovalRequest:
    """Give it to somebody who could decide it, or take it over. Whoever could decide it may.

    Raises:
        NotEligible: the actor, or the other one, could not decide it.
    """

    def work(request: ApprovalRequest, question: Question, person: User) -> None:
        _require_eligible(request, question, person)
        why = stated(reason)
        _require_open(request)
        other = User.objects.filter(pk=to, is_active=True).first()
        if other is None:
            raise Invalid("There is no such person", faults=[Fault("/to", "there is no such active person")])
        if not _judged(request, question, other).may:
            faults = [Fault("/to", f"{other.display_name} could not decide it")]
            raise Invalid("It can only be given to somebody who could decide it", faults=faults)
        docket.claim(request, other, actor, why, clock.db_now())

    return _held(request_id, actor, "requests.reassign", work)


def escalate(request_id: UUID, *, actor: Actor, reason: str) -> ApprovalRequest:
    """Put the next escalation of the stage in force now, before its time. It approves nothing. Whoever could decide it may, and
    who operates what it belongs to (`judging.may_escalate`).

    Raises:
        NotFound, NotAuthenticated, RequestSettled, RequestFrozen, RequestExpired: as for deciding. NotEligible: neither, or
            bound to it, or operating it and asked by that very escalation.
        Conflict: there is no further escalation, or a floor lock stands over it: who is asked, and when, is then not for one
            person to say.
    """

    def work(request: ApprovalRequest, question: Question, person: User) -> None:
        _require_escalating(request, question, person)
        why = stated(reason)
        _require_open(request)
        if question.is_locked(request):
            raise Conflict("A floor lock stands over this: its escalations come at their times")
        now = clock.db_now()
        policy = holding.rebind_if_policy_moved(request, question, now)
        if request.escalated >= len(policy.stages[request.stage].escalations):
            raise Conflict("There is nobody further to whom this could be escalated")
        docket.escalate(request, policy, now, actor=actor, reason=why)
        docket.set_timer(request, policy)

    return _held(request_id, actor, "requests.escalate", work)


def comment(request_id: UUID, *, actor: Actor, text: str) -> ApprovalRequest:
    """Say something about it; whoever may see it may, settled or not. It decides nothing."""

    def work(request: ApprovalRequest, question: Question, person: User) -> None:
        said = _checked(text, "/text")
        if not said:
            raise Invalid("Say something", faults=[Fault("/text", "is empty")])
        docket.comment(request, actor, said, clock.db_now())

    return _held(request_id, actor, "requests.comment", work)


def withdraw(request_id: UUID, *, actor: Actor, reason: str) -> ApprovalRequest:
    """Take the question back. Only who asked can; nothing is carried out, and the run goes on as if it had been rejected.

    Raises:
        NotYours: somebody else asked. RequestSettled, RequestExpired: too late.
    """

    def work(request: ApprovalRequest, question: Question, person: User) -> None:
        if request.requester_id != person.pk:
            raise NotYours("Only who asked for it can withdraw it", right="withdraw")
        why = stated(reason)
        if request.status != ApprovalRequest.Status.FROZEN:  # a halt stops deciding, not changing one's mind
            _require_open(request)
        docket.withdraw(request, actor, why, clock.db_now())
        question.settled(request, "withdrawn", actor, why)

    return _held(request_id, actor, "requests.withdraw", work)


def require_escalating(person: User, request_id: UUID) -> None:
    """May the person escalate it? `escalate` asks again.

    Raises:
        NotFound, NotEligible
    """
    request = ApprovalRequest.objects.select_related("policy").get_visible(person, pk=request_id)
    _require_escalating(request, questions.get(request.question), person)


def require_requester(person: User, request_id: UUID) -> None:
    """Did the person ask for it? `withdraw` asks again.

    Raises:
        NotFound, NotYours
    """
    request = ApprovalRequest.objects.get_visible(person, pk=request_id)
    if request.requester_id != person.pk:
        raise NotYours("Only who asked for it can withdraw it", right="withdraw")


def _held(request_id: UUID, actor: Actor, what: str, work: Work) -> ApprovalRequest:
    """Do `work` under the locks, for a live person who may see the request; a missing right is put on record."""

    def inside() -> ApprovalRequest:
        question, request = holding.hold(request_id)
        person = require_live(actor)
        if not ApprovalRequest.objects.visible_to(person).filter(pk=request.pk).exists():
            raise NotFound
        work(request, question, person)
        return request

    try:
        return in_transaction(inside)
    except Forbidden as error:
        access.deny(actor, what, error)
        raise


def _require_open(request: ApprovalRequest) -> None:
    error: AegisError | None = holding.refused_by_state(request, clock.db_now())
    if error is not None:
        raise error


def _require_eligible(request: ApprovalRequest, question: Question, person: User) -> None:
    may = _judged(request, question, person)
    if not may.may:
        raise not_eligible(may)


def _require_escalating(request: ApprovalRequest, question: Question, person: User) -> None:
    live = question.live(request.subject)
    policy = policies.load_text(request.policy.document)
    may = judging.may_escalate(request, question, policy, person, live, clock.db_now())
    if not may.may:
        raise not_eligible(may)


def _judged(request: ApprovalRequest, question: Question, person: User) -> Eligibility:
    live = question.live(request.subject)
    return judging.judge(request, policies.load_text(request.policy.document), person, live, clock.db_now())


def _checked(text: str, where: str) -> str:
    said = text.strip()
    if len(said) > MAX_REASON_CHARS:
        raise Invalid("The text is too long", faults=[Fault(where, f"longer than {MAX_REASON_CHARS} characters")])
    canonical.check_value({"text": said})
    return said
