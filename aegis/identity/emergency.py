"""Break-glass: a person who may takes a right on an area for a time, with a reason, in the open; somebody else reviews it.

What is taken counts beside the rights of groups in the one rule of visibility, and is judged at every look: a right whose time
is over is gone, whether or not anybody wrote that down. It is a right on AEGIS objects and nothing else: it puts nobody into a
group, so it gives no vote, and it changes no row of the matrix, so a floor lock stands (docs/adr/0036).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

from django.db import models
from django.db.models import Max, Q, QuerySet

from aegis.core import clock, clock_text
from aegis.core.actors import SYSTEM, Actor
from aegis.core.canonical import Json
from aegis.core.db import in_transaction
from aegis.core.errors import Conflict, Fault, Forbidden, Invalid, NotFound
from aegis.core.visibility import Viewer, granted_to_groups, groups_with
from aegis.identity import announcing
from aegis.identity.authority import raise_epoch
from aegis.identity.models import Area, TakenRight, User
from aegis.identity.principals import KEY_AUTH, changing_rights, is_own, require_area, require_live, stated
from aegis.identity.recorder import Entry, Principal, recorder

VERBS: Final = ("view", "operate", "edit")
#: Rights that would outlive the time they are taken for: whoever edits these gives rights to others, or to a new account.
NEVER: Final = frozenset({("access", "edit"), ("people", "edit")})
MAX_TIME: Final = timedelta(hours=4)
MAX_UNREVIEWED: Final = 3
REVIEW_TIME: Final = timedelta(hours=24)  # from the end; then it is announced once more that nobody looked
VERDICTS: Final = ("justified", "unjustified")


class OwnReview(Forbidden):
    """Nobody reviews what he took himself."""

    code, title = "own_review", "Somebody else must review this"


def take(area: str, verb: str, *, for_time: timedelta, actor: Actor, reason: str) -> TakenRight:
    """Take `verb` on an area from now on. It ends by itself.

    Raises:
        NotFound: no such area, or the person neither sees it nor may break into it.
        Forbidden: he sees it, but lacks `break` there; the right cannot be taken; or he came with an API key.
        Invalid: no such verb, no reason, or a time that is none or longer than `MAX_TIME`.
        Conflict: he has that right already, or `MAX_UNREVIEWED` that he took were not reviewed yet.
    """
    why = stated(reason)
    if verb not in VERBS:
        raise Invalid("There is no such right", faults=[Fault("/right", f"must be one of {', '.join(VERBS)}")])
    if not timedelta(minutes=1) <= for_time <= MAX_TIME:
        minutes = int(MAX_TIME.total_seconds() // 60)
        raise Invalid("The time is not allowed", faults=[Fault("/minutes", f"must be from 1 to {minutes}")])

    def work() -> TakenRight:
        raise_epoch()
        person = require_live(actor)
        row = _breakable(person, area)
        if actor.auth.startswith(KEY_AUTH):
            raise Forbidden("Sign in to take a right; a key takes none")
        if (area, verb) in NEVER:
            raise Forbidden(f"“{verb}” on {row.title} cannot be taken: what it gives to others would not end with it")
        if Area.objects.visible_to(person, verb).filter(pk=row.pk).exists():
            raise Conflict(f"You have “{verb}” on {row.title} already")
        if TakenRight.objects.filter(person=person, reviewed_at__isnull=True).count() >= MAX_UNREVIEWED:
            raise Conflict(f"{MAX_UNREVIEWED} rights that you took wait for the review of another person who may edit access")
        now = clock.db_now()
        _end(TakenRight.objects.filter(person=person, area=row, verb=verb, ended_at__isnull=True), now, SYSTEM, "time", "")
        taken_right = TakenRight.objects.create(person=person, area=row, verb=verb, taken_at=now, ends_at=now + for_time)
        _remember(person)
        _record("access.right_taken", taken_right, actor, now, {"until": clock_text.render(taken_right.ends_at)}, why)
        announcing.announce(taken_right, "taken", now)
        return taken_right

    return changing_rights(work, actor=actor, what="emergency.take")


def end(taken_id: UUID, *, actor: Actor, reason: str) -> bool:
    """Give back what one took, or take it from another (who may edit access). False if it was over already.

    Raises:
        NotFound: unknown, or neither one's own nor visible.
        Forbidden: it is another's, and the actor may not edit access.
    """
    why = stated(reason)

    def work() -> bool:
        raise_epoch()
        row = _known(taken_id)
        if not (is_own(actor, row.person) and require_live(actor)):
            require_area(actor, "edit", "access")
        how = "given_back" if is_own(actor, row.person) else "taken_away"
        return bool(_end(TakenRight.objects.filter(pk=row.pk, ended_at__isnull=True), clock.db_now(), actor, how, why))

    return changing_rights(work, actor=actor, what="emergency.end")


def review(taken_id: UUID, *, verdict: str, actor: Actor, reason: str) -> bool:
    """Say whether it was justified, once it is over. For another person, who may edit access. False if it was reviewed already.

    Raises:
        OwnReview: the actor took it himself.
        Forbidden, NotFound: the actor may not edit access.
        Conflict: it is not over yet.
    """
    why = stated(reason)
    if verdict not in VERDICTS:
        raise Invalid("Say whether it was justified", faults=[Fault("/verdict", f"must be one of {', '.join(VERDICTS)}")])

    def work() -> bool:
        raise_epoch()
        row = _known(taken_id)
        if is_own(actor, row.person):
            raise OwnReview("You took it yourself; somebody else who may edit access reviews it", right="edit")
        require_area(actor, "edit", "access")
        reviewer = require_live(actor)
        now = clock.db_now()
        if is_standing(row, now):
            raise Conflict("It is not over yet: take it away first, or wait for its end")
        _end(TakenRight.objects.filter(pk=row.pk, ended_at__isnull=True), now, SYSTEM, "time", "")
        fresh = TakenRight.objects.filter(pk=row.pk, reviewed_at__isnull=True)
        if not fresh.update(reviewed_by=reviewer, reviewed_at=now, verdict=verdict):
            return False
        _record("access.taken_right_reviewed", row, actor, now, {"verdict": verdict}, why)
        return True

    return changing_rights(work, actor=actor, what="emergency.review")


def taken(user: Viewer, model: type[models.Model], action: str) -> list[UUID]:
    """Ids of the areas on which a person holds `action` for a time, now. The port of `core.visibility`.

    Whoever took a right may also look at what it is about. Only on areas that he may still break into through a group. Costs
    nothing for those who took none, two queries for those who did.
    """
    if model is not Area or getattr(user, "taken_until", None) is None:
        return []
    rows = standing(clock.db_now()).filter(person=user.pk)
    found = list((rows if action == "view" else rows.filter(verb=action)).values_list("area", flat=True))
    breakable = granted_to_groups(user, Area, "break") if found else []
    return [area for area in found if area in breakable]


def standing(now: datetime) -> QuerySet[TakenRight]:
    """What counts at `now`."""
    return TakenRight.objects.filter(ended_at__isnull=True, taken_at__lte=now, ends_at__gt=now)


def is_standing(row: TakenRight, now: datetime) -> bool:
    return row.ended_at is None and row.taken_at <= now < row.ends_at


def end_due(limit: int = 100) -> int:
    """Write down the end of what ran out. Called by the sweep; how many ends there were. Rights do not wait for it."""
    now = clock.db_now()
    due = TakenRight.objects.filter(ended_at__isnull=True, ends_at__lte=now).values_list("pk", flat=True)[:limit]
    if not due:
        return 0
    keys = list(due)

    def work() -> int:
        raise_epoch()
        return _end(TakenRight.objects.filter(pk__in=keys, ended_at__isnull=True, ends_at__lte=now), now, SYSTEM, "time", "")

    return in_transaction(work)


def tell_late_reviews(limit: int = 100) -> int:
    """Say of what is over for `REVIEW_TIME` that nobody reviewed it; once each. Called by the sweep; how many there were."""
    now = clock.db_now()
    waiting = TakenRight.objects.filter(reviewed_at__isnull=True, late_at__isnull=True, ended_at__lte=now - REVIEW_TIME)
    late = list(waiting.select_related("person", "area").order_by("ended_at")[:limit])
    return sum(in_transaction(partial(_tell_late, row, now)) for row in late)


def _tell_late(row: TakenRight, now: datetime) -> bool:
    # Reviewed, or told by another sweep, between the list and here: nothing to say.
    if not TakenRight.objects.filter(pk=row.pk, reviewed_at__isnull=True, late_at__isnull=True).update(late_at=now):
        return False
    hours = int(REVIEW_TIME.total_seconds() // 3600)
    _record("access.taken_right_review_late", row, SYSTEM, now, {"hours": hours}, "")
    announcing.announce(row, "late", now)
    return True


def end_all_of(person: User, *, actor: Actor, why: str) -> int:
    """With his account. The caller holds the authority lock exclusively; how many ends there were."""
    rows = TakenRight.objects.filter(person=person, ended_at__isnull=True)
    return _end(rows, clock.db_now(), actor, "disabled", why)


def end_without_break(*, actor: Actor, why: str) -> int:
    """Those whose person may no longer break into the area: a group was left, or lost `break`. The caller holds the authority
    lock exclusively. One query where nothing stands, as nearly always; else two more per right that does."""
    now = clock.db_now()
    gone = [
        row.pk
        for row in standing(now).select_related("person")
        if row.area_id not in granted_to_groups(row.person, Area, "break")
    ]
    return _end(TakenRight.objects.filter(pk__in=gone), now, actor, "break_gone", why) if gone else 0


def _breakable(person: User, area: str) -> Area:
    row = Area.objects.filter(name=area).first()
    if row is not None and Area.objects.visible_to(person, "break").filter(pk=row.pk).exists():
        return row
    if row is None or not Area.objects.visible_to(person).filter(pk=row.pk).exists():
        raise NotFound("There is no such area")
    givers = ", ".join(groups_with(row, "break")) or "nobody yet; an admin can grant it"
    raise Forbidden(f"Taking a right on {row.title} in an emergency is for: {givers}", right="break", granted_by=givers)


def _end(rows: QuerySet[TakenRight], now: datetime, actor: Actor, how: str, why: str) -> int:
    """Write the end of these rows, each on record; at its own time where it ran out."""
    ended = list(rows.select_related("person", "area"))
    for row in ended:
        is_over = row.ends_at <= now
        TakenRight.objects.filter(pk=row.pk).update(ended_at=row.ends_at if is_over else now)
        _record("access.taken_right_ended", row, SYSTEM if is_over else actor, now, {"how": "time" if is_over else how}, why)
        announcing.announce(row, "ended", now)
        _remember(row.person)
    return len(ended)


def _remember(person: User) -> None:
    latest = TakenRight.objects.filter(person=person, ended_at__isnull=True).aggregate(until=Max("ends_at"))["until"]
    User.objects.filter(pk=person.pk).filter(~Q(taken_until=latest) | Q(taken_until__isnull=True)).update(taken_until=latest)


def _known(taken_id: UUID) -> TakenRight:
    row = TakenRight.objects.select_related("person", "area").filter(pk=taken_id).first()
    if row is None:
        raise NotFound
    return row


def _record(event: str, row: TakenRight, actor: Actor, at: datetime, data: dict[str, Json], why: str) -> None:
    about: dict[str, Json] = {"taken": str(row.pk), "person": str(row.person_id), "area": row.area.name, "right": row.verb}
    texts: dict[str, Json] = {"reason": why} if why else {}
    recorder().record(Entry(event, Principal("user", str(row.person_id)), actor, at, {**about, **data}, texts))
