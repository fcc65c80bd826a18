"""Searching the journal: what a person asked for, as a query over the events that person may see.

Newest first, paged by key (no COUNT, no OFFSET), bounded by time unless somebody asks for everything. Text is compared word
by word with what the row shows and with the payloads; that reads them one by one. `TextIndex` is the seam: a projection that
follows the journal answers the same question by index later, and nothing else here changes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db.models import Exists, OuterRef, Q
from django.http import QueryDict

from aegis.core import canonical, clock
from aegis.core.actors import user_actor
from aegis.core.clock_text import parse as parse_moment
from aegis.core.db import in_transaction
from aegis.core.errors import Fault, Invalid
from aegis.core.visibility import Viewer
from audit import catalogue, chain, journal, masking, names
from audit.access import stream_of
from audit.drafts import Context, Draft
from audit.models import Event, Payload
from audit.scopes import Reach, reach

PAGE = 50
MAX_TEXT = 200
MAX_WORDS = 6
SPANS = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "all": None,
}
DEFAULT_SPAN = "30d"

# One word -> condition on events whose text holds it.
TextIndex = Callable[[str], Q]

_HEX = re.compile(r"[0-9a-f]{64}")
_LABEL = re.compile(r"(run|apr|rev)-([0-9a-f]{6})")
_STREAMS = {"run": "run", "apr": "request", "rev": "review"}


@dataclass(frozen=True, slots=True)
class Search:
    """A search as it stands in the address. Empty fields do not narrow.

    Attributes:
        text: words that must all occur.
        actor: id, "system", or a piece of a person's or agent's name.
        type, lane, outcome, workflow: any of these.
        since, until: aware; `span` counts only without them.
        before: cursor: only events with a smaller row id.
    """

    text: str = ""
    actor: str = ""
    type: tuple[str, ...] = ()
    lane: tuple[str, ...] = ()
    outcome: tuple[str, ...] = ()
    workflow: tuple[str, ...] = ()
    run: str = ""
    agent: str = ""
    capability: str = ""
    stream: str = ""
    span: str = ""
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = field(default=None, compare=False)

    @property
    def narrows(self) -> dict[str, canonical.Json]:
        """The filters that are set, as JSON: what is recorded of a search, and what makes two searches the same one."""
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.name not in {"before", "span"}}
        return {name: str(value) if isinstance(value, datetime) else value for name, value in values.items() if value}


@dataclass(frozen=True, slots=True)
class Found:
    """One page of events. `older` is the cursor of the next page, None on the last."""

    events: list[Event]
    older: int | None


def from_params(params: QueryDict) -> Search:
    """Read a search from a query string. Unknown parameters are left alone.

    Raises:
        Invalid: a value that cannot be meant, naming the parameter.
    """
    return Search(
        text=_text(params, "q"),
        actor=_text(params, "actor"),
        type=_many(params, "type"),
        lane=_many(params, "lane"),
        outcome=_many(params, "outcome"),
        workflow=_many(params, "workflow"),
        run=_text(params, "run"),
        agent=_text(params, "agent"),
        capability=_text(params, "capability"),
        stream=_text(params, "stream"),
        span=params.get("span", "") if params.get("span", "") in SPANS else "",
        since=_moment(params, "from"),
        until=_moment(params, "to"),
        before=_number(params, "before"),
    )


def find(
    search: Search, user: Viewer, *, limit: int = PAGE, text_index: TextIndex | None = None, seen: Reach | None = None
) -> Found:
    """The newest events that fit and that `user` may see. A constant number of queries, whatever is found.

    Args:
        seen: what `user` may see, if the caller has asked already.
    """
    rows = Event.objects.within(seen or reach(user)).filter(_condition(search, text_index or _scan, user))
    if search.before is not None:
        rows = rows.filter(pk__lt=search.before)
    events = list(rows.order_by("-id")[: limit + 1])
    return Found(events[:limit], events[limit - 1].pk if len(events) > limit else None)


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


def _condition(search: Search, text_index: TextIndex, user: Viewer) -> Q:
    condition = _times(search) & _actor(search.actor)
    types = {*search.type, *(name for lane in search.lane for name in catalogue.in_lane(lane))}
    if search.type or search.lane:
        condition &= Q(type__in=types)
    if search.outcome:
        condition &= Q(outcome__in=search.outcome)
    if search.workflow:
        condition &= Q(scope="workflow", scope_id__in=search.workflow)
    if search.run:
        condition &= _run(search.run)
    for column in ("agent", "capability"):
        if value := getattr(search, column):
            condition &= Q(**{f"{column}__icontains": value})
    if search.stream:
        condition &= Q(stream=search.stream)
    words = search.text.split()[:MAX_WORDS]
    # Masked fields are searched only with the right to see them: else the hits of a guess would tell what is masked.
    closed = masking.masker().unsearchable(user) if words else None
    for word in words:
        condition &= _shown(word) | (text_index(word) if closed is None else text_index(word) & ~closed)
    return condition


def _times(search: Search) -> Q:
    if search.since or search.until:
        condition = Q(at__gte=search.since) if search.since else Q()
        return condition & Q(at__lte=search.until) if search.until else condition
    if search.run or search.stream:
        return Q()  # already bounded: the life of one thing
    span = SPANS[search.span or DEFAULT_SPAN]
    return Q(at__gte=clock.now() - span) if span else Q()


def _actor(text: str) -> Q:
    if not text:
        return Q()
    if text.lower() in {"system", "aegis"}:
        return Q(actor_kind="system")
    condition = Q(actor_kind="agent", agent__icontains=text) | Q(actor_ref=text)
    people = names.people_called(text)
    return condition | Q(actor_ref__in=people) if people else condition


def _run(text: str) -> Q:
    try:
        return Q(run_id=UUID(text))
    except ValueError:
        label = _LABEL.fullmatch(text.lower())
        return _labelled(label[1], label[2]) if label else _keyed(names.runs_called(text))


def _shown(word: str) -> Q:
    """The word occurs in what the row shows by itself: type and sentence, names, ids, labels."""
    low = word.lower()
    types = [kind.name for kind in catalogue.all_types() if low in kind.name or low in kind.sentence.lower()]
    condition = Q(step__icontains=word) | Q(agent__icontains=word) | Q(capability__icontains=word) | Q(outcome__icontains=word)
    if types:
        condition |= Q(type__in=types)
    if people := names.people_called(word):
        condition |= Q(actor_ref__in=people)
    if runs := names.runs_called(word):
        condition |= _keyed(runs)
    if label := _LABEL.fullmatch(low):
        condition |= _labelled(label[1], label[2])
    if _HEX.fullmatch(low):
        condition |= Q(leaf=low)
    elif low not in chain.KEYS:
        # A whole value of the line: a policy, a rule, an id. Pieces of it would match hashes by chance.
        condition |= Q(line__contains=canonical.dump(word).decode())
    with suppress(ValueError):
        condition |= Q(run_id=UUID(word))
    return condition


def _keyed(runs: list[UUID]) -> Q:
    """Events of runs found by business key, under the run's own scope only: whoever sees a policy does not see the key."""
    return Q(run_id__in=runs, scope="workflow")


def _labelled(prefix: str, digits: str) -> Q:
    """Labels of people ("RUN-3F2A91") are the first digits of an id."""
    if prefix != "run":
        return Q(stream__startswith=f"{_STREAMS[prefix]}:{digits}")
    return Q(run_id__gte=UUID(digits.ljust(32, "0")), run_id__lte=UUID(digits.ljust(32, "f")))


def _scan(word: str) -> Q:
    """The word occurs in a payload that its type declares searchable. Reads payloads; an index will answer this."""
    matching = Payload.objects.filter(
        stream=OuterRef("stream"), seq=OuterRef("seq"), erased_at__isnull=True, body__icontains=word
    )
    narrow = [kind for kind in catalogue.all_types() if kind.searchable is not None]
    condition = Q(Exists(matching)) & ~Q(type__in=[kind.name for kind in narrow])
    for kind in narrow:
        if kind.searchable:
            condition |= Q(type=kind.name) & Q(Exists(matching.filter(name__in=kind.searchable)))
    return condition


def _text(params: Mapping[str, str], name: str) -> str:
    value = " ".join(params.get(name, "").replace("\x00", "").split())
    if len(value) > MAX_TEXT:
        raise Invalid("The search is too long", faults=[Fault(name, f"longer than {MAX_TEXT} characters")])
    return value


def _many(params: QueryDict, name: str) -> tuple[str, ...]:
    return tuple(sorted({value.replace("\x00", "")[:120] for value in params.getlist(name) if value}))[:50]


def _number(params: Mapping[str, str], name: str) -> int | None:
    value = params.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else None


def _moment(params: Mapping[str, str], name: str) -> datetime | None:
    """ISO 8601; without a zone it is UTC (the form says so)."""
    value = params.get(name, "").strip()
    if not value:
        return None
    try:
        moment = parse_moment(value) if value.endswith("Z") and "." in value else datetime.fromisoformat(value)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # no moment, or one that UTC has no year for (0001-01-01T00:00:00+14:00)
        raise Invalid("This is no point in time", faults=[Fault(name, "write it like 2026-11-23T07:00")]) from None
