"""The approvals inbox: tabs, filters in the address, rows. The number of queries does not grow with the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Case, Count, IntegerField, Q, QuerySet, Value, When

from aegis.core import clock
from aegis.core.visibility import Viewer, remembered
from aegis.identity.models import User
from approvals import bulk, questions
from approvals.models import ApprovalRequest, Decision
from approvals.pages import words
from approvals.pages.standing import OPEN, Standing, standings
from approvals.pages.words import Mark
from audit import masking, scopes

Status = ApprovalRequest.Status

TABS = {"mine": "Mine to decide", "waiting": "Waiting on others", "requested": "I requested", "done": "Done"}
MAX_ROWS = 100
MAX_SEARCHED = 500  # rows a text is looked for in
MAX_KEPT = 50
MAX_TEXT = 200
ORDER = "risk, then deadline, then oldest"
DONE_ORDER = "settled last comes first"

#: Deadline within: key in the address -> words, hours.
DUE = {"1h": ("within an hour", 1), "4h": ("within 4 hours", 4), "24h": ("within a day", 24)}

_RISK_ORDER = Case(
    When(risk="high", then=Value(0)), When(risk="medium", then=Value(1)), default=Value(2), output_field=IntegerField()
)


@dataclass(frozen=True, slots=True)
class Filters:
    """What the address asks for; values that mean nothing are dropped, so every address gives a page."""

    tab: str = "mine"
    risk: str = ""
    workflow: str = ""  # "<scope>:<id>"
    policy: str = ""
    agent: str = ""
    capability: str = ""
    q: str = ""

    requester: str = ""  # id
    due: str = ""  # key of DUE
    short: str = ""  # "yes": too few people are left who could decide

    NARROWING = ("risk", "workflow", "policy", "agent", "capability", "requester", "due", "short")

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Filters:
        values = {key: query.get(key, "").replace("\x00", "")[:MAX_TEXT] for key in cls.NARROWING}
        tab, risk, due = query.get("tab", ""), values["risk"], values["due"]
        values |= {"risk": risk if risk in words.RISKS else "", "due": due if due in DUE else ""}
        return cls(
            **values,
            tab=tab if tab in TABS else "mine",
            q=query.get("q", "").strip().replace("\x00", "")[:MAX_TEXT],
        )

    @property
    def narrows(self) -> bool:
        return any(getattr(self, key) for key in (*self.NARROWING, "q"))

    def query(self, **changes: str) -> str:
        """The query string ("" or "?a=b") with some values changed; empty ones and the first tab are left out."""
        kept = self._given(changes)
        return f"?{urlencode(kept)}" if kept else ""

    @property
    def kept(self) -> list[tuple[str, str]]:
        """What a form carries along."""
        return list(self._given({}).items())

    def _given(self, changes: Mapping[str, str]) -> dict[str, str]:
        values = {**{key: getattr(self, key) for key in ("tab", *self.NARROWING, "q")}, **changes}
        return {key: value for key, value in values.items() if value and (key, value) != ("tab", "mine")}


@dataclass(frozen=True, slots=True)
class Choice:
    value: str
    label: str
    query: str
    is_on: bool


@dataclass(frozen=True, slots=True)
class Menu:
    """One filter: a chip that opens a list of links."""

    key: str
    label: str
    chosen: str
    choices: Sequence[Choice]


@dataclass(frozen=True, slots=True)
class Row:
    """One request in the list."""

    request: ApprovalRequest
    title: str
    risk: Mark
    place: str
    stands: Standing
    left: Mark
    age: str
    requester: str
    is_settled: bool
    settled: Mark | None
    settled_by: str
    alone: str  # why it is not decided together with others; "" if it may be


@dataclass(frozen=True, slots=True)
class Tab:
    key: str
    label: str
    query: str
    count: int | None
    is_on: bool


@dataclass(frozen=True, slots=True)
class Inbox:
    filters: Filters
    tabs: Sequence[Tab]
    rows: Sequence[Row]
    menus: Sequence[Menu] = field(default_factory=list)
    is_cut: bool = False
    at: datetime | None = None

    @property
    def order(self) -> str:
        return DONE_ORDER if self.filters.tab == "done" else ORDER

    @property
    def mine(self) -> int:
        return next(tab.count or 0 for tab in self.tabs if tab.key == "mine")


def inbox(user: User, filters: Filters, *, keep: Sequence[UUID] = ()) -> Inbox:
    """The list as `user` may see it.

    Args:
        keep: requests the reader's page shows already. Those settled meanwhile stay, greyed, in their place: rows never vanish
            under the cursor.
    """
    now = clock.now()
    visible = ApprovalRequest.objects.visible_to(user)
    mine = ApprovalRequest.objects.awaiting(user, now).values("pk")
    tabs = _tabs(visible, mine, user, filters)
    chosen = _of_tab(visible, mine, user, filters.tab)
    rows = _narrowed(chosen, filters)
    if keep and filters.tab != "done":
        rows = visible.filter(Q(pk__in=rows.values("pk")) | Q(pk__in=list(keep)[:MAX_KEPT]))
    found = list(
        _ordered(rows, filters.tab).select_related("policy", "requester")[: MAX_SEARCHED if filters.q else MAX_ROWS + 1]
    )
    titles, places = titles_of(user, found), places_of(found)
    if filters.q:  # sentences are made from what is asked, so the text is looked for in what the rows say
        found = [request for request in found if _says(request, titles[request.pk], places, filters.q)]
    shown = found[:MAX_ROWS]
    stands = standings(shown)
    alone = bulk.alone_of(shown, user) if filters.tab == "mine" else {}
    return Inbox(
        filters=filters,
        tabs=tabs,
        rows=[
            _row(request, titles[request.pk], places, stands[request.pk], now, alone.get(request.pk, "")) for request in shown
        ],
        menus=_menus(chosen, filters),
        is_cut=len(found) > MAX_ROWS,
        at=now,
    )


def next_to_decide(user: User, filters: Filters, after: ApprovalRequest) -> ApprovalRequest | None:
    """The request that opens after a decision: the next one in the list's order, else the first."""
    mine = _narrowed(ApprovalRequest.objects.awaiting(user, clock.now()), filters).exclude(pk=after.pk)
    ordered = list(_ordered(mine, "mine").only("pk", "risk", "deadline", "opened_at")[:MAX_ROWS])
    place = _place(after)
    return next((request for request in ordered if _place(request) > place), ordered[0] if ordered else None)


def waiting_for(user: User, filters: Filters) -> list[ApprovalRequest]:
    """What `user` may decide, narrowed and in the order of the list; at most `MAX_ROWS`."""
    mine = ApprovalRequest.objects.visible_to(user).filter(
        pk__in=ApprovalRequest.objects.awaiting(user, clock.now()).values("pk")
    )
    return list(_ordered(_narrowed(mine, filters), "mine").select_related("policy", "requester", "claimed_by")[:MAX_ROWS])


def titles_of(user: Viewer, requests: Sequence[ApprovalRequest]) -> dict[UUID, str]:
    """The question of each request in one sentence: one call per sort of question."""
    by_kind: dict[str, list[ApprovalRequest]] = {}
    for request in requests:
        by_kind.setdefault(request.question, []).append(request)
    titles: dict[UUID, str] = {}
    for kind, group in by_kind.items():
        titles.update(questions.get(kind).titles(group))
    shown = masking.masker().values(user, [(request.run_id, titles[request.pk]) for request in requests])
    return {request.pk: title for request, title in zip(requests, shown, strict=True)}


def places_of(requests: Sequence[ApprovalRequest]) -> dict[tuple[str, str], str]:
    """(scope, id) -> name of what each request belongs to: one call per scope."""
    by_scope: dict[str, set[str]] = {}
    for request in requests:
        by_scope.setdefault(request.scope, set()).add(request.scope_id)
    return {(scope, id_): name for scope, ids in by_scope.items() for id_, name in _names_of(scope, ids).items()}


def _names_of(scope: str, ids: set[str]) -> Mapping[str, str]:
    key = ("names", scope, frozenset(ids))
    return remembered(key, lambda: scopes.names_of(scope, ids))


def _of_tab(
    visible: QuerySet[ApprovalRequest], mine: QuerySet[ApprovalRequest, Any], user: User, tab: str
) -> QuerySet[ApprovalRequest]:
    is_open = Q(status__in=OPEN)
    match tab:
        case "mine":
            return visible.filter(is_open, pk__in=mine)
        case "waiting":
            return visible.filter(is_open).exclude(pk__in=mine).exclude(requester=user)
        case "requested":
            return visible.filter(is_open, requester=user)
        case _:
            return visible.exclude(is_open)


def _tabs(visible: QuerySet[ApprovalRequest], mine: QuerySet[ApprovalRequest, Any], user: User, filters: Filters) -> list[Tab]:
    """Counts of open requests in one query; what is done only grows, so it is not counted."""
    is_mine, asked = Q(pk__in=mine), Q(requester=user)
    counts = visible.filter(status__in=OPEN).aggregate(
        mine=Count("pk", filter=is_mine),
        requested=Count("pk", filter=asked),
        waiting=Count("pk", filter=~is_mine & ~(asked & Q(requester__isnull=False))),
    )
    return [Tab(key, label, Filters(tab=key).query(), counts.get(key), key == filters.tab) for key, label in TABS.items()]


def _narrowed(requests: QuerySet[ApprovalRequest], filters: Filters) -> QuerySet[ApprovalRequest]:
    if filters.risk:
        requests = requests.filter(risk=filters.risk)
    if filters.workflow:
        scope, _, scope_id = filters.workflow.partition(":")
        requests = requests.filter(scope=scope, scope_id=scope_id)
    if filters.policy:
        requests = requests.filter(policy__name=filters.policy)
    if filters.agent:
        requests = requests.filter(agent=filters.agent)
    if filters.capability:
        requests = requests.filter(capability=filters.capability)
    if filters.requester:
        requests = requests.filter(requester=_id_of(filters.requester))
    if filters.short:
        requests = requests.filter(short_since__isnull=False)
    if filters.due:
        requests = requests.filter(deadline__lte=clock.now() + timedelta(hours=DUE[filters.due][1]))
    return requests


def _id_of(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)  # nobody


def _ordered(requests: QuerySet[ApprovalRequest], tab: str) -> QuerySet[ApprovalRequest]:
    if tab == "done":
        return requests.order_by("-settled_at", "pk")
    return requests.order_by(_RISK_ORDER, "deadline", "opened_at", "pk")


def _place(request: ApprovalRequest) -> tuple[int, datetime, datetime, UUID]:
    return ({"high": 0, "medium": 1}.get(request.risk, 2), request.deadline, request.opened_at, request.pk)


def _menus(requests: QuerySet[ApprovalRequest], filters: Filters) -> list[Menu]:
    """The choices that occur in this tab, in one query beside the names."""
    seen = set(
        requests.order_by()
        .values_list(
            "scope",
            "scope_id",
            "policy__name",
            "policy__title",
            "agent",
            "capability",
            "requester",
            "requester__first_name",
            "requester__username",
        )
        .distinct()[:500]
    )
    names: dict[str, str] = {}
    for scope in {row[0] for row in seen}:
        ids = {row[1] for row in seen if row[0] == scope}
        names |= {f"{scope}:{id_}": name for id_, name in _names_of(scope, ids).items()}
    options = {
        "risk": [(key, mark.word) for key, mark in words.RISKS.items()],
        "workflow": sorted(names.items(), key=lambda pair: pair[1]),
        "policy": sorted({(row[2], row[3] or row[2]) for row in seen}, key=lambda pair: pair[1]),
        "agent": sorted({(row[4], row[4]) for row in seen if row[4]}),
        "capability": sorted({(row[5], row[5]) for row in seen if row[5]}),
        "requester": sorted({(str(row[6]), row[7] or row[8]) for row in seen if row[6]}, key=lambda pair: pair[1]),
        "short": [("yes", "too few")],
        "due": [(key, word) for key, (word, _) in DUE.items()],
    }
    return [_menu(key, pairs, filters) for key, pairs in options.items()]


def _menu(key: str, pairs: Sequence[tuple[str, str]], filters: Filters) -> Menu:
    chosen = getattr(filters, key)
    label = next((text for value, text in pairs if value == chosen), chosen)
    choices = [Choice("", "Any", filters.query(**{key: ""}), not chosen)]
    choices += [Choice(value, text, filters.query(**{key: value}), value == chosen) for value, text in pairs]
    return Menu(key, {"due": "Deadline", "short": "People"}.get(key, key.capitalize()), label, choices)


def _says(request: ApprovalRequest, title: str, places: Mapping[tuple[str, str], str], text: str) -> bool:
    """Does the row say `text`? Its label and id count from their start only: they are random and hold many short words."""
    wanted = text.lower()
    if f"apr-{request.pk.hex}".startswith((wanted, f"apr-{wanted.replace('-', '')}")):
        return True
    place = places.get((request.scope, request.scope_id), "")
    asked = request.requester.display_name if request.requester else ""
    said = (title, place, request.agent, request.capability, str(request.policy), asked)
    return wanted in "\n".join(said).lower()


def _row(
    request: ApprovalRequest,
    title: str,
    places: Mapping[tuple[str, str], str],
    stands: Standing,
    now: datetime,
    alone: str,
) -> Row:
    is_settled = request.status not in OPEN
    settling = next((vote for vote in reversed(stands.decisions) if not vote.is_void), None)
    decided = is_settled and request.status in (Status.APPROVED, Status.REJECTED) and settling
    return Row(
        request=request,
        title=title,
        risk=words.RISKS.get(request.risk, words.RISKS["high"]),
        place=places.get((request.scope, request.scope_id), ""),
        stands=stands,
        left=words.left(request.deadline, now),
        age=words.ago(request.opened_at, now),
        requester=request.requester.display_name if request.requester else "AEGIS",
        is_settled=is_settled,
        settled=words.REQUEST_STATUSES[request.status] if is_settled else None,
        settled_by=settling.person.display_name if decided and isinstance(settling, Decision) else "",
        alone=alone,
    )
