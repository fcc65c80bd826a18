"""The sidebar: sections, links, and counts of what this person can act on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import Group
from django.db.models import Exists, Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import SimpleLazyObject
from guardian.models import GroupObjectPermission

from aegis.identity.models import Area
from aegis.portal import counts
from aegis.portal.governed.kinds import all_pages
from aegis.portal.saved import listing
from approvals.alerts.models import Episode


@dataclass(frozen=True, slots=True)
class Item:
    """A link. `badge` names a count of `counts_of`; `badge_label` is what screen readers hear after the number."""

    key: str
    title: str
    icon: str
    link: str
    badge: str = ""
    badge_label: str = ""
    is_calm: bool = False
    needs: Callable[[Rights], bool] | None = None  # None: everybody


@dataclass(frozen=True, slots=True)
class Rights:
    """What a person may read, as coarse as a sidebar needs it. Two queries per page."""

    areas: frozenset[str]
    models: frozenset[str]  # names of models of which at least one row is granted
    may_break: bool = False  # take a right in an emergency, or see what others took
    fires: bool = False  # some alert does; whether this person may see it is asked only then

    def sees(self, model: str, area: str) -> bool:
        return area in self.areas or model in self.models


def rights_of(request: HttpRequest) -> Rights:
    fires = Exists(Episode.objects.filter(status=Episode.Status.FIRING))
    named = list(Area.objects.visible_to(request.user).values_list("name", fires))
    areas = frozenset(name for name, _ in named)
    rows = GroupObjectPermission.objects.filter(
        Q(permission__codename__startswith="view_") | Q(permission__codename="break_area"),
        group__in=Group.objects.filter(user=request.user.pk),
    )
    found = set(rows.values_list("permission__codename", "content_type__model").distinct())
    may_break = "access" in areas or any(codename == "break_area" for codename, _ in found)
    return Rights(
        areas, frozenset(model for codename, model in found if codename != "break_area"), may_break, any(on for _, on in named)
    )


def sidebar(request: HttpRequest) -> Any:
    """Unfold's shape, computed when a template first asks for it: polled partials never do."""
    return SimpleLazyObject(lambda: _sidebar(request))


def _sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    rights = rights_of(request)
    sections = {
        title: [item for item in items if item.needs is None or item.needs(rights)]
        for title, items in (("Operate", _operate()), ("Govern", _govern()))
    }
    here = _current(request.path, [item.link for items in sections.values() for item in items])
    first = listing.opened_first(request.user)  # a list that a person opens with a view of his
    return [
        {
            "title": title,
            "items": [_drawn(request, item, item.link == here, first.get(item.key, item.link), rights) for item in items],
        }
        for title, items in sections.items()
        if items
    ]


def _current(path: str, links: list[str]) -> str:
    """The link a page lies under; the longest wins ("/approvals/approvalpolicy/" before "/approvals/"). Home is home alone."""
    home = reverse("admin:index")
    return max((link for link in links if path == link or (link != home and path.startswith(link))), key=len, default="")


def _operate() -> list[Item]:
    return [
        Item("home", "Home", "home", reverse("admin:index")),
        Item("approvals", "Approvals", "stamp", reverse("approvals:inbox"), "approvals", "you can decide"),
        Item("runs", "Runs", "runs", reverse("runs:list"), needs=lambda rights: rights.sees("workflow", "workflows")),
        Item(
            "queues", "Review queues", "queue", reverse("review:list"), "queues", "you can take", is_calm=True,
            needs=lambda rights: rights.sees("reviewqueue", "queues"),
        ),
        Item(
            "deadletters", "Dead letters", "dead", reverse("deadletters:list"),
            needs=lambda rights: rights.sees("reviewqueue", "queues") or rights.sees("workflow", "workflows"),
        ),
        Item(
            "alerts", "Alerts", "bell", reverse("alerts:list"), "alerts", "firing that you can take on",
            needs=lambda rights: "alerts" in rights.areas,
        ),
        Item("guards", "Halts and breakers", "pause", reverse("guards:list")),
        Item("audit", "Audit", "audit", reverse("audit:list")),
        Item("metrics", "Metrics", "chart", reverse("portal:metrics")),
        Item(
            "erasures", "Erasure and holds", "m-erased", reverse("erasures:list"), needs=lambda rights: "audit" in rights.areas
        ),
        Item("emergency", "Emergency rights", "key", reverse("portal:emergency"), needs=lambda rights: rights.may_break),
    ]  # fmt: skip


def _govern() -> list[Item]:
    matrix = Item("matrix", "Access matrix", "matrix", reverse("portal:matrix"), needs=lambda rights: "access" in rights.areas)
    kinds = [
        Item(pages.kind, pages.plural_title, pages.icon, reverse(f"{pages.prefix}_changelist"), needs=_sees(pages.model))
        for pages in all_pages()
    ]
    people = Item(
        "people", "People", "people", reverse("admin:identity_user_changelist"), needs=lambda rights: "people" in rights.areas
    )
    permissions = Item(
        "permissions",
        "Permissions",
        "key",
        reverse("portal:permissions"),
        needs=lambda rights: {"people", "access"} <= rights.areas,
    )
    return [matrix, *kinds, people, permissions]


def _sees(model: Any) -> Callable[[Rights], bool]:
    name, area = model._meta.model_name, model.area
    return lambda rights: rights.sees(name, area)


def _drawn(request: HttpRequest, item: Item, is_here: bool, link: str, rights: Rights) -> dict[str, Any]:
    if item.badge == "alerts":
        count = counts.my_alerts(request.user) if rights.fires else 0
    else:
        count = counts.counts_of(request)[item.badge] if item.badge else 0
    return {
        "key": item.key,
        "title": item.title,
        "icon": item.icon,
        "link": link,
        "active": is_here,
        "has_permission": True,
        "badge_callback": count,
        "badge_label": item.badge_label,
        "badge_class": "ag-count--calm" if item.is_calm else "",
    }
