"""What people do about alerts: take on, note, silence, end a silence. Pages, API and command line call these and hold no rules.

Each asks `operate` or `edit` on the area "alerts", and the right to see what the episode counts.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, TypeVar
from uuid import UUID, uuid4

from aegis.core import canonical, clock, clock_text
from aegis.core.actors import Actor
from aegis.core.canonical import Json
from aegis.core.db import in_transaction
from aegis.core.errors import Conflict, Fault, Forbidden, Invalid, NotFound
from aegis.core.visibility import Viewer, groups_with
from aegis.identity.areas import area
from aegis.identity.authority import hold_shared
from aegis.identity.models import User
from aegis.identity.principals import require_live, stated
from approvals.alerts import episodes, seeing
from approvals.alerts.models import Alert, Episode, Silence
from audit import access, journal
from audit.drafts import Context, Draft

Result = TypeVar("Result")

MOST_SILENCE: Final = timedelta(days=30)
LEAST_SILENCE: Final = timedelta(minutes=5)


class EpisodeOver(Conflict):
    """It resolved by itself before anybody took it on."""

    code, title = "episode_over", "This alert is over"


class AlreadyTakenOn(Conflict):
    code, title = "already_acknowledged", "Somebody has taken on this alert"


class SilenceOver(Conflict):
    code, title = "silence_over", "This silence is over"


def acknowledge(episode_id: UUID, *, actor: Actor, note: str) -> Episode:
    """Take an episode on, and say what is being done. It still resolves by itself.

    Raises:
        NotFound: unknown, or hidden from this person. Forbidden: visible, but he may not act.
        Invalid: no note. EpisodeOver, AlreadyTakenOn.
    """

    def work(person: User, now: datetime) -> Episode:
        row, why = _held(person, episode_id), stated(note)
        if not row.is_open:
            raise EpisodeOver(f"{row.label} ended {row.ended_at:%Y-%m-%d %H:%M} UTC")
        if row.status != Episode.Status.FIRING:
            raise AlreadyTakenOn(f"{row.acknowledged_by} has taken on {row.label}")
        row.status, row.acknowledged_at, row.acknowledged_by = Episode.Status.ACKNOWLEDGED, now, person
        episodes.say(row, "alert.acknowledged", actor, now, note=canonical.dump(why))
        row.save(update_fields=["status", "acknowledged_at", "acknowledged_by", "seq", "head"])
        return row

    return _acting("alerts.acknowledge", actor, work)


def note(episode_id: UUID, *, actor: Actor, text: str) -> Episode:
    """Write something down about an episode, open or over.

    Raises:
        NotFound, Forbidden: as `acknowledge`. Invalid: nothing is written.
    """

    def work(person: User, now: datetime) -> Episode:
        row, why = _held(person, episode_id), stated(text)
        episodes.say(row, "alert.noted", actor, now, note=canonical.dump(why))
        row.save(update_fields=["seq", "head"])
        return row

    return _acting("alerts.note", actor, work)


def silence_rule(name: str, *, until: datetime, actor: Actor, reason: str) -> Silence:
    """Tell nobody what a rule finds until then. It is judged and recorded all the same.

    Raises:
        NotFound: no such rule, or hidden. Forbidden. Invalid: no reason, or an end that is none.
    """

    def work(person: User, now: datetime) -> Silence:
        require_acting(person, name)
        why, ends_at = stated(reason), _end(until, now)
        alert = Alert.objects.get(name=name)
        return _silenced(Silence(alert=alert, rule=alert.name, scope="system"), None, person, actor, now, ends_at, why)

    return _acting("alerts.silence", actor, work)


def silence_episode(episode_id: UUID, *, until: datetime, actor: Actor, reason: str) -> Silence:
    """The same for the group of one episode alone.

    Raises:
        NotFound, Forbidden, Invalid: as `silence_rule`. EpisodeOver: its rule was removed.
    """

    def work(person: User, now: datetime) -> Silence:
        require_acting_on(person, episode_id)
        why, ends_at = stated(reason), _end(until, now)
        row = Episode.objects.select_related("alert").get(pk=episode_id)
        if row.alert is None:
            raise EpisodeOver(f"The rule of {row.label} was removed")
        silence = Silence(
            alert=row.alert, rule=row.rule, group=row.group, group_key=row.group_key, scope=row.scope, scope_id=row.scope_id
        )
        return _silenced(silence, row, person, actor, now, ends_at, why)

    return _acting("alerts.silence", actor, work)


def unsilence(silence_id: UUID, *, actor: Actor, reason: str) -> Silence:
    """End a silence before its time: what still fires is told at the next judgement.

    Raises:
        NotFound, Forbidden, Invalid: as `silence_rule`. SilenceOver.
    """

    def work(person: User, now: datetime) -> Silence:
        require_unsilencing(person, silence_id)
        why = stated(reason)
        row = Silence.objects.select_for_update().get(pk=silence_id)
        if row.ended_at is not None or row.ends_at <= now:
            raise SilenceOver
        row.ended_at = now
        row.save(update_fields=["ended_at"])
        _record(row, "silence.lifted", {}, actor, now, why)
        return row

    return _acting("alerts.unsilence", actor, work)


def require_acting(person: Viewer, rule: str = "") -> None:
    """
    Raises:
        NotFound: he may not even see alerts, or there is no such rule. Forbidden: he may not act on them.
    """
    if seeing.AREA not in seeing.areas_of(person) or (rule and not Alert.objects.visible_to(person).filter(name=rule).exists()):
        raise NotFound
    if not seeing.may_act(person):
        row = area(seeing.AREA)
        givers = ", ".join(sorted({name for verb in seeing.ACTING for name in groups_with(row, verb)})) or "nobody yet"
        raise Forbidden(
            f"You can see alerts, but acting on them is for: {givers}", right=f"operate ({seeing.AREA})", granted_by=givers
        )


def require_acting_on(person: Viewer, episode_id: UUID) -> None:
    """As `require_acting`, of one episode that he must see."""
    Episode.objects.get_visible(person, pk=episode_id)
    require_acting(person)


def require_unsilencing(person: Viewer, silence_id: UUID) -> None:
    """As `require_acting`, of one silence that he must see."""
    Silence.objects.get_visible(person, pk=silence_id)
    require_acting(person)


def _acting(what: str, actor: Actor, work: Callable[[User, datetime], Result]) -> Result:
    def acting() -> Result:
        hold_shared()
        return work(require_live(actor), clock.db_now())

    try:
        return in_transaction(acting)
    except Forbidden as error:
        access.deny(actor, what, error)
        raise


def _held(person: User, episode_id: UUID) -> Episode:
    require_acting_on(person, episode_id)
    return Episode.objects.select_for_update(of=("self",)).select_related("acknowledged_by").get(pk=episode_id)


def _end(until: datetime, now: datetime) -> datetime:
    """
    Raises:
        Invalid: without a zone, not a while from now, or later than anybody may silence.
    """
    if until.tzinfo is None:
        raise Invalid("Say when the silence ends", faults=[Fault("/until", "needs a time zone")])
    if not now + LEAST_SILENCE <= until <= now + MOST_SILENCE:
        what = f"is to be between {LEAST_SILENCE.seconds // 60} minutes and {MOST_SILENCE.days} days from now"
        raise Invalid("A silence has an end", faults=[Fault("/until", what)])
    return until


def _silenced(
    row: Silence, episode: Episode | None, person: User, actor: Actor, now: datetime, ends_at: datetime, why: str
) -> Silence:
    row.id, row.by, row.starts_at, row.ends_at = uuid4(), person, now, ends_at
    about: dict[str, Json] = {"until": clock_text.render(ends_at)} | ({"episode": str(episode.pk)} if episode else {})
    row.place = _record(row, "silence.placed", about, actor, now, why)
    row.save(force_insert=True)
    return row


def _record(row: Silence, kind: str, more: dict[str, Json], actor: Actor, now: datetime, why: str) -> str:
    data: dict[str, Json] = {"alert": row.rule, "silence": str(row.pk), **more}
    context = Context(stream=f"silence:{row.pk}", scope=row.scope, scope_id=row.scope_id)
    (line,) = journal.append(context, [Draft(kind, actor, data, {"reason": canonical.dump(why)})], now)
    return f"{line.stream}/{line.seq}"
