"""Delegation of votes: for some days, one person decides in another's place. It adds nothing.

Who votes for Ana is bound by all that binds Ana and by all that binds himself, and is asked only where Ana is asked. What he
has by delegation he cannot give on. Nobody asks him before: he is told at once, and may decline. Giving and ending one changes
rights, so both take the authority lock and raise the epoch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Final, cast
from uuid import UUID, uuid4

from django.db.models import Case, Q, QuerySet, When

from aegis.core import clock, clock_text
from aegis.core.actors import Actor
from aegis.core.db import in_transaction
from aegis.core.errors import Conflict, Fault, Invalid, NotFound
from aegis.core.kinds import get_kind
from aegis.identity.authority import raise_epoch
from aegis.identity.models import User
from aegis.identity.principals import require_live, stated
from aegis.identity.recorder import Entry, Principal, recorder
from approvals.governed import DocumentKind
from approvals.models import ApprovalPolicy, ApprovalRequest, Delegation
from approvals.notices import posting
from approvals.notices.models import Notice

LONGEST: Final = timedelta(days=90)


def delegate(
    *,
    to: UUID | str,
    starts_at: datetime,
    ends_at: datetime,
    actor: Actor,
    reason: str,
    policy: str = "",
    capability: str = "",
) -> Delegation:
    """Let `to` decide in the actor's place. Call it outside a transaction.

    Args:
        policy, capability: only requests under this policy, about this capability; "" for all.

    Raises:
        Invalid: to oneself, to nobody who is active, dates that end before they begin, have passed or are too long, or a policy
            or capability there is not; names the field.
    """
    why = stated(reason)

    def work() -> Delegation:
        raise_epoch()
        delegator = require_live(actor)
        now = clock.db_now()
        other = User.objects.filter(pk=to, is_active=True).first()
        faults = list(_faults(delegator, other, starts_at, ends_at, now))
        if policy and not _knows(delegator, policy):
            faults.append(Fault("/policy", "there is no such policy"))
        if capability and not _knows_capability(delegator, capability):
            faults.append(Fault("/capability", "there is no such capability"))
        if faults or other is None:
            raise Invalid("This cannot be delegated", faults=faults)
        row = Delegation.objects.create(
            id=uuid4(),
            delegator=delegator,
            delegate=other,
            policy=policy,
            capability=capability,
            starts_at=starts_at,
            ends_at=ends_at,
            created_at=now,
        )
        _record("delegation.given", row, actor, why, now)
        posting.post_delegation(row, Notice.Kind.DELEGATED, now, to=other)
        return row

    return in_transaction(work)


def end(delegation_id: UUID, *, actor: Actor, reason: str) -> Delegation:
    """Take a delegation back, or decline one that was given to the actor. From then on it counts as never given: nobody is
    bound by it, and votes given under it no longer count where they have not settled anything. The other one is told.

    Raises:
        NotFound: unknown, or neither given by the actor nor to him. Conflict: it is over.
    """
    mine = Q(delegator=actor.ref) | Q(delegate=actor.ref)
    if actor.kind != "user" or not Delegation.objects.filter(mine, pk=delegation_id).exists():
        raise NotFound  # before the lock that everybody waits for, and before what was typed
    why = stated(reason)

    def work() -> Delegation:
        raise_epoch()
        require_live(actor)
        row = Delegation.objects.select_for_update().filter(mine, pk=delegation_id).first()
        if row is None:
            raise NotFound
        now = clock.db_now()
        if row.ended_at is not None or row.ends_at <= now:
            raise Conflict(f"This delegation ended at {clock_text.render(row.ended_at or row.ends_at)}")
        row.ended_at = now
        row.save(update_fields=["ended_at"])
        is_declined = actor.ref == str(row.delegate_id)
        _record("delegation.declined" if is_declined else "delegation.ended", row, actor, why, now)
        if is_declined:
            posting.post_delegation(row, Notice.Kind.DECLINED, now, to=row.delegator)
        else:
            posting.post_delegation(row, Notice.Kind.TAKEN_BACK, now, to=row.delegate)
        return row

    return in_transaction(work)


def standing_for(person: User, request: ApprovalRequest, now: datetime) -> list[Delegation]:
    """The delegations under which `person` may decide this request now, the oldest first. Their delegators are active."""
    rows = in_force(now).filter(
        Q(policy="") | Q(policy=request.policy.name),
        Q(capability="") | Q(capability=request.capability),
        delegate=person,
        delegator__is_active=True,
    )
    return list(rows.select_related("delegator").order_by("created_at", "pk"))


def acting_for(people: Collection[str], now: datetime) -> frozenset[str]:
    """Who acts for one of `people` now, by whatever delegation and over any number of hands; ids, without `people` themselves.

    Votes are not given on, but who holds the right of somebody who is bound is tied to him, also where he votes in his own
    right. One query.
    """
    return reached_from(people, hands(now)) if people else frozenset()


def hands(now: datetime) -> list[tuple[str, str]]:
    """(delegator, delegate) of every delegation in force; ids. One query, for who asks of many requests."""
    pairs = in_force(now).values_list("delegator_id", "delegate_id")
    return [(str(delegator), str(delegate)) for delegator, delegate in pairs]


def acted_for(person: UUID | str, rows: Iterable[Delegation]) -> frozenset[str]:
    """For whom this person acts, over any number of hands; ids.

    Args:
        rows: of `in_force`.
    """
    return reached_from({str(person)}, [(str(row.delegate_id), str(row.delegator_id)) for row in rows])


def in_force(now: datetime) -> QuerySet[Delegation]:
    """As many as there are people away."""
    return Delegation.objects.filter(ended_at__isnull=True, starts_at__lte=now, ends_at__gt=now)


def concerning(person: User, now: datetime) -> QuerySet[Delegation]:
    """What a person should have in mind: in whose place he decides or soon will, who decides in his; what changes next first.

    Where the other one has left it counts for nothing, and is not here.
    """
    mine = Q(delegate=person, delegator__is_active=True) | Q(delegator=person, delegate__is_active=True, starts_at__lte=now)
    rows = Delegation.objects.filter(mine, ended_at__isnull=True, ends_at__gt=now).select_related("delegator", "delegate")
    return rows.order_by(Case(When(starts_at__gt=now, then="starts_at"), default="ends_at"), "pk")


def reached_from(people: Collection[str], pairs: Collection[tuple[str, str]]) -> frozenset[str]:
    """Whom these pairs lead to from `people`, over any number of hands; without `people` themselves."""
    found = set(people)
    while more := {to for giver, to in pairs if giver in found} - found:
        found |= more
    return frozenset(found - set(people))


def _faults(delegator: User, other: User | None, starts_at: datetime, ends_at: datetime, now: datetime) -> Iterable[Fault]:
    if other is None:
        yield Fault("/to", "there is no such active person")
    elif other.pk == delegator.pk:
        yield Fault("/to", "is yourself")
    if ends_at <= starts_at:
        yield Fault("/ends_at", "is not after the start")
    elif ends_at <= now:
        yield Fault("/ends_at", "has passed")
    elif ends_at - max(starts_at, now) > LONGEST:
        yield Fault("/ends_at", f"is more than {LONGEST.days} days away")


def _record(event: str, row: Delegation, actor: Actor, reason: str, now: datetime) -> None:
    data = {
        "delegation": str(row.pk),
        "delegate": str(row.delegate_id),
        "policy": row.policy,
        "capability": row.capability,
        "starts": clock_text.render(row.starts_at),
        "ends": clock_text.render(row.ends_at),
    }
    recorder().record(Entry(event, Principal("user", str(row.delegator_id)), actor, now, data, {"reason": reason}))


def _knows(person: User, policy: str) -> bool:
    """May the person name this policy? One that he neither sees nor decides under is to him as one that is not there."""
    if "\x00" in policy:
        return False  # PostgreSQL takes no such text, not even in a question
    seen = ApprovalPolicy.objects.visible_to(person).filter(name=policy).exists()
    return seen or ApprovalPolicy.objects.filter(name=policy, groups__user=person).exists()


def nameable_capabilities(person: User, limit: int = 200) -> list[str]:
    """What the person may name: capabilities that he sees, and those of requests that he sees. Two queries."""
    model = cast(DocumentKind, get_kind("Capability")).model
    seen = set(model.objects.visible_to(person).order_by("name").values_list("name", flat=True)[:limit])
    asked = ApprovalRequest.objects.visible_to(person).exclude(capability="").order_by().values_list("capability", flat=True)
    return sorted(seen | set(asked.distinct()[:limit]))[:limit]


def _knows_capability(person: User, name: str) -> bool:
    """As `_knows`: a capability that he could not be asked about is to him as one that is not there."""
    if "\x00" in name:
        return False
    row = get_kind("Capability").row(name)
    if row is not None and type(row).objects.visible_to(person).filter(pk=row.pk).exists():
        return True
    return ApprovalRequest.objects.visible_to(person).filter(capability=name).exists()
