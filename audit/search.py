"""Searching the journal: what a person asked for, of the events that person may see. One search for page, API and export.

Newest first by position, paged by key (no COUNT, no OFFSET), bounded by time unless somebody asks for everything. It reads the
index (`audit.index`), which follows the journal; what is shown is then read through `Event.visible_to`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Max, Min, Q

from aegis.core import canonical, clock
from aegis.core.actors import user_actor
from aegis.core.db import in_transaction
from aegis.core.visibility import Viewer
from audit import catalogue, chain, journal, masking, names, things
from audit.access import stream_of
from audit.asking import Search, from_params
from audit.drafts import Context, Draft
from audit.index import store, words
from audit.index.models import Hour, Indexed, IndexedQuerySet, Tally
from audit.index.projection import hour_of
from audit.metrics import figures
from audit.models import Event
from audit.scopes import Reach, reach

__all__ = ["PAGE", "Found", "Search", "at", "find", "from_params", "narrowed", "newest", "record_search"]

PAGE = 50
MAX_TERMS = 12
#: Filters of the address that are columns of the index under the same name.
_COLUMNS = ("outcome", "gate", "risk")
_NAMED = ("agent", "capability")


@dataclass(frozen=True, slots=True)
class Hit:
    """An event and its place in the journal."""

    position: int
    event: Event


@dataclass(frozen=True, slots=True)
class Found:
    """One page of events. `older` is the cursor of the next page, None on the last."""

    hits: list[Hit]
    older: int | None

    @property
    def events(self) -> list[Event]:
        return [hit.event for hit in self.hits]


def find(search: Search, user: Viewer, *, limit: int = PAGE, seen: Reach | None = None) -> Found:
    """The newest events that fit and that `user` may see. A bounded number of queries, whatever is found.

    Args:
        seen: what `user` may see, if the caller has asked already.
    """
    seen = seen or reach(user)
    rows = narrowed(search, seen)
    if search.before is not None:
        rows = rows.filter(position__lt=search.before)
    found = newest(rows, search, user, limit + 1)
    return Found(at(found[:limit], seen), found[limit - 1] if len(found) > limit else None)


def at(places: Sequence[int], seen: Reach) -> list[Hit]:
    """The events at some places of the index, in that order. The index says where to look; what may be shown is for the one
    rule to say, on the events themselves."""
    event_of = dict(Indexed.objects.filter(position__in=places).values_list("position", "event_id"))
    shown = {event.pk: event for event in Event.objects.within(seen).filter(pk__in=event_of.values())}
    return [Hit(place, shown[event_of[place]]) for place in places if event_of.get(place) in shown]


def newest(rows: IndexedQuerySet, search: Search, user: Viewer, limit: int) -> list[int]:
    """Positions of the newest of `rows` that hold the text."""
    return [position for (position,) in read_newest(rows, search, user, ("position",), limit)]


def read_newest(
    rows: IndexedQuerySet, search: Search, user: Viewer, columns: Sequence[str], limit: int
) -> list[tuple[Any, ...]]:
    """Columns of these rows, as `store.newest` brings them."""
    if not search.text:
        return store.newest(rows, [], None, columns=columns, limit=limit)
    asked = words.terms(search.text, names.people_called, names.runs_called)[:MAX_TERMS]
    if not asked:
        return []  # signs only: no event holds a word of it
    # Masked fields are searched only with the right to see them: else the hits of a guess would tell what is masked.
    return store.newest(rows, asked, masking.masker().unsearchable(user), columns=columns, limit=limit)


def narrowed(search: Search, seen: Reach, *, without: str = "") -> IndexedQuerySet:
    """The rows of the index that fit everything but the text.

    Args:
        without: a filter to leave out: what its other values would give.
    """
    floor, condition = _times(search)
    for name in _COLUMNS:
        if name != without and (values := getattr(search, name)):
            # The second half says the same once more, in the words of the partial index.
            condition &= Q(**{f"{name}__in": values, f"{name}__gt": ""})
    for name in _NAMED:
        if name != without and getattr(search, name):
            condition &= Q(**{f"{name}__in": meant(search, name), f"{name}__gt": ""})
    if search.actor and without != "actor":
        condition &= Q(actor__in=meant(search, "actor"))
    if search.type and without != "type":
        condition &= Q(type__in=search.type)
    if search.lane and without != "lane":
        condition &= Q(type__in=[name for lane in search.lane for name in catalogue.in_lane(lane)])
    if search.workflow and without != "workflow":
        condition &= Q(scope="workflow", scope_id__in=search.workflow)
    if search.run:
        condition &= things.of_run(search.run)
    if search.stream:
        condition &= Q(event_id__in=Event.objects.filter(stream=search.stream).values("pk"))
    if search.object:
        condition &= things.condition(search.object)
    if search.figure:
        condition &= Q(position__in=figures.positions(search.figure))
    return Indexed.objects.within(seen).filter(condition).since(floor)


def meant(search: Search, name: str) -> list[str]:
    """The values of the index that a filter stands for: people write names, and pieces of them."""
    values: tuple[str, ...] = getattr(search, name)
    if name == "actor":
        return _actors(values)
    return _called(name, values) if name in _NAMED else list(values)


def _times(search: Search) -> tuple[int, Q]:
    """The time, and the positions between which its events lie: so that nobody walks past the end of it."""
    since, until = search.times(clock.now())
    floor, condition = 0, Q()
    if since is not None:
        first = Hour.objects.filter(start__gte=hour_of(since)).aggregate(first=Min("first"))["first"]
        floor, condition = (first, Q(at__gte=since)) if first is not None else (0, Q(pk__in=[]))
    if until is not None:
        last = Hour.objects.filter(start__lt=until).aggregate(last=Max("last"))["last"]
        condition &= Q(at__lt=until, position__lte=last) if last is not None else Q(pk__in=[])
    return floor, condition


def _actors(values: tuple[str, ...]) -> list[str]:
    """Keys of the index: as they are, from ids, or from pieces of names."""
    found: set[str] = set()
    for value in values:
        if ":" in value:
            found.add(value)
        elif value.lower() in {"system", "aegis"}:
            found.add("system")
        else:
            found.update((f"user:{value}", f"agent:{value}"))
            found.update(f"user:{ref}" for ref in names.people_called(value))
            found.update(f"agent:{name}" for name in _called("agent", (value,)))
    return sorted(found)


def _called(dimension: str, values: tuple[str, ...]) -> list[str]:
    """Names that are one of `values`; those that hold one of them where none is exactly it. The counts know all names."""
    found: set[str] = set()
    for value in values:
        if Indexed.objects.filter(**{dimension: value, f"{dimension}__gt": ""}).exists():
            found.add(value)
        else:
            counted = Tally.objects.filter(grain="m", dimension=dimension, value__icontains=value)
            found.update(counted.values_list("value", flat=True).distinct()[:200])
    return sorted(found)


def record_search(search: Search, *, user_id: object, auth: str) -> None:
    """One `audit.searched` per distinct search, person and hour. Not for polls, nor for older pages of the same search."""
    asked = search.narrows
    if not asked:
        return
    at = clock.now()
    actor = user_actor(user_id, auth=auth)
    digest = canonical.digest_of(asked)
    if _is_recorded(actor.ref, digest, at):
        return

    def work() -> None:
        stream = journal.lock(stream_of(actor.kind, actor.ref))
        if not _is_recorded(actor.ref, digest, at):  # asked twice at once
            draft = Draft(
                "audit.searched",
                actor,
                data={"filters": sorted(asked), "digest": digest},
                payloads={"query": canonical.dump(asked)},
            )
            journal.extend(stream, Context(stream=stream.name, scope="access", scope_id=actor.ref), [draft], at)

    in_transaction(work)


def _is_recorded(ref: str, digest: str, at: datetime) -> bool:
    hour = at.replace(minute=0, second=0, microsecond=0)
    lines = Event.objects.filter(type="audit.searched", actor_ref=ref, at__gte=hour).values_list("line", flat=True)
    return any(chain.read_line(line)["data"]["digest"] == digest for line in lines)
