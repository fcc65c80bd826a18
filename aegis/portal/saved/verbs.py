"""Save a view, change it, delete it, open it first. A view shared with a group is on record as long as others see it."""

from __future__ import annotations

import unicodedata
from typing import Final
from uuid import UUID

from django.contrib.auth.models import Group
from django.http import QueryDict

from aegis.core import canonical, clock
from aegis.core.actors import Actor
from aegis.core.db import in_transaction
from aegis.core.errors import Conflict, Fault, Forbidden, Invalid, NotFound
from aegis.identity import people
from aegis.identity.models import User
from aegis.identity.recorder import Entry, recorder
from aegis.portal.models import SavedView
from aegis.portal.saved import subscriptions
from aegis.portal.saved.acting import locked
from aegis.portal.saved.pages import PAGES

MAX_VIEWS: Final = 50  # of one person, over all lists
MAX_NAME: Final = 60
MAX_QUERY: Final = 1000
_UNSEEN: Final = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # controls, half characters, and what turns the text around it


class NotYours(Forbidden):
    """It is shared with a group of the person, and stays its owner's."""

    code, title, can_be_given = "not_yours", "Only its owner may change this view", False


def save(page: str, name: str, query: str, *, actor: Actor) -> SavedView:
    """Keep a list as it is narrowed, for oneself.

    Args:
        query: of the address; what is no filter of that list is left out.

    Raises:
        NotFound: no such list.
        Invalid: no filter, too long, or a name that cannot be shown.
        Conflict: the person has one of that name there, or `MAX_VIEWS`.
    """
    if page not in PAGES:
        raise NotFound
    name, query = _name(name), _query(page, query)

    def work() -> SavedView:
        person = locked(actor)
        if SavedView.objects.filter(owner=person).count() >= MAX_VIEWS:
            raise Conflict(f"You have {MAX_VIEWS} views; delete one first")
        _require_free(person, page, name)
        return SavedView.objects.create(owner=person, page=page, name=name, query=query)

    return in_transaction(work)


def change(view_id: UUID, *, name: str, group: str, actor: Actor) -> SavedView:
    """Another name, and with whom it is shared.

    Args:
        group: id of one of the person's own groups, or of the one it is shared with already; "" = with nobody.

    Raises:
        NotFound, NotYours, Invalid, Conflict.
    """
    name = _name(name)

    def work() -> SavedView:
        person = locked(actor)
        view = _changeable(person, view_id)
        wanted = _group(person, group)
        if name != view.name:
            _require_free(view.owner, view.page, name, but=view)
        before, renamed = view.group, name != view.name
        view.name, view.group = name, wanted
        view.save(update_fields=["name", "group"])
        if before is not None and before != wanted:
            _record("view.unshared", view, before, actor)
        if wanted is not None and before != wanted:
            _record("view.shared", view, wanted, actor)
        elif wanted is not None and renamed:
            _record("view.renamed", view, wanted, actor)
        return view

    return in_transaction(work)


def delete(view_id: UUID, *, actor: Actor) -> SavedView:
    """Gone, for everybody whom it was shared with or who was told of it.

    Raises:
        NotFound, NotYours.
    """

    def work() -> SavedView:
        view = _changeable(locked(actor), view_id)
        if view.group is not None:
            _record("view.deleted", view, view.group, actor)
        subscriptions.end_all(view, actor)
        SavedView.objects.filter(pk=view.pk).delete()
        return view

    return in_transaction(work)


def open_first(view_id: UUID, *, is_first: bool, actor: Actor) -> SavedView:
    """Let the sidebar open its list with this view, or no longer. Each person decides for himself; one view to a list.

    Raises:
        NotFound: unknown, or not visible.
    """

    def work() -> SavedView:
        person = locked(actor)
        view = SavedView.objects.get_visible(person, pk=view_id)
        others = {page: chosen for page, chosen in person.opens_first.items() if page != view.page}
        person.opens_first = {**others, view.page: str(view.pk)} if is_first else others
        person.save(update_fields=["opens_first"])
        return view

    return in_transaction(work)


def _changeable(person: User, view_id: UUID) -> SavedView:
    view = SavedView.objects.get_visible(person, pk=view_id)
    if not SavedView.objects.visible_to(person, "edit").filter(pk=view.pk).exists():
        raise NotYours(f"{view.owner.display_name} shares this view with {view.group}; only its owner changes it", right="edit")
    return SavedView.objects.select_related("owner", "group").select_for_update(of=("self",)).get(pk=view.pk)


def _require_free(owner: User, page: str, name: str, but: SavedView | None = None) -> None:
    rows = SavedView.objects.filter(owner=owner, page=page, name=name)
    if (rows.exclude(pk=but.pk) if but else rows).exists():
        raise Conflict(f"There is a view “{name}” of {PAGES[page].title} already")


def _group(person: User, chosen: str) -> Group | None:
    """One of the person's own groups: nobody puts words before people he does not belong to."""
    if not chosen:
        return None
    number = int(chosen) if chosen.isascii() and chosen.isdigit() and len(chosen) < 10 else 0
    group = Group.objects.filter(pk=number, user=person.pk).first()
    if group is None:
        raise Invalid("It cannot be shared so", faults=[Fault("/group", "is none of your groups")])
    return group


def _name(text: str) -> str:
    name = " ".join(text.split(" ")).strip()
    if not name:
        raise Invalid("Give the view a name", faults=[Fault("/name", "is empty")])
    if len(name) > MAX_NAME:
        raise Invalid("The name is too long", faults=[Fault("/name", f"longer than {MAX_NAME} characters")])
    if any(unicodedata.category(char) in _UNSEEN for char in name):
        raise Invalid("The name cannot be shown", faults=[Fault("/name", "holds a character that nobody sees")])
    return name


def _query(page: str, text: str) -> str:
    """The filters of a query string.

    Raises:
        Invalid: none, or more than is kept.
    """
    if len(text) > 4 * MAX_QUERY:
        raise Invalid("There is too much in this view", faults=[Fault("/query", "is too long")])
    query = PAGES[page].query_of(QueryDict(text.encode("utf-8", "replace")))
    if not query:
        raise Invalid("There is nothing to save", faults=[Fault("/query", "narrows nothing")])
    if len(query) > MAX_QUERY or "%00" in query:
        raise Invalid(
            "This view cannot be saved", faults=[Fault("/query", f"longer than {MAX_QUERY} characters, or holds a NUL")]
        )
    return query


def _record(kind: str, view: SavedView, group: Group, actor: Actor) -> None:
    data: dict[str, canonical.Json] = {"view": str(view.pk), "page": view.page, "group": group.name}
    principal = people.group_principal(group)
    recorder().record(Entry(kind, principal, actor, clock.db_now(), data, {"name": view.name}))
