"""A reviewer's word on the grants of one role: these are confirmed, those are proposed to be dropped (docs/adr/0041).

Confirming changes no right. Dropping changes none either: it opens one proposal for the role, which two others decide like
every guarded change of configuration. Both are one transaction and one event. A gate, or a limit, may hold back what another
role lets through: what dropping it would allow is told before, and refused of whoever was not told (`widening`).

A review is whole when each grant is confirmed or gone. While a proposal to drop waits it is not, so one that is taken back or
rejected moves no date; once it is applied the review ends by itself (`finish`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Subquery

from aegis.core import canonical, clock, clock_text
from aegis.core.actors import SYSTEM, Actor
from aegis.core.canonical import Json
from aegis.core.errors import Conflict, Fault, Invalid, NotFound, Stale
from aegis.core.kinds import Key, Overlay
from aegis.identity.authority import raise_epoch
from aegis.identity.models import User
from aegis.identity.principals import changing_rights, require_live, stated
from approvals import changes
from approvals.governed import documents_read_once
from audit import journal
from audit.drafts import Context, Draft
from orchestration.authority import reviewers, role_reviews, shedding
from orchestration.authority.live import STREAM
from orchestration.authority.models import Role, RoleReview
from orchestration.authority.review_terms import read
from orchestration.authority.role_reviews import Standing

GUARD: Final = "A review asks for it: two others decide what a reviewer would drop."


_WIDENS: Final = {
    "gate": "Without this gate more is allowed: whoever has {role} and another role that lets {capability} through would do it"
    " without this approval.",
    "limit": "Without these limits more is allowed: whoever has {role} and another role that lets {capability} through would"
    " no longer be held by them.",
}


class DropWaits(Conflict):
    """One proposal to drop grants of a role at a time."""

    code, title = "drop_waits", "A proposal to drop grants of this role waits already"


class DropWidens(Conflict):
    """The reviewer was not told what the drop would let through."""

    code, title = "drop_widens", "Dropping this lets more through"


@dataclass(frozen=True, slots=True)
class Said:
    """
    Attributes:
        request: id of the proposal to drop; None if nothing is dropped.
        left: capabilities that are still to be confirmed or dropped.
    """

    request: UUID | None
    left: tuple[str, ...]


def settle(
    role: str,
    *,
    actor: Actor,
    reason: str,
    seen: str,
    confirm: Collection[str] = (),
    drop: Collection[str] = (),
    told: Collection[str] = (),
) -> Said:
    """Record a reviewer's word, whole or in part. Call it outside a transaction.

    Args:
        seen: digest of the role's document that was shown.
        confirm, drop: capabilities of its grants.
        told: those of which the reviewer read what dropping them would let through (`widening`).

    Raises:
        NotFound: unknown, or the person may not know of it. Forbidden, OwnRole: not his to review. Recorded.
        Stale: the role changed since. DropWaits: somebody's proposal for it is open.
        DropWidens: he was not told what it lets through.
        Invalid: no reason, nothing chosen, or what the role has no grant for.
        ChangeInvalid, GuardedChange, NobodyEligible: of the proposal.
    """
    why = stated(reason)
    confirming, dropping = frozenset(confirm), frozenset(drop)

    def work() -> Said:
        raise_epoch()  # exclusive: a proposal is opened, or taken back, against what stands
        person = require_live(actor)
        if (row := Role.objects.filter(name=role).first()) is None:
            raise NotFound
        locked(row)  # two reviewers of one role come here one after the other
        standing = role_reviews.of_role(role)
        if standing is None:
            raise NotFound
        reviewers.require(person, standing.role, standing.seats, standing.terms)
        _check(standing, seen, confirming, dropping)
        widens = widening(standing.role, dropping)
        _require_told(widens, told)
        left = tuple(name for name in standing.left if name not in confirming | dropping)
        if dropping or not left or confirming & standing.proposed:
            _answered(standing, actor)
        now = clock.db_now()
        request = _ask(standing, person, actor, why, dropping, widens.values()) if dropping else None
        is_whole = not left and request is None and not standing.settled
        _keep(standing, person, confirming, request, now, is_whole=is_whole, is_answered=not left)
        data: dict[str, Json] = {
            "role": role,
            "digest": standing.role.digest,
            "confirmed": len(confirming),
            "dropped": len(dropping),
            "complete": is_whole,
            **({"due": clock_text.render(now + standing.terms.every)} if is_whole else {}),
            **({"request": str(request)} if request else {}),
        }
        cells = canonical.dump({"confirmed": sorted(confirming), "dropped": sorted(dropping)})
        draft = Draft("role.reviewed", actor, data=data, payloads={"reason": canonical.dump(why), "cells": cells})
        journal.append(Context(stream=STREAM, scope="access"), [draft], now)
        return Said(request, left)

    return changing_rights(work, actor=actor, what="role.review")


def finish(role: str, change_id: UUID) -> None:
    """End the review of a role from which a change has just taken what was proposed to be dropped; called as it is applied.

    Nothing happens where the last word was not given, or other grants came meanwhile that nobody has confirmed.
    """
    life = Role.objects.filter(name=role).values("pk")[:1]
    rows = RoleReview.objects.select_for_update(of=("self",))
    row = rows.filter(role=role, life=Subquery(life), answered_by__isnull=False).first()
    if row is None:
        return
    standing = role_reviews.of_role(role)
    if standing is not None and (standing.proposed or standing.left):
        return
    now, document = clock.db_now(), Role.objects.get(name=role)
    row.reviewed_at, row.reviewed_by, row.answered_by, row.confirmed = now, row.answered_by, None, "{}"
    row.save(update_fields=["reviewed_at", "reviewed_by", "answered_by", "confirmed"])
    due = clock_text.render(now + read(canonical.parse(document.document)["spec"]).every)
    data: dict[str, Json] = {"role": role, "digest": document.digest, "complete": True, "due": due, "request": str(change_id)}
    draft = Draft("role.review_ended", SYSTEM, data=data)
    journal.append(Context(stream=STREAM, scope="access"), [draft], now)


def locked(role: Role) -> RoleReview:
    """The role's row, made if there is none, locked for the rest of the transaction. Of a role that was removed and made again
    it is a new one: nobody has looked at what stands now."""
    RoleReview.objects.get_or_create(role=role.name, defaults={"life": role.pk})
    row = RoleReview.objects.select_for_update().get(role=role.name)
    if row.life != role.pk:
        row = RoleReview(pk=row.pk, role=role.name, life=role.pk)
        row.save(force_update=True)
    return row


def without(role: Role, capabilities: Collection[str]) -> Json:
    """The role's document without these grants. It takes away and gives nothing."""
    document: dict[str, Any] = canonical.parse(role.document)
    kept = [grant for grant in document["spec"]["grants"] if grant["capability"] not in capabilities]
    return {**document, "spec": {**document["spec"], "grants": kept}}


def widening(role: Role, capabilities: Collection[str]) -> dict[str, str]:
    """Capability -> what would become more allowed if its grant were dropped, in words; those that only narrow are left out. It
    names nobody."""
    if not capabilities:
        return {}
    with documents_read_once():
        found = shedding.by_dropping(canonical.parse(role.document), capabilities, Overlay())
    return {name: _WIDENS[what].format(role=role.name, capability=name) for name, what in found.items()}


def _check(standing: Standing, seen: str, confirming: frozenset[str], dropping: frozenset[str]) -> None:
    if seen != standing.role.digest:
        raise Stale("The role was changed since you opened it; read it again")
    if not confirming | dropping:
        raise Invalid("Choose at least one grant", faults=[Fault("/confirm", "nothing is chosen")])
    if unknown := sorted((confirming | dropping) - standing.grants.keys()):
        raise Invalid(f"The role has no grant for {unknown[0]}", faults=[Fault("/confirm", f"no grant for {unknown[0]}")])
    if both := sorted(confirming & dropping):
        raise Invalid(f"{both[0]} is confirmed and dropped", faults=[Fault("/drop", f"{both[0]} is confirmed, too")])
    if standing.asked_by is not None and (dropping or confirming & standing.proposed):
        raise DropWaits(f"{standing.asked_by.display_name} proposed to drop grants of it; that is decided first")


def _require_told(widens: Mapping[str, str], told: Collection[str]) -> None:
    if untold := sorted(widens.keys() - set(told)):
        faults = [Fault(f"/drop/{name}", widens[name]) for name in untold]
        raise DropWidens("What is dropped holds back what another role lets through; read what it would allow", faults=faults)


def _ask(standing: Standing, person: User, actor: Actor, why: str, dropping: frozenset[str], widens: Collection[str]) -> UUID:
    key = Key("Role", standing.name)
    change_set = changes.ask(
        [(key, without(standing.role, dropping))],
        asker=person,
        actor=actor,
        reason=why,
        guard=GUARD,
        bases={key: standing.role.digest},
        also=tuple(widens),
    )
    return change_set.pk


def _answered(standing: Standing, actor: Actor) -> None:
    """What AEGIS proposed because nobody said anything is answered by the reviewer's word."""
    if standing.request is not None and standing.asked_by is None:
        changes.withdraw_asked(standing.request, actor=actor, reason="A reviewer has given his word since")


def _keep(
    standing: Standing,
    person: User,
    confirming: frozenset[str],
    request: UUID | None,
    now: datetime,
    *,
    is_whole: bool,
    is_answered: bool,
) -> None:
    row = RoleReview.objects.get(role=standing.name)
    row.answered_by = person if is_answered and not is_whole else None
    if request is not None:
        row.request, row.asked_by = request, person
    if is_whole:
        row.reviewed_at, row.reviewed_by, row.confirmed = now, person, "{}"
    else:
        told = {name: canonical.digest_of(standing.grants[name]) for name in standing.confirmed | confirming}
        row.confirmed = canonical.dump(told).decode()
    row.save(update_fields=["request", "asked_by", "answered_by", "reviewed_at", "reviewed_by", "confirmed"])
