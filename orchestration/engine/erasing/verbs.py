"""Asking for an erasure, placing and lifting legal holds. The page calls these and holds no rules.

Who may: `edit` on the area “audit”, for runs that the person may see. Nobody else learns that there are any.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from uuid import UUID, uuid4

from aegis.core import canonical, clock
from aegis.core.actors import Actor
from aegis.core.errors import Conflict, Fault, Forbidden, Invalid, NotFound, TooLarge
from aegis.identity.authority import hold_shared, raise_epoch
from aegis.identity.models import Area, User
from aegis.identity.principals import changing_rights, require_live, stated
from approvals import changes, gates, policies, tally
from approvals.models import ApprovalPolicy
from audit import journal
from audit.drafts import Context, Draft
from audit.erasures import emptying
from audit.models import Erasure, Hold, Retained
from orchestration.engine.erasing import subjects
from orchestration.engine.models import Run

STREAM: Final = "erasures"
Scope = Hold.Scope


class ErasureBlocked(Conflict):
    """Something stands against it now: a legal hold, or a run that has not ended."""

    code, title = "erasure_blocked", "This cannot be erased now"


class ErasureUnguarded(Conflict):
    """No approval policy asks two people."""

    code, title = "erasure_unguarded", "Nobody is named who decides about erasures"


class HoldLifted(Conflict):
    code, title = "hold_lifted", "This hold was lifted already"


class OwnHold(Forbidden):
    """Whoever placed a hold does not lift it."""

    code, title, can_be_given = "own_hold", "Somebody else must lift it", False


def ask(*, run_id: UUID | None = None, key: str = "", actor: Actor, reason: str) -> Erasure:
    """Ask two others whether what was recorded of some runs may be emptied. Asking twice is asking once.

    Args:
        run_id, key: one of them: a run, or everything about a business key that the asker may see.

    Raises:
        NotFound: no such run, none about the key, or the asker may not see any. Forbidden: he may not ask.
        ErasureBlocked, ErasureUnguarded, TooLarge, Invalid
        NobodyEligible: the policy has nobody who could decide.
    """

    def work() -> Erasure:
        hold_shared()
        person = officer(actor)
        why = stated(reason)
        runs = subjects.covered(person, run_id=run_id, key=key)
        if not runs:
            raise NotFound
        if len(runs) > subjects.MAX_RUNS:
            raise TooLarge(f"One request covers {subjects.MAX_RUNS} runs at most; ask for single runs")
        if code := subjects.obstacle(runs):
            raise ErasureBlocked(f"Nothing can be erased now: {subjects.OBSTACLES[code]}")
        ids = [str(run.pk) for run in runs]
        for standing in Erasure.objects.filter(status=Erasure.Status.ASKED, asked_by=str(person.pk)):
            if standing.runs == ids:
                return standing
        return _asked(person, actor, key if not run_id else "", runs, why)

    return changing_rights(work, actor=actor, what="erasures.ask")


def place_hold(scope: str, *, run_id: UUID | None = None, key: str = "", actor: Actor, reason: str) -> Hold:
    """From this commit on nothing of it is emptied, by whatever was decided before. A hold that stands already is returned.

    Raises:
        NotFound: no such run, none about the key, or the person may not see any. Forbidden: he may not place holds.
        Invalid: no reason, no such kind of hold.
    """
    if scope not in Scope.values:
        raise Invalid("There is no such hold", faults=[Fault("/scope", f"is none of {', '.join(Scope.values)}")])

    def work() -> Hold:
        raise_epoch()  # exclusive: whoever decides about an erasure holds it shared
        person = officer(actor)
        why = stated(reason)
        of_run = run_id if scope == Scope.RUN else None
        of_key = key if scope == Scope.SUBJECT else ""
        if scope != Scope.EVERYTHING and not subjects.covered(person, run_id=of_run, key=of_key):
            raise NotFound
        standing = Hold.objects.filter(scope=scope, run_id=of_run, key=of_key, lifted_at__isnull=True).first()
        if standing is not None:
            return standing
        hold = Hold(scope=scope, run_id=of_run, key=of_key, placed_by=str(person.pk), placed_at=clock.db_now())
        hold.place = _tell(hold, "hold.placed", actor, why)
        hold.save(force_insert=True)
        return hold

    return changing_rights(work, actor=actor, what="holds.place")


def lift_hold(hold_id: UUID, *, actor: Actor, reason: str) -> Hold:
    """Let go what a hold kept. Another person than the one who placed it; retention begins again where the hold kept it.

    Raises:
        NotFound: unknown, or the person may not see what it is about. Forbidden, OwnHold. HoldLifted. Invalid: no reason.
    """

    def work() -> Hold:
        raise_epoch()
        person = officer(actor)
        why = stated(reason)
        hold = visible_holds(person, Hold.objects.select_for_update().filter(pk=hold_id))
        if not hold:
            raise NotFound
        row = hold[0]
        if row.lifted_at is not None:
            raise HoldLifted
        if row.placed_by == str(person.pk):
            raise OwnHold("You placed this hold; another person lifts it")
        row.lifted_at, row.lifted_by = clock.db_now(), str(person.pk)
        _tell(row, "hold.lifted", actor, why)
        row.save(update_fields=["lifted_at", "lifted_by"])
        Retained.objects.update(done_to=None, last="", looked_at=None)
        return row

    return changing_rights(work, actor=actor, what="holds.lift")


def officer(actor: Actor) -> User:
    """The live person, who may ask for erasures and place holds.

    Raises:
        NotFound, Forbidden, NotAuthenticated
    """
    person = require_live(actor)
    Area.objects.get_visible(person, "edit", name="audit")
    return person


def visible_holds(person: User, rows: Iterable[Hold]) -> list[Hold]:
    """Those of the holds whose run, or a run about whose key, the person may see; those over everything."""
    holds = list(rows)
    runs = Run.objects.visible_to(person)
    ids = set(runs.filter(pk__in=[hold.run_id for hold in holds if hold.run_id]).values_list("pk", flat=True))
    keys = set(runs.filter(business_key__in=[hold.key for hold in holds if hold.key]).values_list("business_key", flat=True))
    return [hold for hold in holds if hold.scope == Scope.EVERYTHING or hold.run_id in ids or hold.key in keys]


def digest_of(erasure_id: UUID | str, runs: list[str], policy_digest: str) -> str:
    """What a decision about an erasure signs."""
    return canonical.digest_of({"erasure": str(erasure_id), "runs": runs, "policy": policy_digest})


def _asked(person: User, actor: Actor, key: str, runs: list[Run], why: str) -> Erasure:
    policy = _policy()
    now = clock.db_now()
    erasure = Erasure(id=uuid4(), key=key, runs=[str(run.pk) for run in runs], asked_by=str(person.pk), asked_at=now)
    draft = Draft(
        "erasure.asked",
        actor,
        data={"erasure": str(erasure.pk), "what": erasure.label},
        payloads={"reason": canonical.dump(why)},
    )
    gates.open_request(
        request_id=erasure.pk,
        question="erasure",
        subject=str(erasure.pk),
        policy=policy,
        digest=digest_of(erasure.pk, erasure.runs, policy.digest),
        risk="high",
        requester_id=person.pk,
        run_id=None,
        context_scope="policy",
        scope_id=str(policy.pk),
        evidence={"diff": canonical.dump(_sentences(runs)), "reason": canonical.dump(why)},
        at=now,
        actor=actor,
        bound=frozenset({str(person.pk)}),
    )
    (line,) = journal.append(Context(stream=STREAM, scope="access"), [draft], now)
    erasure.place = line.place
    erasure.save(force_insert=True)
    return erasure


def _sentences(runs: list[Run]) -> list[str]:
    """What will be emptied, for those who decide: labels and counts. This stays for good, so it names nobody."""
    records, shared = subjects.records_of(runs)
    told = [f"{run.label}: {_many(len(subjects.spots_of(run)), 'payload')}, and its business key" for run in runs]
    if records:
        told.append(f"{_many(len(records), 'record')} that only these runs have written")
    if shared:
        told.append(f"{_many(shared, 'record')} that others have written too, left as they are")
    return told


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _policy() -> ApprovalPolicy:
    for name in (changes.ERASURE_POLICY, changes.CONFIG_POLICY):
        policy: ApprovalPolicy | None = ApprovalPolicy.objects.filter(name=name).first()
        if policy is not None:
            if tally.people_needed(policies.load_text(policy.document)) < changes.LEAST_APPROVERS:
                raise ErasureUnguarded(f"Two others must approve an erasure, and “{name}” asks only one")
            return policy
    raise ErasureUnguarded(
        f"Two others must approve an erasure, and no approval policy “{changes.ERASURE_POLICY}” says who they are"
    )


def _tell(hold: Hold, type_: str, actor: Actor, why: str) -> str:
    what = {"run": "this run", "subject": f"one subject ({hold.label})", "everything": "everything"}[hold.scope]
    draft = Draft(type_, actor, data={"hold": str(hold.pk), "what": what}, payloads={"reason": canonical.dump(why)})
    context = Context(stream=STREAM, scope="access")
    if hold.run_id:
        workflow = Run.objects.values_list("workflow_id", flat=True).get(pk=hold.run_id)
        context = emptying.of_run(hold.run_id, "workflow", str(workflow))
    (line,) = journal.append(context, [draft])
    return line.place
