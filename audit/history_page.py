"""The history of one governed object, as a page. Thin: it reads a request, asks, and draws."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from aegis.core.errors import NotFound
from audit import detail, following, history, names, rail, scopes, search, telling, things
from audit.asking import Search, from_params
from audit.changed import Changed
from audit.index import following_things
from audit.telling import Told

OFFERED: Final = 1_000  # the newest events of the object whose types and actors the filters offer
MOST_ROWS: Final = 12  # of one diff, before it is folded
MOST_TEXT: Final = 1_500  # characters, likewise
HERE: Final = "audit:history"


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of the history. `url` is its page, with proof, payloads and what led to it."""

    told: Told
    position: int
    url: str
    changed: Changed | None

    @property
    def is_long(self) -> bool:
        """More than a reader wants to scroll past: folded."""
        rows = self.changed.rows if self.changed is not None else ()
        return len(rows) > MOST_ROWS or sum(len(part.text) for row in rows for part in (*row.now, *row.proposed)) > MOST_TEXT


@dataclass(frozen=True, slots=True)
class Option:
    value: str
    title: str
    is_on: bool


@require_safe
def history_page(request: HttpRequest) -> HttpResponse:
    """Every event about the object named by `object`, filtered by the address as the audit is.

    Raises:
        NotFound: no object is named, or the reader sees no event about it. Hidden and unknown ones look the same.
    """
    asked = from_params(request.GET)
    if "/" not in asked.object:
        raise NotFound
    is_changes = request.GET.get("only") == "changes"
    if is_changes:
        asked = replace(asked, type=history.CHANGES)
    seen = scopes.reach(request.user)
    found = search.find(asked, request.user, limit=history.PAGE, seen=seen)
    told = telling.tell(found.events, request.user)
    entries = [
        Entry(one, hit.position, detail.url_of(hit.event.stream, hit.event.seq), what)
        for one, hit, what in zip(told, found.hits, history.changes(told, request.user), strict=True)
    ]
    types, actors = _offered(asked, seen)
    if not types:
        raise NotFound
    thing = things.known(asked.object)
    context = {
        "title": f"History of {thing.title}",
        "thing": thing,
        "asked": asked,
        "entries": entries,
        "types": types,
        "actors": actors,
        "is_changes": is_changes,
        "all_url": rail.url(request.GET, drop=("only",), to=HERE),
        "changes_url": rail.url(request.GET, drop=("type",), add={"only": "changes"}, to=HERE),
        "is_filtered": bool(replace(asked, object="").narrows),
        "clear_url": things.history_url(asked.object),
        "older": rail.url(request.GET, add={"before": str(found.older)}, to=HERE) if found.older is not None else "",
        "newest": rail.url(request.GET, to=HERE) if asked.before is not None else "",
        "in_audit": rail.url(request.GET, drop=("only",), to="audit:list"),
        "lag": following.lag(following_things.NAME),
    }
    return render(request, "audit/history.html", context)


def _offered(asked: Search, seen: scopes.Reach) -> tuple[list[Option], list[Option]]:
    """Types and actors that occur, for the two filters. One query for the rows, one for names."""
    rows = search.narrowed(Search(object=asked.object), seen).order_by("-position").values_list("type", "actor")[:OFFERED]
    pairs = list(rows)
    kinds = sorted({kind for kind, _ in pairs})
    who = sorted({actor for _, actor in pairs} | set(asked.actor))
    known = names.load({one.removeprefix("user:") for one in who if one.startswith("user:")}, set(), set())
    types = [Option(kind, kind, kind in asked.type) for kind in kinds]
    actors = [Option(one, _called(one, known), one in asked.actor) for one in who]
    return types, sorted(actors, key=lambda one: one.title.lower())


def _called(actor: str, known: names.Names) -> str:
    kind, _, ref = actor.partition(":")
    return known.actor(kind, ref, ref if kind == "agent" else "") if kind in ("user", "agent", "system") else actor
