"""Every address of the portal, asked by every method: from the URL resolver, so that a new one is asked too or fails the test.

A route's parameters are filled with the oldest row that may carry a payload; with every such row where the environment says
`AEGIS_MASKING=all` (`make masking`). A parameter that nobody filled here is an error: whoever adds an address says what it is
about.
"""

from __future__ import annotations

import html
import json
import os
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from django.contrib.auth.models import Group
from django.db.models import Q
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RoutePattern

from aegis.identity.models import TakenRight, User
from aegis.portal.governed.kinds import all_pages
from aegis.portal.models import SavedView
from approvals.alerts.models import Alert, Episode, Silence
from approvals.models import ApprovalPolicy, ApprovalRequest, Delegation
from audit.models import Event
from orchestration.agents.models import AgentCredential
from orchestration.engine.deadletters import CODES
from orchestration.engine.guards.models import Halt
from orchestration.engine.models import ReviewItem, Run
from orchestration.routing.models import RoutingTable
from orchestration.workflows.models import Workflow, WorkflowRelease
from tests.support.api import client_of

#: Every row of every route, or one of each.
EVERY_ROW = os.environ.get("AEGIS_MASKING") == "all"
#: Not asked, and why: name of the route, or its pattern where it has none.
LEFT_OUT = {
    "admin:logout": "ends the session it is asked in",
    "admin:None": "the site's catch-all, answers 404",
    "None": "the API's catch-all, answers 404",
    "admin:app_list": "leads to the index",
    "admin:autocomplete": "closed: answers 404 whatever is asked",
    "portal:prometheus": "a page for a token, not for people; its measures are declared names and numbers",
}
#: More views of an address: what its query string asks for.
QUERIES = {
    "admin:index": [""],
    "runs:list": ["", "part=list", "status=review", "status=completed&part=list"],
    "runs:run": ["", "part=live"],
    "review:list": ["", "tab=done", "part=board"],
    "approvals:inbox": ["tab=mine", "tab=waiting", "tab=requested", "tab=done"],
    "audit:list": ["span=all"],
    "alerts:list": ["", "status=all&part=list"],
    "alerts:rule": ["", "rehearse=1"],
    "audit:history": ["object=Agent/clerk", "object=Item/asked"],
    "audit:export": ["span=all&format=csv", "span=all&format=jsonl"],
    "api-events": ["span=all&limit=500"],
    "portal:search": ["q=asked"],
    "portal:open": ["name=clerk"],
    "portal:metrics": ["", "span=30d"],
    "portal:matrix-why": ["capability=note.write&role=clerk", "principal=agent:clerk&capability=note.write"],
    "portal:matrix": ["", "by=agent", "by=person"],
    "portal:matrix-export": ["", "by=agent", "by=person"],
    "portal:matrix-print": ["", "by=agent", "by=person"],
    "portal:matrix-pair": ["", "of=agent&one=note.write&other=note.read"],
    "portal:matrix-unused": ["", "days=30"],
    "portal:matrix-reviews": ["", "show=due"],
    "portal:matrix-role-review": ["role=clerk"],
    "portal:matrix-who": ["capability=note.write"],
    "portal:matrix-what": ["who=agent:clerk", "who=role:clerk"],
    "api-access-may": ["who=agent:clerk&capability=note.write"],
    "api-access-who": ["capability=note.write"],
    "api-access-what": ["who=agent:clerk"],
    "api-role-reviews": ["", "show=due"],
    "portal:matrix-cell": ["role=clerk&capability=note.write"],
    "api-run-events": [""],
    "api-requests": ["status=open", "status=approved"],
}
#: What the API's verbs take.
BODIES: dict[str, Any] = {
    "api-runs": {"workflow": "notes", "input": {"id": "x", "iban": 7}},
    "api-runs-batch": {"workflow": "notes", "items": [{"input": {"id": "y", "iban": 7}}], "mode": "each"},
    "api-messages": {"workflow": "paid", "name": "payment", "key": "heard", "payload": {"iban": 7}},
    "api-emergency": {"area": "workflows", "right": "operate", "minutes": 5, "reason": "stop"},
    "api-emergency-review": {"verdict": "justified", "reason": "seen"},
    "api-decisions": {"verdict": "approve", "reason": "fine", "digest": "0" * 64},
    "api-request-escalate": {"reason": "looks right"},
    "api-request-comments": {"text": "looks right"},
    "api-request-revisions": {"parameters": {"text": "edited"}, "reason": "better", "digest": "0" * 64},
    "api-dead-letters-redrive": {"ids": [], "reason": "mended"},
    "api-review-item-statement": {"outcome": "happened", "reason": "I looked"},
    "api-alert-acknowledge": {"note": "I look"},
    "api-alert-notes": {"note": "I looked"},
    "api-halts": {"what": "workflow", "name": "notes", "reason": "stop"},
    "api-routing-replay": {"last": 100},
    "api-role-review": {"reason": "looked", "seen": "0" * 64, "confirm": ["note.write"]},
    "workflow-dry-run": {"input": {"id": "asked"}, "answers": {"write": {"output": {"summary": "x"}}}},
}
#: What forms take; each reads what it knows of it.
FORM = {
    "reason": "because", "version": "1", "verdict": "approve", "what": "workflow", "name": "notes", "pace": "5", "last": "100",
    "seen_digest": "0" * 64, "to": "sam", "from": "2026-11-23", "until": "2026-11-24",
    "digest": "0" * 64, "input": '{"id": "asked"}', "answers": "{}", "document": "{}",
    "f-summary": "x", "outcome": "happened", "page": "runs", "query": "status=failed",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """One address, and what it may show: body, headers and all, entities and escapes read."""

    route: str
    method: str
    address: str
    status: int
    text: str


def routes() -> dict[str, str]:
    """Name -> pattern of every route there is; a name that stands twice (`None`) keeps one of them."""
    return {name: pattern for name, pattern, _ in walk(get_resolver().url_patterns)}


def reads() -> Iterator[tuple[str, str]]:
    """(route, address) of everything a person may open."""
    for name, pattern, _ in walk(get_resolver().url_patterns):
        if name in LEFT_OUT:
            continue
        for address in _some(_filled(name, pattern)):
            yield from ((name, f"{address}?{query}" if query else address) for query in _queries(name))
    for event in _some(_telling_events()):
        yield "audit:list", f"/audit/?span=all&event={event.stream}/{event.seq}"
    written = Event.objects.filter(type="effect.done", run_id__isnull=False).order_by("id")
    for run_id in _some([*written.values_list("run_id", flat=True)]):
        yield "audit:history", f"/audit/history/?object=Run/{run_id}"


def open_all(person: Any, browser: Client, only: Container[str] = ()) -> Iterator[Asked]:
    """Open every address, or those of `only` some routes; of lists, what their query string asks for as well."""
    api = client_of(person)
    for name, address in [one for one in reads() if not only or one[0] in only]:
        yield _told(name, "get", address, (api if _is_api(address) else browser).get(address))


def post_to_all(person: Any, browser: Client) -> Iterator[Asked]:
    """Post to every address, and follow where that leads. It changes what the addresses are about."""
    api = client_of(person)
    letters = api.get("/api/v1/dead-letters").json()["dead_letters"]
    form = {**FORM, "id": [letter["id"] for letter in letters]}
    for name, address in [*_posts()]:
        if _is_api(address):
            body = BODIES.get(name, {"reason": "because"})
            yield _told(name, "post", address, api.post(address, json.dumps(body), content_type="application/json"))
        else:
            yield _told(name, "post", address, browser.post(address, form))


def unanswered(asked: Iterable[Asked]) -> set[str]:
    """Routes that are neither left out nor showed anything."""
    shown = {one.route for one in asked if one.status not in (404, 405)}
    return set(routes()) - shown - set(LEFT_OUT)


def _some(rows: list[Any]) -> list[Any]:
    return rows if EVERY_ROW else rows[:1]


def _queries(name: str) -> list[str]:
    if name.endswith("_workflow_compare"):
        first, *_, last = WorkflowRelease.objects.filter(workflow__name="paid").order_by("version").values_list("pk", flat=True)
        return [f"old={first}&new={last}"]
    return QUERIES.get(name, [""])


def _posts() -> Iterator[tuple[str, str]]:
    """Every address once more, but of each route only the first few rows: an act ends what the next would find."""
    for name, pattern, _ in walk(get_resolver().url_patterns):
        if name not in LEFT_OUT:
            yield from ((name, address) for address in _some(_filled(name, pattern))[:3])


def _told(route: str, method: str, address: str, answer: Any) -> Asked:
    if answer.status_code == 302 and method == "post":
        answer = answer.client.get(answer.headers["Location"]) if hasattr(answer, "client") else answer
    body = b"".join(answer.streaming_content) if getattr(answer, "streaming", False) else answer.content
    text = body.decode()
    if "json" in answer.headers.get("Content-Type", "") and "ndjson" not in answer.headers["Content-Type"]:
        text = json.dumps(json.loads(text), ensure_ascii=False) if text else ""
    return Asked(route, method, address, answer.status_code, html.unescape(f"{dict(answer.headers)} {text}"))


def _is_api(address: str) -> bool:
    return address.startswith("/api/")


def walk(patterns: Sequence[URLPattern | URLResolver], prefix: str = "", space: str = "") -> Iterator[tuple[str, str, Any]]:
    """(name with its namespaces, pattern of the whole path, entry) of every route; the pattern of a catch-all is ""."""
    for entry in patterns:
        if isinstance(entry, URLResolver):
            below = f"{space}{entry.namespace}:" if entry.namespace else space
            yield from walk(entry.url_patterns, prefix + str(entry.pattern), below)
        else:
            is_path = isinstance(entry.pattern, RoutePattern)
            yield f"{space}{entry.name}", prefix + str(entry.pattern) if is_path else "", entry


def _filled(name: str, pattern: str) -> list[str]:
    """The addresses of one route, a row for each of its parameters in turn."""
    parameters = [part.split(">")[0].split(":")[-1] for part in pattern.split("<")[1:]]
    if "seq" in parameters:
        return [with_values(pattern, _event_values(event)) for event in _telling_events() if _fits(name, event)]
    values = [_values(name, parameter) for parameter in parameters]
    return [with_values(pattern, dict(zip(parameters, chosen, strict=True))) for chosen in product(*values)]


def with_values(pattern: str, values: dict[str, Any]) -> str:
    """The address, its parameters filled by name."""
    for part in pattern.split("<")[1:]:
        converter = part.split(">")[0]
        pattern = pattern.replace(f"<{converter}>", str(values[converter.split(":")[-1]]))
    return f"/{pattern}"


def _values(name: str, parameter: str) -> list[Any]:
    match parameter:
        case "run_id":
            return [*Run.objects.order_by("submitted_at").values_list("pk", flat=True)]
        case "letter_id":
            return [letter.pk for letter in ReviewItem.objects.order_by("opened_at") if letter.code in CODES]
        case "item_id":
            return [*ReviewItem.objects.order_by("opened_at").values_list("pk", flat=True)]
        case "request_id":
            return [*ApprovalRequest.objects.order_by("opened_at").values_list("pk", flat=True)]
        case "delegation_id":
            return [*Delegation.objects.values_list("pk", flat=True)]
        case "verb" if name == "alerts:act":
            return ["note", "acknowledge", "silence"]
        case "verb":
            return ["claim", "comment", "release", "withdraw"]
        case "group_id":
            return [*Group.objects.order_by("name").values_list("pk", flat=True)]
        case "person_id":
            return [*User.objects.order_by("username").values_list("pk", flat=True)]
        case "halt_id":
            return [*Halt.objects.order_by("placed_at").values_list("pk", flat=True)]
        case "pk":
            model = next(one.model for one in all_pages() if name.startswith(f"{one.prefix}_"))
            return [*_rows(name, model).order_by("name").values_list("pk", flat=True)]
        case "taken_id":
            return [*TakenRight.objects.order_by("taken_at").values_list("pk", flat=True)]
        case "page":
            return ["runs"]
        case "episode_id":
            return [*Episode.objects.order_by("started_at").values_list("pk", flat=True)]
        case "silence_id":
            return [*Silence.objects.order_by("starts_at").values_list("pk", flat=True)]
        case "rule":
            return [*Alert.objects.order_by("name").values_list("name", flat=True)]
        case "view_id":
            return [*SavedView.objects.order_by("name").values_list("pk", flat=True)]
        case "prefix":
            return [*AgentCredential.objects.order_by("created_at").values_list("prefix", flat=True)]
        case "number" | "version":
            return [1]
        case "kind":
            return {"portal:open": ["Agent"], "schema": ["Workflow"]}.get(name, ["agent", "capability"])
        case "name":
            return _names(name)
    raise AssertionError(f"{name}: say which rows fill <{parameter}>, so that masking is tried there")


def _rows(name: str, model: Any) -> Any:
    """Only one workflow has two versions to compare."""
    rows = model._default_manager.all()
    return rows.filter(name="paid") if name.endswith("_compare") else rows


def _names(name: str) -> list[str]:
    match name.partition("-")[0], name:
        case _, "api-contract":
            return ["answer@1", "request@1"]
        case _, "api-routing-replay":
            return [*RoutingTable.objects.values_list("name", flat=True)]
        case _, "api-policy-advice":
            return [*ApprovalPolicy.objects.order_by("name").values_list("name", flat=True)]
        case "workflow", _:
            return [*Workflow.objects.values_list("name", flat=True)]
    return ["notes"] if name.startswith("workflows:") else ["clerk"]


def _telling_events() -> list[Event]:
    """Those with payloads, of runs and of messages; not those of configuration, which hold documents."""
    about_runs = Q(run_id__isnull=False) | Q(stream__startswith="message:") | Q(stream__startswith="refusals:")
    return [*Event.objects.filter(about_runs).exclude(line__contains='"payload":[]').order_by("id")]


def _fits(name: str, event: Event) -> bool:
    return name != "runs:event" or event.stream == f"run:{event.run_id}"


def _event_values(event: Event) -> dict[str, Any]:
    return {"stream": event.stream, "seq": event.seq, "run_id": event.run_id}
