"""The engine's public verbs for people and callers: submit, cancel, retry. Edges call these and hold no rules."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import IntegrityError

from aegis.core import canonical, clock, wake
from aegis.core.actors import Actor
from aegis.core.canonical import Json
from aegis.core.db import in_transaction
from aegis.core.errors import Conflict, Fault, IdempotencyMismatch, Invalid
from aegis.core.expressions import Failed, compile_value
from aegis.identity.models import User
from aegis.identity.principals import stated
from audit import chain, journal
from audit.drafts import Context, Draft, Head
from orchestration.engine import inbox
from orchestration.engine import state as states
from orchestration.engine.fold import fold
from orchestration.engine.models import InboxItem, Run
from orchestration.engine.state import State
from orchestration.workflows import releases
from orchestration.workflows.models import Workflow
from orchestration.workflows.release import Release

MAX_KEY_CHARS = 120

_KEY = re.compile(r"[\x21-\x7e][\x20-\x7e]*")


class InputRefused(Invalid):
    """The payload breaks the workflow's input contract. Only the refusal is recorded."""

    code, title = "input_refused", "The request breaks its contract"


class RunAtRest(Conflict):
    """The run is in no state that the verb applies to."""

    code, title = "run_at_rest", "The run is not in a state for this"


@dataclass(frozen=True, slots=True)
class Submission:
    """One piece of work to start."""

    payload: Json
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Submitted:
    """The run of a submission, and whether this call made it (False: the key was used before, with the same body)."""

    run: Run
    is_new: bool


def submit(workflow: str, submission: Submission, *, person: User, actor: Actor) -> Submitted:
    """Start one run. See `submit_many`.

    Raises:
        InputRefused: with a fault per JSON pointer; the refusal is on record.
    """
    return submit_many(workflow, [submission], person=person, actor=actor)[0]


def submit_many(workflow: str, submissions: Sequence[Submission], *, person: User, actor: Actor) -> list[Submitted]:
    """Start runs of one workflow in one transaction: all of them or none.

    Raises:
        NotFound, Forbidden: the workflow is not visible to `person`, or they may not `start` it.
        InputRefused: a payload breaks the input contract (pointers start with the item's index when there are several).
        IdempotencyMismatch: a key was used before with another body.
        Malformed: a payload or key is no acceptable text.
    """
    row = Workflow.objects.get_visible(person, "start", name=workflow)
    release = releases.load(releases.release_for(row).pk)
    faults = _all_faults(release, submissions)
    if faults:
        _record_refusal(row, release, faults, actor)
        raise InputRefused(f"The request breaks {release.definition.input}", faults=faults)
    plans = [_plan(release, submission) for submission in submissions]
    try:
        return in_transaction(lambda: _create(row, release, plans, person, actor))
    except IntegrityError:  # the same key was committed between our look and our insert: look again
        return in_transaction(lambda: _create(row, release, plans, person, actor))


def cancel_run(run_id: UUID, *, person: User, actor: Actor, reason: str) -> Run:
    """Ask a run to stop. Consumed before anything else; open requests and review items end with it.

    Raises:
        NotFound, Forbidden: not visible, or no `operate` on its workflow.
        RunAtRest: it has ended already.
        Invalid: no reason.
    """
    return _tell(run_id, InboxItem.Kind.CANCEL, person=person, actor=actor, reason=reason, may=_may_cancel)


def retry_run(run_id: UUID, *, person: User, actor: Actor, reason: str) -> Run:
    """Begin the step again where the run failed, waits to retry, or lies in a review queue. Effects keep their keys."""
    return _tell(run_id, InboxItem.Kind.RETRY, person=person, actor=actor, reason=reason, may=_may_retry)


@dataclass(frozen=True, slots=True)
class _Plan:
    body: bytes
    digest: str
    business_key: str
    priority: int
    idempotency_key: str | None


def _all_faults(release: Release, submissions: Sequence[Submission]) -> list[Fault]:
    checker = release.contracts[release.definition.input]
    faults = []
    for index, submission in enumerate(submissions):
        canonical.check_value(submission.payload)
        prefix = f"/{index}" if len(submissions) > 1 else ""
        faults += [Fault(f"{prefix}{fault.where}", fault.what, fault.remedy) for fault in checker.faults(submission.payload)]
    return faults


def _plan(release: Release, submission: Submission) -> _Plan:
    body = canonical.dump(submission.payload)
    if len(body) > canonical.MAX_PAYLOAD_BYTES:
        raise Invalid(f"The request has {len(body):,} bytes; at most {canonical.MAX_PAYLOAD_BYTES:,} are kept")
    key = submission.idempotency_key
    if key is not None and (len(key) > MAX_KEY_CHARS or not _KEY.fullmatch(key)):
        raise Invalid(f"Idempotency-Key must be 1 to {MAX_KEY_CHARS} printable ASCII characters")
    definition = release.definition
    facts = {"input": submission.payload, "steps": {}}
    business_key = compile_value(definition.business_key, {"input": "map", "steps": "map"}).value(facts)
    if isinstance(business_key, Failed) or not isinstance(business_key, str | int) or not str(business_key)[:1]:
        raise InputRefused(f"The business key {definition.business_key} has no value in this request")
    tier = compile_value(definition.priority, {"input": "map", "steps": "map"}).value(facts)
    return _Plan(
        body=body,
        digest=canonical.digest(body),
        business_key=str(business_key)[:200],
        priority=tier if isinstance(tier, int) and 1 <= tier <= 5 else 5,  # an error never widens: the last tier
        idempotency_key=key,
    )


def _create(row: Workflow, release: Release, plans: Sequence[_Plan], person: User, actor: Actor) -> list[Submitted]:
    known = _known(plans, person)
    at = clock.db_now()
    results: list[Submitted] = []
    runs, lines = [], []
    for plan in plans:
        earlier = known.get(plan.idempotency_key) if plan.idempotency_key else None
        if earlier is not None:
            if earlier.input_digest != plan.digest or earlier.workflow_id != row.pk:
                raise IdempotencyMismatch(
                    f"Idempotency-Key {plan.idempotency_key!r} was used for {earlier.label} with another body"
                )
            results.append(Submitted(earlier, is_new=False))
            continue
        run = Run(
            id=uuid.uuid4(),
            workflow=row,
            release_id=release.id,
            business_key=plan.business_key,
            requester=person,
            idempotency_key=plan.idempotency_key,
            input_digest=plan.digest,
            priority=plan.priority,
            submitted_at=at,
        )
        lines += _first_line(run, release, plan, actor)
        runs.append(run)
        results.append(Submitted(run, is_new=True))
        if plan.idempotency_key:
            known[plan.idempotency_key] = run
    Run.objects.bulk_create(runs)
    journal.write(lines)
    if runs:
        wake.nudge()
    return results


def _known(plans: Sequence[_Plan], person: User) -> dict[str, Run]:
    keys = [plan.idempotency_key for plan in plans if plan.idempotency_key]
    if not keys:
        return {}
    found = Run.objects.filter(requester=person, idempotency_key__in=keys)
    return {run.idempotency_key: run for run in found if run.idempotency_key}


def _first_line(run: Run, release: Release, plan: _Plan, actor: Actor) -> list[chain.Line]:
    """Seal `run.submitted` and put its consequences on the (unsaved) row."""
    data = {
        "workflow": release.workflow,
        "version": release.version,
        "priority": plan.priority,
        "next": release.definition.steps[0].common.id,
        "input_digest": plan.digest,
    }
    draft = Draft("run.submitted", actor, data=data, payloads={"input": plan.body}, outcome="accepted")
    context = Context(
        stream=run.stream,
        scope="workflow",
        scope_id=str(release.workflow_id),
        run_id=run.pk,
        subject=str(run.subject_ref),
        trace=run.pk.hex,
        definition=release.digest,
    )
    lines, head = chain.seal(context, Head(), [draft], run.submitted_at, journal.new_salts())
    state = fold(State(), stream=run.stream, seq=1, type=draft.type, data=data)
    run.state, run.status, run.step = states.dump(state), state.status, state.step
    run.seq, run.head = head.seq, head.leaf
    return lines


def _record_refusal(row: Workflow, release: Release, faults: Sequence[Fault], actor: Actor) -> None:
    """The refusal is recorded, the message is not: it never became ours."""
    draft = Draft(
        "run.refused",
        actor,
        data={"workflow": row.name, "contract": release.definition.input, "faults": len(faults)},
        payloads={"faults": canonical.dump([{"pointer": fault.where, "fault": fault.what} for fault in faults[:20]])},
        outcome="refused",
    )
    context = Context(stream=f"refusals:{row.name}", scope="workflow", scope_id=str(row.pk))
    in_transaction(lambda: journal.append(context, [draft]))


def _tell(run_id: UUID, kind: str, *, person: User, actor: Actor, reason: str, may: Callable[[Run], None]) -> Run:
    run = Run.objects.get_visible(person, "operate", pk=run_id)
    text = stated(reason)

    def work() -> Run:
        locked = inbox.lock_run(run.pk)
        may(locked)
        inbox.post(run.pk, kind, actor=actor, reason=text)
        return locked

    return in_transaction(work)


def _may_cancel(run: Run) -> None:
    if run.status in Run.TERMINAL:
        raise RunAtRest(f"{run.label} is {run.get_status_display()} already")


def _may_retry(run: Run) -> None:
    if run.status not in (Run.Status.FAILED, Run.Status.WAITING_RETRY, Run.Status.WAITING_REVIEW):
        raise RunAtRest(f"{run.label} is {run.get_status_display()}; only a failed or waiting step can be tried again")
