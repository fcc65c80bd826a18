"""Writing a request: its row, its votes and its own stream `request:<id>`. No rule is decided here; `gates` holds them.

Every function is called with the row locked (`holding.lock_request`), inside the deciding transaction, and leaves row and
stream equal.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from aegis.core import canonical, clock_text
from aegis.core.actors import SYSTEM, Actor
from aegis.core.canonical import Json
from aegis.core.errors import AegisError
from aegis.identity.models import User
from approvals import timers
from approvals.errors import NotEligible
from approvals.models import ApprovalRequest, Decision, Delegation
from approvals.notices import posting
from approvals.notices.models import Notice
from approvals.policies import RISKS, Policy, raised_risk
from approvals.questions import Halted, Outcome, Revision
from approvals.signature import Signature
from audit import access, journal
from audit.drafts import Context, Draft
from audit.models import Event, Payload

Status = ApprovalRequest.Status

_STATUS: Mapping[Outcome, Status] = {
    "approved": Status.APPROVED,
    "rejected": Status.REJECTED,
    "changes_requested": Status.CHANGES_REQUESTED,
    "expired": Status.EXPIRED,
    "withdrawn": Status.WITHDRAWN,
}
_STAGE_FIELDS = ("stage", "stage_since", "escalated", "next_at")
_REFUSED = ("decision.refused", "edit.refused")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def open_(
    request: ApprovalRequest, actor: Actor, evidence: Mapping[str, bytes], bound: Collection[str], policy: Policy, *, cause: str
) -> None:
    """Insert the row with its first line, `request.opened`."""
    data: dict[str, Json] = {
        "question": request.question,
        "subject": request.subject,
        "policy": request.policy.name,
        "policy_digest": request.policy_digest,
        "digest": request.digest,
        "risk": request.risk,
        "deadline": clock_text.render(request.deadline),
        "bound": sorted(bound),
    }
    _append(request, request.opened_at, _draft(request, "request.opened", actor, data, evidence, cause=cause))
    request.next_at = _next_moment(request, policy)
    request.save(force_insert=True)
    bind(request, bound)
    posting.post(request, Notice.Kind.ASKED, request.opened_at)


def bind(request: ApprovalRequest, people: Collection[str]) -> None:
    """Note who cannot decide, for lists. `gates.decide` asks the question itself."""
    request.bound.set(User.objects.filter(pk__in=people))


def record_vote(
    request: ApprovalRequest,
    policy: Policy,
    actor: Actor,
    person: User,
    verdict: Decision.Verdict,
    reason: str,
    now: datetime,
    *,
    signature: Signature,
    delegation: Delegation | None = None,
    key: str | None = None,
) -> str:
    """Write the vote as a row and as `decision.made`; returns its place, "<stream>/<seq>"."""
    data: dict[str, Json] = {
        "verdict": verdict.value,
        "stage": request.stage + 1,
        "stages": len(policy.stages),
        "policy": policy.name,
        "digest": request.digest,
    }
    if signature.seconds_open is not None:
        data["seconds_open"] = signature.seconds_open
    if signature.proved_at is not None:
        data["proved_at"] = clock_text.render(signature.proved_at)
    if delegation is not None:
        data |= {"seat": str(delegation.delegator_id), "delegation": str(delegation.pk)}
    payloads = {"signature": canonical.dump({"name": signature.name, "meaning": signature.meaning})}
    if reason:
        payloads["reason"] = canonical.dump(reason)
    _append(request, now, _draft(request, "decision.made", actor, data, payloads, outcome=str(verdict.label)))
    request.save(update_fields=["seq", "head"])
    Decision.objects.create(
        request=request,
        person=person,
        verdict=verdict,
        stage=request.stage,
        digest=request.digest,
        at=now,
        seq=request.seq,
        idempotency_key=key,
        delegation=delegation,
        name=signature.name,
        meaning=signature.meaning,
        auth=actor.auth,
        proved_at=signature.proved_at,
        seconds_open=signature.seconds_open,
    )
    return f"{request.stream}/{request.seq}"


def is_repeat(vote: Decision, verdict: Decision.Verdict, reason: str, seen_digest: str) -> bool:
    """Is this the vote as it was recorded? A reason that was erased since cannot speak against it."""
    stored = Payload.objects.filter(stream=vote.request.stream, seq=vote.seq, name="reason").first()
    is_same_reason = not reason if stored is None else bool(stored.erased_at) or canonical.parse(stored.body) == reason
    return vote.verdict == verdict and vote.digest == seen_digest and is_same_reason


def refuse(
    request: ApprovalRequest, actor: Actor, verdict: Decision.Verdict, seen_digest: str, error: AegisError, now: datetime
) -> None:
    """Put a refused decision on record."""
    _refuse(request, "decision.refused", actor, {"verdict": verdict.value}, seen_digest, error, now)


def refuse_edit(request: ApprovalRequest, actor: Actor, seen_digest: str, error: AegisError, now: datetime) -> None:
    """Put a refused edit on record."""
    _refuse(request, "edit.refused", actor, {}, seen_digest, error, now)


def was_refused(request: ApprovalRequest, actor: Actor, error: AegisError, now: datetime) -> bool:
    """Was the actor refused here for the same within the time in which repeats are only counted (`access.record_denial`)?"""
    told = f'"code":{canonical.dump(_code_of(error)).decode()}'
    rows = Event.objects.filter(stream=request.stream, type__in=_REFUSED, actor_kind=actor.kind, actor_ref=actor.ref)
    return rows.filter(at__gt=now - access.WINDOW, line__contains=told).exists()


def rebind(request: ApprovalRequest, digest: str, bound: Collection[str], policy: Policy, now: datetime) -> None:
    """What was signed moved: void the votes and bind the request to what stands, from its first stage. The deadline stays."""
    voided = _void(request)
    data = _moved(request, digest, len(voided))
    _append(request, now, *voided, _draft(request, "request.rebound", SYSTEM, data))
    _bind_to(request, digest, bound, policy, now)


def edit(
    request: ApprovalRequest,
    revised: Revision,
    actor: Actor,
    reason: str,
    bound: Collection[str],
    policy: Policy,
    now: datetime,
) -> None:
    """Put other parameters in the place of what is asked: votes are void, the first stage begins anew. The deadline stays."""
    voided = _void(request)
    payloads = {**revised.payloads, "reason": canonical.dump(reason)}
    edited = _draft(request, "request.edited", actor, _moved(request, revised.digest, len(voided)), payloads, outcome="edited")
    request.revision = request.seq + 1
    request.risk = max(request.risk, raised_risk(policy, revised.risk), key=RISKS.index)
    _append(request, now, replace(edited, step=revised.step), *voided)
    request.claimed_by = request.claimed_at = None  # who had taken it to decide it looks at something else now
    request.save(update_fields=["revision", "risk", "claimed_by", "claimed_at"])
    _bind_to(request, revised.digest, bound, policy, now)


def pass_stage(request: ApprovalRequest, policy: Policy, following: int, cause: str, now: datetime) -> None:
    """Go on with the next stage."""
    _append(request, now, _stage_passed(request, policy, cause))
    _begin_stage(request, policy, following, now)
    request.save(update_fields=[*_STAGE_FIELDS, "seq", "head"])
    posting.post(request, Notice.Kind.ASKED, now)


def settle(
    request: ApprovalRequest, policy: Policy | None, outcome: Outcome, actor: Actor, now: datetime, *, cause: str = ""
) -> None:
    """Give the request its one outcome.

    Args:
        policy: whose last stage was passed, if one was.
    """
    data: dict[str, Json] = {"policy": request.policy.name, "digest": request.digest}
    if actor.kind == "user":
        data["decided_by"] = actor.ref
    drafts = [_stage_passed(request, policy, cause)] if policy is not None else []
    drafts.append(_draft(request, "request.settled", SYSTEM, data, cause=cause, outcome=outcome))
    _close(request, outcome, drafts, now)


def freeze(request: ApprovalRequest, halted: Halted, now: datetime) -> None:
    """Stop its clock: it is neither decided nor expires until it thaws."""
    _append(
        request,
        now,
        _draft(request, "request.frozen", SYSTEM, {"halt": halted.halt, "since": clock_text.render(halted.since)}),
    )
    request.status, request.frozen_at = Status.FROZEN, halted.since
    request.save(update_fields=["status", "frozen_at", "seq", "head"])


def thaw(request: ApprovalRequest, policy: Policy, now: datetime) -> None:
    """Open again; the deadline, and what is due before it, moves on by the time it stood."""
    stood = max(now - request.frozen_at, timedelta(0)) if request.frozen_at else timedelta(0)
    request.deadline += stood
    request.stage_since += stood
    data: dict[str, Json] = {"seconds": int(stood.total_seconds()), "deadline": clock_text.render(request.deadline)}
    _append(request, now, _draft(request, "request.thawed", SYSTEM, data))
    request.status, request.frozen_at = Status.OPEN, None
    request.next_at = _next_moment(request, policy)
    request.save(update_fields=["status", "frozen_at", "deadline", "stage_since", "next_at", "seq", "head"])


def escalate(request: ApprovalRequest, policy: Policy, now: datetime, *, actor: Actor = SYSTEM, reason: str = "") -> None:
    """Put the next escalation of the stage in force: by its time, or by a person before it. The caller sets the timer."""
    stage = policy.stages[request.stage]
    step = stage.escalations[request.escalated]
    data: dict[str, Json] = {
        "stage": request.stage + 1,
        "level": request.escalated + 1,
        "groups": list(step.groups),
        "instead": step.instead,
    }
    event, payloads = ("request.passed_on", {"reason": canonical.dump(reason)}) if reason else ("request.escalated", None)
    _append(request, now, _draft(request, event, actor, data, payloads))
    request.escalated += 1
    request.save(update_fields=["escalated", "seq", "head"])
    posting.post(request, Notice.Kind.ESCALATED, now)


def remind(request: ApprovalRequest, policy: Policy, reminders: int, now: datetime) -> None:
    """Remind those who may decide now; `reminders` are then done. The caller sets the timer."""
    data: dict[str, Json] = {
        "reminder": reminders,
        "of": len(policy.reminders),
        "groups": list(policy.stages[request.stage].asked(request.escalated)),
        "seconds_left": int((request.deadline - now).total_seconds()),
    }
    _append(request, now, _draft(request, "request.reminded", SYSTEM, data))
    request.reminded = reminders
    request.save(update_fields=["reminded", "seq", "head"])
    posting.post(request, Notice.Kind.REMINDED, now)


def mark_short(request: ApprovalRequest, missing: int, now: datetime) -> None:
    """Raise the alarm that too few people are left who could decide, or take it back (0 are missing)."""
    stage: dict[str, Json] = {"stage": request.stage + 1}
    event, data = ("request.short", {**stage, "missing": missing}) if missing else ("request.manned", stage)
    _append(request, now, _draft(request, event, SYSTEM, data))
    request.short_since = now if missing else None
    request.save(update_fields=["short_since", "seq", "head"])
    if missing:
        posting.post(request, Notice.Kind.SHORT, now)


def set_timer(request: ApprovalRequest, policy: Policy) -> None:
    """When the sweep looks at it next."""
    request.next_at = _next_moment(request, policy)
    request.save(update_fields=["next_at"])


def withdraw(request: ApprovalRequest, actor: Actor, reason: str, now: datetime) -> None:
    """Close it because its question is gone."""
    data: dict[str, Json] = {"policy": request.policy.name, "digest": request.digest}
    payloads = {"reason": canonical.dump(reason)} if reason else {}
    _close(request, "withdrawn", [_draft(request, "request.withdrawn", actor, data, payloads, outcome="withdrawn")], now)


def claim(request: ApprovalRequest, person: User | None, actor: Actor, reason: str, now: datetime) -> None:
    """Say who is at it; None: nobody any more."""
    before = str(request.claimed_by_id) if request.claimed_by_id else ""
    event = "request.released" if person is None else "request.claimed" if str(person.pk) == actor.ref else "request.reassigned"
    data: dict[str, Json] = {"before": before, "by": str(person.pk) if person else ""}
    payloads = {"reason": canonical.dump(reason)} if reason else {}
    _append(request, now, _draft(request, event, actor, data, payloads))
    request.claimed_by, request.claimed_at = person, now if person else None
    request.save(update_fields=["claimed_by", "claimed_at", "seq", "head"])
    if event == "request.reassigned":
        posting.post(request, Notice.Kind.GIVEN, now, to=person)


def comment(request: ApprovalRequest, actor: Actor, text: str, now: datetime) -> None:
    _append(request, now, _draft(request, "request.commented", actor, {}, {"comment": canonical.dump(text)}))
    request.save(update_fields=["seq", "head"])


def _refuse(
    request: ApprovalRequest,
    event: str,
    actor: Actor,
    data: Mapping[str, Json],
    seen_digest: str,
    error: AegisError,
    now: datetime,
) -> None:
    told: dict[str, Json] = {
        **data,
        "code": _code_of(error),
        "digest": seen_digest if _DIGEST.fullmatch(seen_digest) else "",  # whatever was sent in its place stays out of the line
    }
    payloads = {"detail": canonical.dump(error.detail)}
    _append(request, now, _draft(request, event, actor, told, payloads, outcome="refused"))
    request.save(update_fields=["seq", "head"])


def _code_of(error: AegisError) -> str:
    return error.refusal if isinstance(error, NotEligible) else error.code


def _void(request: ApprovalRequest) -> list[Draft]:
    """The votes given so far count no more; what says so of each."""
    votes = list(Decision.objects.filter(request=request, is_void=False).order_by("seq"))
    Decision.objects.filter(pk__in=[vote.pk for vote in votes]).update(is_void=True)
    return [
        _draft(
            request,
            "decision.voided",
            SYSTEM,
            {"person": str(vote.person_id), "verdict": vote.verdict, "seq": vote.seq, "digest": vote.digest},
        )
        for vote in votes
    ]


def _moved(request: ApprovalRequest, digest: str, voided: int) -> dict[str, Json]:
    return {"old_digest": request.digest, "digest": digest, "policy_digest": request.policy.digest, "voided": voided}


def _bind_to(request: ApprovalRequest, digest: str, bound: Collection[str], policy: Policy, now: datetime) -> None:
    """What a vote signs from now on, and who cannot give one."""
    request.digest, request.policy_digest = digest, request.policy.digest
    request.risk = raised_risk(policy, request.risk)
    _begin_stage(request, policy, 0, now)
    request.save(update_fields=["digest", "policy_digest", "risk", *_STAGE_FIELDS, "seq", "head"])
    bind(request, bound)
    posting.post(request, Notice.Kind.ASKED, now)


def _begin_stage(request: ApprovalRequest, policy: Policy, stage: int, now: datetime) -> None:
    """Ask `stage` from now on. The caller saves `_STAGE_FIELDS`."""
    request.stage, request.stage_since, request.escalated = stage, now, 0
    request.next_at = _next_moment(request, policy)


def _next_moment(request: ApprovalRequest, policy: Policy) -> datetime | None:
    return timers.next_moment(
        policy,
        stage=request.stage,
        since=request.stage_since,
        escalated=request.escalated,
        deadline=request.deadline,
        reminded=request.reminded,
    )


def _close(request: ApprovalRequest, outcome: Outcome, drafts: Sequence[Draft], now: datetime) -> None:
    _append(request, now, *drafts)
    request.status, request.settled_at = _STATUS[outcome], now
    request.save(update_fields=["status", "settled_at", "seq", "head"])
    posting.post(request, Notice.Kind.SETTLED, now)


def _stage_passed(request: ApprovalRequest, policy: Policy, cause: str) -> Draft:
    data: dict[str, Json] = {"stage": request.stage + 1, "stages": len(policy.stages), "policy": policy.name}
    return _draft(request, "gate.stage_passed", SYSTEM, data, cause=cause)


def _draft(
    request: ApprovalRequest,
    event: str,
    actor: Actor,
    data: Mapping[str, Json],
    payloads: Mapping[str, bytes] | None = None,
    *,
    cause: str = "",
    outcome: str = "",
) -> Draft:
    return Draft(
        type=event,
        actor=actor,
        data=data,
        payloads=payloads or {},
        on_behalf=str(request.requester_id or "") if actor.kind == "agent" else "",
        cause=cause,
        agent=request.agent,
        capability=request.capability,
        outcome=outcome,
    )


def _append(request: ApprovalRequest, at: datetime, *drafts: Draft) -> None:
    """Append to the request's own stream. The caller saves `seq` and `head`."""
    context = Context(stream=request.stream, scope=request.scope, scope_id=request.scope_id, run_id=request.run_id)
    journal.append_to(request, context, drafts, at)
