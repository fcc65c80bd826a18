"""Be told by mail of what is new in a view of the audit, or no longer. On record: what the journal says leaves by mail."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from django.conf import settings
from django.http import QueryDict

from aegis.core import canonical, clock
from aegis.core.actors import Actor
from aegis.core.db import in_transaction
from aegis.core.errors import Conflict, Fault, Invalid
from aegis.identity.models import User
from aegis.identity.recorder import Entry, Principal, recorder
from aegis.portal.models import SavedView, Subscription
from aegis.portal.saved.acting import locked
from aegis.portal.saved.pages import PAGES
from approvals.notices import modes
from approvals.notices.models import NoticePreference
from audit import sealer
from audit.search import Search, from_params

PAGE: Final = "audit"  # the one list that follows the journal
MOST: Final = 20  # of one person: each is a search a day


def subscribe(view_id: UUID, *, actor: Actor) -> SavedView:
    """Tell the actor by mail, once a day, of what is new in a view that he sees. Nothing old is told. Again: nothing changes.

    Raises:
        NotFound: unknown, or not visible. Invalid: nothing new can be found by it. Conflict: he has `MOST`.
    """

    def work() -> SavedView:
        person = locked(actor)
        # Locked: what is deleted in between must not be a broken reference at the end.
        view = SavedView.objects.select_for_update(of=("self",)).get_visible(person, pk=view_id)
        now = clock.db_now()
        if why := unfit(view, now):
            raise Invalid("This view cannot be told by mail", faults=[Fault("/view", why)])
        mine = Subscription.objects.filter(person=person)
        if mine.filter(view=view).exists():
            return view
        if mine.count() >= MOST:
            raise Conflict(f"You are told of {MOST} views; end one first")
        # The end of the tree and not of the search, which may be behind: what is sealed has happened before this.
        due_at = modes.next_hour(now, modes.chosen([person.pk])[person.pk].hour)
        Subscription.objects.create(person=person, view=view, told=sealer.size() - 1, told_at=now, due_at=due_at)
        _record("view.subscribed", view, actor, {}, {"query": view.query})
        return view

    return in_transaction(work)


def unsubscribe(view_id: UUID, *, actor: Actor) -> SavedView:
    """Tell the actor no more. What waits to be sent is not sent. Without a subscription: nothing changes.

    Raises:
        NotFound: unknown, or not visible; then he is told nothing anyway.
    """

    def work() -> SavedView:
        person = locked(actor)
        view = SavedView.objects.get_visible(person, pk=view_id)
        end_all(view, actor, only=person)
        return view

    return in_transaction(work)


def end_all(view: SavedView, actor: Actor, *, only: User | None = None) -> int:
    """End who is told of a view (`only` one of them), on record, in the caller's transaction. How many."""
    rows = Subscription.objects.filter(view=view)
    rows = rows.filter(person=only) if only is not None else rows
    keys = [*rows.select_for_update().values_list("pk", flat=True)]
    if keys:
        Subscription.objects.filter(pk__in=keys).delete()
        _record("view.unsubscribed", view, actor, {"people": len(keys)}, {})
    return len(keys)


def asked_by(view: SavedView) -> Search:
    """What a view looks for, over all times unless it names a day: which part of the journal is new is said by places.

    Raises:
        Invalid: this release does not read it, or would read it as something wider.
    """
    params = QueryDict(view.query)
    if unknown := sorted(set(params) - set(PAGES[PAGE].keys)):
        raise Invalid("A filter of it is not known", faults=[Fault(unknown[0], "is no filter of this list")])
    return replace(from_params(params), span="all", before=None)


def unfit(view: SavedView, now: datetime) -> str:
    """Why nothing new can be found by a view; "" if something may."""
    if view.page != PAGE:
        return "only views of the audit are told by mail"
    try:
        asked = asked_by(view)
    except Invalid as error:
        fault = error.faults[0] if error.faults else None
        return f"its filters cannot be read any more ({fault.where}: {fault.what})" if fault else str(error)
    if asked.until is not None and asked.until <= now:
        return f"it ends at {asked.until:%Y-%m-%d %H:%M} UTC, so nothing new can come into it"
    return ""


def when(person: User) -> str:
    """When mail about views comes to a person, as things stand: for the page, after "by mail"."""
    choice = modes.chosen([person.pk])[person.pk]
    if not settings.TELLS_BY_MAIL:
        return "once this AEGIS sends mail, which whoever runs it has not set up"
    if not person.email:
        return "once an admin of people has added a mail address for you"
    if choice.mode == NoticePreference.Mode.NEVER:
        return "once you choose to get mail at all, under Notifications"
    return f"once a day, after {choice.hour}:00 UTC, if there is something new"


def _record(
    kind: str, view: SavedView, actor: Actor, more: dict[str, canonical.Json], texts: dict[str, canonical.Json]
) -> None:
    data = {"view": str(view.pk), "page": view.page, **more}
    recorder().record(Entry(kind, Principal("user", actor.ref), actor, clock.db_now(), data, {"name": view.name, **texts}))
