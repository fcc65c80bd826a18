"""Saved views as menus and their own page show them. One query, however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db.models import Case, Exists, OuterRef, Value, When
from django.http import QueryDict
from django.urls import reverse

from aegis.core import clock
from aegis.core.errors import NotFound
from aegis.core.visibility import Viewer
from aegis.identity.models import User
from aegis.portal.models import SavedView, Subscription
from aegis.portal.saved import subscriptions
from aegis.portal.saved.pages import PAGES, Page

MAX_LISTED: Final = 200


@dataclass(frozen=True, slots=True)
class Line:
    """One view, as one reader sees it.

    Attributes:
        is_told: the reader is told by mail of what is new in it.
    """

    view: SavedView
    page: Page
    is_own: bool
    may_change: bool
    is_first: bool
    is_here: bool = False
    is_told: bool = False

    @property
    def can_be_told(self) -> bool:
        return self.view.page == subscriptions.PAGE

    @property
    def unfit(self) -> str:
        """Why nothing new can be told of it; "" if something may."""
        return subscriptions.unfit(self.view, clock.now())

    @property
    def address(self) -> str:
        return self.page.address(self.view.query)

    @property
    def words(self) -> Sequence[tuple[str, str]]:
        """The filters as their author left them. Ids stay ids: a name is told only by the list, to whoever may see it."""
        return [(key, value) for key, values in QueryDict(self.view.query).lists() for value in values]


@dataclass(frozen=True, slots=True)
class Menu:
    key: str
    page: Page
    query: str  # the filters of the address that is open
    own: Sequence[Line]
    shared: Sequence[Line]
    is_saved: bool

    @property
    def says_no_mail(self) -> bool:
        """Somebody could be told of these, and this AEGIS sends no mail."""
        return not settings.TELLS_BY_MAIL and any(line.can_be_told for line in (*self.own, *self.shared))

    @property
    def chosen(self) -> str:
        return next((line.view.name for line in (*self.own, *self.shared) if line.is_here), "")


def lines(user: User, *, page: str = "", query: str = "", told_only: bool = False) -> list[Line]:
    """What `user` sees, his own first, by name.

    Args:
        page: of one list; "" = of all.
        query: the filters that are open now, as `Page.query_of` writes them.
        told_only: of those that he is told of by mail.
    """
    is_told = Exists(Subscription.objects.filter(person=user.pk, view=OuterRef("pk")))
    rows = SavedView.objects.visible_to(user).select_related("owner", "group")
    rows = rows.filter(page=page) if page else rows.filter(page__in=PAGES)
    rows = rows.annotate(is_told=is_told)
    rows = rows.filter(subscriptions__person=user.pk) if told_only else rows
    own_first = Case(When(owner=user.pk, then=Value(0)), default=Value(1))
    found = rows.order_by(own_first, "page", "name", "pk")[:MAX_LISTED]
    return [
        Line(
            row,
            PAGES[row.page],
            is_own=row.owner_id == user.pk,
            may_change=row.owner_id == user.pk or not row.owner.is_active,
            is_first=user.opens_first.get(row.page) == str(row.pk),
            is_here=bool(page) and row.query == query,
            is_told=row.is_told,  # type: ignore[attr-defined]
        )
        for row in found
    ]


def menu(user: User, key: str, asked: QueryDict) -> Menu:
    page = PAGES[key]
    query = page.query_of(asked)
    found = lines(user, page=key, query=query)
    return Menu(
        key,
        page,
        query,
        [line for line in found if line.is_own],
        [line for line in found if not line.is_own],
        any(line.is_here for line in found),
    )


def address_of(user: User, view_id: UUID) -> str:
    """
    Raises:
        NotFound: unknown, or not visible.
    """
    row = SavedView.objects.get_visible(user, pk=view_id)
    if row.page not in PAGES:
        raise NotFound
    return PAGES[row.page].address(row.query)


def opened_first(user: Viewer) -> dict[str, str]:
    """Key of a list's link in the sidebar -> where it leads, for the lists where the person chose a view. No query: whether it
    may still be seen is asked when the link is followed (`first_address`)."""
    chosen = user.opens_first if isinstance(user, User) else {}
    return {page.nav: reverse("portal:views-open", args=[key]) for key, page in PAGES.items() if key in chosen}


def first_address(user: User, key: str) -> str:
    """Where a list opens: with the chosen view while the person sees it, else as it is.

    Raises:
        NotFound: no such list.
    """
    if key not in PAGES:
        raise NotFound
    row = SavedView.objects.visible_to(user).filter(page=key, pk=user.opens_first.get(key)).first()
    return PAGES[key].address(row.query if row else "")
