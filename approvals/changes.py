"""Change control: the one door for configuration (DESIGN section 6). Admin, API and command line call these verbs.

Documents go in; they are linted as a set, and applied at once, or, where anything guarded is touched, a request is opened and
two people decide. All of it happens under the exclusive authority lock, so a change set is judged against what it replaces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID, uuid4

from django.db import transaction

from aegis.core import canonical, clock
from aegis.core.actors import SYSTEM, Actor
from aegis.core.canonical import Json
from aegis.core.db import in_transaction
from aegis.core.errors import AegisError, Conflict, Forbidden, NotFound, Stale
from aegis.core.kinds import Key, get_kind
from aegis.identity.authority import raise_epoch
from aegis.identity.models import User
from aegis.identity.principals import require_live, stated
from approvals import gates, policies, previews, tally, trail
from approvals.errors import AlreadyBootstrapped, ChangeInvalid, GuardedChange, NothingToChange
from approvals.models import ApprovalPolicy, ApprovalRequest, ChangeSet, DocumentVersion
from approvals.previews import Item, Preview
from audit import access

__all__ = [
    "CONFIG_POLICY",
    "ERASURE_POLICY",
    "Item",
    "Preview",
    "ask",
    "bootstrap",
    "preview",
    "propose",
    "register_applied_hook",
    "register_bound",
    "withdraw",
    "withdraw_asked",
]

CONFIG_POLICY = "config-change"  # the approval policy that says who decides guarded changes
ERASURE_POLICY = "erasure"  # the one that says who decides about erasures; without it `CONFIG_POLICY` does
LEAST_APPROVERS = 2  # named people other than the requester (DESIGN promise 9)

Documents = Iterable[tuple[Key, Json | None]]
AppliedHook = Callable[[set[str], UUID], None]
#: Keys of a change set -> id of each person who may not decide it, and how he is bound ("hold the role").
Bound = Callable[[Sequence[Key]], Mapping[str, str]]
Status = ChangeSet.Status

_hooks: list[AppliedHook] = []
_bound: list[Bound] = []


def register_applied_hook(hook: AppliedHook) -> None:
    """Have `hook(kinds, change_id)` called inside every applying transaction, after the rows are written."""
    if hook not in _hooks:
        _hooks.append(hook)


def register_bound(bound: Bound) -> None:
    """Say who, beside whoever asked, may not decide what `ask` put forward."""
    if bound not in _bound:
        _bound.append(bound)


def preview(documents: Documents, user: User | None) -> Preview:
    """What the change would do and what speaks against it. Changes nothing.

    Args:
        user: whose rights are asked; None asks none.
    """
    return previews.judge(documents, user)


def propose(
    documents: Documents, *, author: User | None, actor: Actor, reason: str, bases: Mapping[Key, str | None] | None = None
) -> ChangeSet:
    """Apply a change set, or ask for its approval where something guarded is touched. Call it outside a transaction.

    Args:
        author: the person whose rights are asked; superusers are people like all others.
        actor: the same person, with how they proved themselves.
        bases: key -> digest of the document the new one was made from; refused if it moved.

    Returns:
        the change set: applied, or proposed, with an open request of the same id.

    Raises:
        Forbidden: a right is missing for one of the documents, or no person proposes. Recorded.
        ChangeInvalid: with every fault. NothingToChange. Stale: a base moved.
        GuardedChange: it needs approval and no policy `config-change` asks two people.
        NobodyEligible: that policy has nobody who could decide.
    """
    why = stated(reason)
    given = list(documents)
    try:
        return in_transaction(lambda: _propose(given, author, actor, why, bases or {}))
    except Forbidden as error:
        access.deny(actor, "changes.propose", error)
        raise


def ask(
    documents: Documents,
    *,
    asker: User | None,
    actor: Actor,
    reason: str,
    guard: str,
    bases: Mapping[Key, str | None],
    also: Sequence[str] = (),
) -> ChangeSet:
    """Ask two people for a change that nobody's right carries: what a review of access would take away. It is never applied at
    once. Inside the caller's transaction, which holds the authority lock exclusively.

    The change set has no author, so no rights are asked of one: that two others sign these very documents is its right. The
    caller makes them himself, and lets them only take away: nothing that a person typed comes this way.

    Args:
        asker: who is bound as its requester; None if AEGIS asks by itself.
        guard: why it is not applied at once, as `Kind.guards` tells it.
        bases: as of `propose`.
        also: what those who decide must know beside the diff in words, such as what the change would let through.

    Raises:
        ChangeInvalid, NothingToChange, Stale, GuardedChange, NobodyEligible: as `propose`.
    """
    why = stated(reason)
    judged = previews.judge(documents, None)
    _require_bases(bases)
    first, *others = _agreed(judged)
    items = [replace(first, sentences=(*also, *first.sentences)), *others]
    policy = _config_policy([guard, *judged.guards])
    now = clock.db_now()
    change_set = _new(None, items, Status.PROPOSED, now)
    trail.record_proposed(change_set, items, actor, why, now)
    _open(change_set, items, policy, actor, why, now, requester=asker, bound=frozenset(bound_by_asking(change_set)))
    return change_set


def bound_by_asking(change_set: ChangeSet) -> Mapping[str, str]:
    """Who may not decide a change set that `ask` made, beside whoever asked, and how he is bound."""
    keys = [key for key, _, _ in trail.documents_of(change_set)]
    return {person: how for bound in _bound for person, how in bound(keys).items()}


def withdraw_asked(change_id: UUID, *, actor: Actor, reason: str) -> bool:
    """Take back what AEGIS asked by itself, because it was answered another way. In a transaction as of `ask`.

    Returns:
        False: it is settled already, or a person asked it.
    """
    change_set = ChangeSet.objects.select_for_update().filter(pk=change_id, author=None, status=Status.PROPOSED).first()
    if change_set is None:
        return False
    # What a person asked by `ask` has no author either; only its request names him.
    if not ApprovalRequest.objects.filter(pk=change_set.pk, requester_id=None).exists():
        return False
    if not gates.withdraw(change_set.pk, actor, reason, clock.db_now()):
        return False
    take_back(change_set, actor, reason)
    return True


def bootstrap(documents: Documents, *, reason: str = "First configuration of this installation") -> ChangeSet:
    """Apply the first configuration as SYSTEM. Possible only before the first applied change set.

    Raises:
        AlreadyBootstrapped, ChangeInvalid, NothingToChange.
    """
    why = stated(reason)
    given = list(documents)

    def work() -> ChangeSet:
        raise_epoch()  # exclusive: two bootstraps pass here one after the other
        if ChangeSet.objects.filter(status=Status.APPLIED).exists():
            raise AlreadyBootstrapped("Configuration has been applied before; propose a change instead")
        items = _agreed(previews.judge(given, None))
        now = clock.db_now()
        change_set = _new(None, items, Status.PROPOSED, now)
        _apply(change_set, items, SYSTEM, why, now)
        trail.record_bootstrap(change_set, items, now)
        return change_set

    return in_transaction(work)


def withdraw(change_id: UUID, *, actor: Actor, reason: str) -> ChangeSet:
    """Take a proposed change set back; only its author can.

    Raises:
        NotFound: unknown, or somebody else's. Conflict: it is settled already.
    """
    why = stated(reason)

    def work() -> ChangeSet:
        raise_epoch()
        person = require_live(actor)
        change_set = ChangeSet.objects.select_for_update().filter(pk=change_id, author=person).first()
        if change_set is None:
            raise NotFound
        if change_set.status != Status.PROPOSED:
            raise Conflict(f"The change set is {change_set.get_status_display()}")
        now = clock.db_now()
        gates.withdraw(change_set.pk, actor, why, now)
        take_back(change_set, actor, why)
        return change_set

    return in_transaction(work)


def take_back(change_set: ChangeSet, actor: Actor, reason: str) -> None:
    """Its author withdrew it, or the request for its approval. Inside that transaction, which closes the request."""
    now = clock.db_now()
    _settle(change_set, Status.WITHDRAWN, now)
    trail.record_withdrawn(change_set, actor, reason, now)


def apply_approved(change_set: ChangeSet, *, reason: str, cause: str) -> None:
    """Apply what two people approved, or mark it stale: what was judged at proposing is judged again.

    Inside the deciding transaction. What applying itself refuses is the author's, never the approver's: it must not undo a
    decision that was made, nor leave a change set that nobody could ever settle.

    Args:
        cause: "<stream>/<seq>" of the line that settled the request.
    """
    now = clock.db_now()
    stored = trail.documents_of(change_set)
    author = change_set.author  # None: of `ask`
    if any(previews.base_digest(key) != base for key, base, _ in stored):
        _go_stale(change_set, "base_moved", [], now)
        return
    judged = previews.judge([(key, new) for key, _, new in stored], author)
    if judged.missing or (author is not None and not author.is_active):
        _go_stale(change_set, "rights_lost", judged.missing, now)
    elif judged.faults:
        _go_stale(change_set, "lint", [str(fault) for fault in judged.faults], now)
    else:
        actor = SYSTEM if author is None else Actor("user", str(author.pk), "approved")
        try:
            with transaction.atomic():  # a savepoint: what was written before the refusal goes with it
                _apply(change_set, judged.items, actor, reason, now, cause=cause)
        except AegisError as error:
            code = "rights_lost" if isinstance(error, (Forbidden, NotFound)) else "refused"
            _go_stale(change_set, code, [error.detail, *(str(fault) for fault in error.faults)], now)


def reject(change_set: ChangeSet, outcome: str, cause: str) -> None:
    """Its request was rejected, or expired. Inside that transaction."""
    now = clock.db_now()
    _settle(change_set, Status.REJECTED, now)
    trail.record_rejected(change_set, outcome, cause, now)


def request_digest(change_set: ChangeSet, policy: ApprovalPolicy) -> str:
    """What a decision about a change set signs: the documents with their bases, and the policy's version."""
    documents = canonical.digest(change_set.documents.encode())
    return canonical.digest_of({"change": str(change_set.pk), "documents": documents, "policy": policy.digest})


def _propose(
    documents: list[tuple[Key, Json | None]], author: User | None, actor: Actor, why: str, bases: Mapping[Key, str | None]
) -> ChangeSet:
    raise_epoch()
    person = require_live(actor)
    if author is None or author.pk != person.pk:
        raise Forbidden("A change of configuration is proposed by the person who makes it", right="edit")
    judged = previews.judge(documents, person)
    _require_rights(judged)
    _require_bases(bases)
    items = _agreed(judged)
    now = clock.db_now()
    if not judged.guards:
        change_set = _new(person, items, Status.PROPOSED, now)
        _apply(change_set, items, actor, why, now)
        return change_set
    policy = _config_policy(judged.guards)
    change_set = _new(person, items, Status.PROPOSED, now)
    trail.record_proposed(change_set, items, actor, why, now)
    _open(change_set, items, policy, actor, why, now, requester=person, bound=frozenset({str(person.pk)}))
    return change_set


def _open(
    change_set: ChangeSet,
    items: Sequence[Item],
    policy: ApprovalPolicy,
    actor: Actor,
    why: str,
    now: datetime,
    *,
    requester: User | None,
    bound: frozenset[str],
) -> None:
    gates.open_request(
        request_id=change_set.pk,
        question="change",
        subject=str(change_set.pk),
        policy=policy,
        digest=request_digest(change_set, policy),
        risk="high",
        requester_id=requester.pk if requester else None,
        run_id=None,
        context_scope="policy",
        scope_id=str(policy.pk),
        evidence={"diff": trail.diff_payload(items), "reason": canonical.dump(why)},
        at=now,
        actor=actor,
        bound=bound,
    )


def _require_rights(judged: Preview) -> None:
    for item in judged.items:
        if item.missing:
            raise Forbidden(item.missing, right="edit", granted_by=item.granted_by)


def _require_bases(bases: Mapping[Key, str | None]) -> None:
    for key, base in bases.items():
        if previews.base_digest(key) != base:
            raise Stale(f"{key} was changed since you opened it; make your change again on what stands now")


def _agreed(judged: Preview) -> Sequence[Item]:
    if judged.faults:
        count = len(judged.faults)
        raise ChangeInvalid(
            f"{count} {'thing speaks' if count == 1 else 'things speak'} against this change", faults=judged.faults
        )
    if judged.is_empty:
        raise NothingToChange("These documents stand already")
    return judged.items


def _config_policy(guards: Sequence[str]) -> ApprovalPolicy:
    """The policy of guarded changes.

    Raises:
        GuardedChange: there is none, or it asks fewer than two people.
    """
    because = " ".join(guards)
    policy: ApprovalPolicy | None = ApprovalPolicy.objects.filter(name=CONFIG_POLICY).first()
    if policy is None:
        detail = f"{because} So two others must approve it, and no approval policy “{CONFIG_POLICY}” says who they are"
        raise GuardedChange(detail, guards=guards)
    if tally.people_needed(policies.load_text(policy.document)) < LEAST_APPROVERS:
        raise GuardedChange(f"{because} So two others must approve it, and “{CONFIG_POLICY}” asks only one", guards=guards)
    return policy


def _new(author: User | None, items: Sequence[Item], status: Status, now: datetime) -> ChangeSet:
    return ChangeSet.objects.create(
        id=uuid4(), author=author, status=status, documents=trail.stored_documents(items), created_at=now
    )


def _apply(change_set: ChangeSet, items: Sequence[Item], actor: Actor, reason: str, now: datetime, *, cause: str = "") -> None:
    """Write versions, rows and events, tell the hooks, and make stale what was based on the documents replaced."""
    numbers: dict[Key, int] = {}
    scopes = {item.key: trail.scope_of(item.key) for item in items if item.change.new is None}  # while their rows are there
    for item in items:
        if item.change.new is not None:
            numbers[item.key] = _freeze(item, change_set, now)
        get_kind(item.key.kind).apply(item.change, actor=actor, change_id=change_set.pk)
    _settle(change_set, Status.APPLIED, now)
    trail.record_applied(change_set, items, numbers, scopes, actor, reason, now, cause)
    for hook in _hooks:
        hook({item.key.kind for item in items}, change_set.pk)
    _supersede(change_set, {item.key for item in items}, now)


def _freeze(item: Item, change_set: ChangeSet, now: datetime) -> int:
    """The frozen copy; written before the row, which takes its number."""
    body = canonical.dump(item.change.new)
    versions = DocumentVersion.objects.filter(kind=item.key.kind, name=item.key.name)
    last = versions.order_by("-number").values_list("number", flat=True).first()
    version = DocumentVersion.objects.create(
        kind=item.key.kind,
        name=item.key.name,
        number=(last or 0) + 1,
        digest=canonical.digest(body),
        document=body.decode(),
        change_set=change_set,
        created_at=now,
    )
    return version.number


def _supersede(applied: ChangeSet, keys: set[Key], now: datetime) -> None:
    """Proposals whose base just moved can never be applied: close them and their requests now, not when somebody approves."""
    for other in ChangeSet.objects.select_for_update().filter(status=Status.PROPOSED).exclude(pk=applied.pk).order_by("pk"):
        if keys.intersection(key for key, _, _ in trail.documents_of(other)):
            gates.withdraw(other.pk, SYSTEM, "Its base moved", now)
            _go_stale(other, "base_moved", [], now)


def _go_stale(change_set: ChangeSet, code: str, faults: list[str], now: datetime) -> None:
    _settle(change_set, Status.STALE, now)
    trail.record_stale(change_set, code, faults, now)


def _settle(change_set: ChangeSet, status: Status, now: datetime) -> None:
    change_set.status, change_set.settled_at = status, now
    change_set.save(update_fields=["status", "settled_at"])
