"""Dead letters for their page: filters in the address, keyset paging, and why each one stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q
from django.db.models.functions import Length

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.errors import Malformed
from aegis.identity.models import User
from audit import masking
from audit.models import Event, Payload
from orchestration.engine import deadletters
from orchestration.engine.deadletters import CODES, FAILED_ONLY, DeadLetter
from orchestration.engine.models import ReviewQueue, Run
from orchestration.pages import faulttree, marks
from orchestration.pages.faulttree import Tree
from orchestration.pages.reviewpage import WHY
from orchestration.pages.runlist import Choice
from orchestration.workflows.models import Workflow

AGES = {"1h": ("An hour", timedelta(hours=1)), "1d": ("A day", timedelta(days=1)), "7d": ("A week", timedelta(days=7))}
MAX_TEXT = 120
MAX_FAULTS = 4  # shown per letter; the item's page has them all
MAX_MESSAGE = 16_000  # characters of a message that is shown in the list; the item's page shows any
MAX_TREE = 16  # its rows


@dataclass(frozen=True, slots=True)
class Query:
    """What the address asks for. Values that mean nothing are dropped, so every address gives a page."""

    code: str = ""
    workflow: str = ""
    step: str = ""
    agent: str = ""
    capability: str = ""
    age: str = ""
    before: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Query:
        text = {name: query.get(name, "").strip().replace("\x00", "")[:MAX_TEXT] for name in _NAMES}
        text["code"] = text["code"] if text["code"] in (*CODES, *FAILED_ONLY) else ""
        text["age"] = text["age"] if text["age"] in AGES else ""
        return cls(**text, before=query.get("before", "")[:MAX_TEXT])

    @property
    def values(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in _NAMES}

    @property
    def narrows(self) -> bool:
        return any(self.values.values())

    def url(self, **changes: str) -> str:
        """The query string with some values changed; changing a filter goes back to the first page."""
        return "?" + urlencode({key: value for key, value in {**self.values, **changes}.items() if value})

    def filters(self) -> deadletters.Filters:
        plain = {name: value for name, value in self.values.items() if name != "age"}
        return deadletters.Filters(**plain, older_than=AGES[self.age][1] if self.age else None)


_NAMES = ("code", "workflow", "step", "agent", "capability", "age")


@dataclass(frozen=True, slots=True)
class Cause:
    """Why it stopped, from the journal: who was asked for what, what was said, and which places broke a contract."""

    agent: str = ""
    capability: str = ""
    detail: str = ""
    faults: Sequence[tuple[str, str]] = ()  # JSON pointer, what is wrong there
    more: int = 0
    tree: Tree | None = None  # the message with these places marked, if it is small enough for a list


@dataclass(frozen=True, slots=True)
class Row:
    """One dead letter."""

    letter: DeadLetter
    why: str
    cause: Cause
    sees_run: bool
    may_redrive: bool
    left_by: str  # who has claimed it

    @property
    def can_go(self) -> bool:
        return self.may_redrive and not self.letter.needs_statement


@dataclass(frozen=True, slots=True)
class Page:
    rows: Sequence[Row]
    query: Query
    menus: Sequence[tuple[str, str, Sequence[Choice]]]
    older: str
    is_first: bool

    @property
    def can_redrive_any(self) -> bool:
        return any(row.can_go for row in self.rows)

    @property
    def etag_parts(self) -> list[object]:
        return [(row.letter.id, row.left_by, row.letter.needs_statement) for row in self.rows]


def page(user: User, query: Query) -> Page:
    """The dead letters `user` may see. The number of queries does not grow with them."""
    letters, following = deadletters.find(user, query.filters(), before=query.before)
    older = query.url(before=following) if following else ""
    return Page(rows(user, letters), query, _menus(user, query), older, not query.before)


def rows(user: User, letters: Sequence[DeadLetter]) -> list[Row]:
    """With why each stopped, and what this person may do about it. Five queries."""
    causes = _causes(user, letters)
    runs = {letter.run.pk for letter in letters}
    seen = set(Run.objects.visible_to(user).filter(pk__in=runs).values_list("pk", flat=True))
    operated = set(Run.objects.visible_to(user, "operate").filter(pk__in=runs).values_list("pk", flat=True))
    queues = set(ReviewQueue.objects.visible_to(user, "operate").values_list("pk", flat=True))
    return [
        Row(
            letter=letter,
            why=marks.code_words(letter.code),
            cause=causes.get((letter.run.pk, letter.step), Cause()),
            sees_run=letter.run.pk in seen,
            may_redrive=letter.item.queue_id in queues if letter.item else letter.run.pk in operated,
            left_by=letter.item.claimed_by.display_name if letter.item and letter.item.claimed_by else "",
        )
        for letter in letters
    ]


def _causes(user: User, letters: Sequence[DeadLetter]) -> dict[tuple[Any, str], Cause]:
    """(run, step) -> the newest event that tells why, in words. Two queries."""
    told: dict[tuple[Any, str], Event] = {}
    events = Event.objects.filter(run_id__in={letter.run.pk for letter in letters}, type__in=WHY).order_by("id")
    for event in events.only("run_id", "step", "stream", "seq", "type", "agent", "capability"):
        told[(event.run_id, event.step)] = event
    wanted = Q(pk__in=[])
    for event in told.values():
        wanted |= Q(stream=event.stream, seq=event.seq)
    bodies: dict[tuple[str, int], dict[str, Json]] = {}
    small = Q(name="message", size__lte=MAX_MESSAGE)
    found = Payload.objects.annotate(size=Length("body")).filter(wanted, erased_at__isnull=True)
    found = found.filter(Q(name__in=("detail", "reason", "faults", "why")) | small)
    for row in masking.shown(user, found.values_list("stream", "seq", "name", "body")):
        bodies.setdefault((row.stream, row.seq), {})[row.name] = _parsed(row.body)
    return {key: _cause(event, bodies.get((event.stream, event.seq), {})) for key, event in told.items()}


def _cause(event: Event, said: Mapping[str, Json]) -> Cause:
    why = said.get("why")
    faults = said.get("faults") if isinstance(said.get("faults"), list) else why.get("faults") if isinstance(why, dict) else []
    pointers = [
        (str(fault.get("pointer", "")) or "/", str(fault.get("fault", ""))) for fault in faults or [] if isinstance(fault, dict)
    ]
    detail = said.get("detail") or said.get("reason")
    text = next(iter(detail.values()), "") if isinstance(detail, dict) else why.get("why", "") if isinstance(why, dict) else ""
    shown, more = pointers[:MAX_FAULTS], max(len(pointers) - MAX_FAULTS, 0)
    tree = (
        faulttree.build(said["message"], shown, max_rows=MAX_TREE)
        if event.type == "contract.violated" and "message" in said
        else None
    )
    return Cause(event.agent, event.capability, str(text)[:400], shown, more, tree)


def _parsed(body: str) -> Json:
    try:
        return canonical.parse(body, max_bytes=max(len(body) * 4, 1))
    except Malformed:
        return None


def _menus(user: User, query: Query) -> list[tuple[str, str, list[Choice]]]:
    """Each filter as a menu of links: (key, label, choices)."""
    workflows = list(Workflow.objects.visible_to(user).order_by("title", "name").values_list("name", "title"))
    codes = [(code, code.replace("_", " ").capitalize()) for code in (*CODES, *FAILED_ONLY)]
    return [
        ("code", "Cause", _choices("code", codes, query)),
        ("workflow", "Workflow", _choices("workflow", [(name, title or name) for name, title in workflows], query)),
        ("age", "Waiting longer than", _choices("age", [(key, label) for key, (label, _) in AGES.items()], query)),
    ]


def _choices(key: str, pairs: Sequence[tuple[str, str]], query: Query) -> list[Choice]:
    chosen = getattr(query, key)
    any_ = Choice("", "Any", query.url(**{key: ""}), not chosen)
    return [any_, *(Choice(value, label, query.url(**{key: value}), value == chosen) for value, label in pairs)]
