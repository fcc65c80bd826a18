"""What the overview of each kind shows, computed from the document, the live matrix and rows the reader may see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.errors import AegisError, Fault
from aegis.core.kinds import Overlay
from aegis.core.shape import named_in
from aegis.core.visibility import Viewer
from aegis.portal.governed import texts
from aegis.portal.matrix import cells
from aegis.portal.templatetags.aegis import document_url
from approvals import policies, policy_words
from approvals.alerts import kind as alert_kind
from approvals.alerts.models import Alert, Episode, Judged
from approvals.models import ApprovalPolicy, ApprovalRequest
from orchestration.agents import alarms
from orchestration.agents.models import Agent
from orchestration.authority import owners, scope_tests
from orchestration.authority.models import Capability, FloorLock, Role
from orchestration.contracts.models import Contract
from orchestration.engine import parties, queue_alarms, retiring
from orchestration.engine.explaining import people_counted
from orchestration.engine.models import ReviewItem, ReviewQueue, Run
from orchestration.pages import agentfigures, credentials, guardboard
from orchestration.routing import publishing, tables
from orchestration.routing.models import RoutingTable
from orchestration.workflows import drawing, flowmap, parse
from orchestration.workflows.definition import Definition
from orchestration.workflows.drawing import Drawing
from orchestration.workflows.models import Workflow

MAX_RELEASES = 50
#: Kind of a flow map's node -> kind of the document it names.
_DOCUMENT_OF = {
    "agent": "Agent", "route": "RoutingTable", "gate": "ApprovalPolicy", "review": "ReviewQueue", "queue": "ReviewQueue",
}  # fmt: skip


def as_text(value: Json) -> str:
    return texts.to_text(value) if value not in (None, {}, []) else ""


def agent(row: Agent, document: Json, reader: Viewer) -> dict[str, Any]:
    spec = document.get("spec", {})
    roles = list(spec.get("roles", []))
    matrix = cells.current()
    guards = guardboard.card(reader, "agent", row)
    return {
        "alarms": alarms.of_one(row),
        "figures": agentfigures.of(reader, [row.name])[row.name],
        "secrets": credentials.card(row, may_operate=guards.may_operate),
        "lifetimes": credentials.LIFETIMES,
        "overlaps": credentials.OVERLAPS,
        "owner": row.owner,
        "roles": roles,
        "connector": _connector(spec.get("connector", {})),
        "settings_text": as_text(spec.get("settings")),
        "powers": cells.powers(matrix, roles),
        "matrix_number": matrix.number,
        "guards": guards,
    }


def _connector(connector: Mapping[str, Json]) -> tuple[str, str, list[str]]:
    """(kind, what is called, what else is worth knowing) in words."""
    if "http" in connector:
        spec = connector["http"]
        allow = spec.get("allow", [])
        return "http", spec["url"], [f"may be at {', '.join(allow)}"] if allow else []
    mode = connector.get("mode", "inline")
    return "python", str(connector.get("python", "")), ["a process of its own" if mode == "isolated" else "inside the worker"]


def policy(row: ApprovalPolicy, document: Json, reader: Viewer) -> dict[str, Any]:
    loaded = policies.load(document)
    people = people_counted(loaded.groups, reader)
    return {
        "sentences": policy_words.describe(loaded),
        "stages": [(stage, [(name, people.get(name, 0)) for name in stage.groups]) for stage in loaded.stages],
        "policy": loaded,
        "open_requests": ApprovalRequest.objects.visible_to(reader).filter(policy=row, status="open").count(),
    }


def alert(row: Alert, document: Json, reader: Viewer) -> dict[str, Any]:
    found = Episode.objects.visible_to(reader).filter(alert=row)
    return {
        "sentences": alert_kind.said(document),
        "open_episodes": found.filter(ended_at=None).count(),
        "judged": Judged.objects.filter(alert=row).first(),
    }


@dataclass(frozen=True, slots=True)
class TestResult:
    """A stored example and whether the table fulfils it."""

    name: str
    given: str
    expect: str
    failure: str


def table(row: RoutingTable, document: Json, reader: Viewer) -> dict[str, Any]:
    try:
        loaded = tables.load(document)
        failed = {fault.where: fault.what for fault in tables.failing_tests(loaded)}
    except AegisError as error:  # stored by an older release: shown as text, with what is wrong
        return {"faults": error.faults or (Fault("", error.detail),)}
    outputs = [name for name in dict.fromkeys([tables.CASE, *loaded.outputs]) if name != tables.CASE or not loaded.bands]
    columns = [column for column in loaded.columns.values() if any(_cell(rule.when, column.name) for rule in loaded.rules)]
    tests = [
        TestResult(test.name, _short(test.given), _short(test.expect), failed.get(f"/spec/tests/{index}", ""))
        for index, test in enumerate(loaded.tests)
    ]
    return {
        "table": loaded,
        "outputs": outputs,
        "columns": columns,
        "rules": [
            (
                rule,
                None if isinstance(rule.when, str) else [_cell(rule.when, column.name) for column in columns],
                [_short(rule.then.get(name)) for name in outputs],
            )
            for rule in loaded.rules
        ],
        "default": _default_row(loaded, outputs),
        "policy_words": publishing.policy_in_words(loaded),
        "analysis": publishing.analysis_of(document),
        "tests": tests,
        "failed_tests": len(failed),
    }


def _default_row(table: tables.RoutingTable, outputs: list[str]) -> list[str] | None:
    """None where the table has no default."""
    default = table.default
    return None if default is None else [_short(default[name]) if name in default else "" for name in outputs]


def _cell(when: str | Mapping[str, Json], name: str) -> str:
    """What a row tests of a column; "" for nothing."""
    cell = "" if isinstance(when, str) else when.get(name, "")
    return "" if str(cell).strip() in ("", "-") else cell if isinstance(cell, str) else _short(cell)


def workflow(row: Workflow, document: Json, reader: Viewer) -> dict[str, Any]:
    context: dict[str, Any] = {
        "guards": guardboard.card(reader, "workflow", row),
        "releases": row.releases.order_by("-version", "-created_at")[:MAX_RELEASES],
        "versions": retiring.versions_of(row),
        "runs": Run.objects.visible_to(reader).filter(workflow=row).order_by("-submitted_at")[:5],
    }
    try:
        definition = parse.load(document)
    except AegisError as error:
        return {**context, "faults": error.faults or (Fault("", error.detail),)}
    return {**context, "definition": definition, "drawing": _drawn(definition), "marks": parties.marks_in(definition, reader)}


def role(row: Role, document: Json, reader: Viewer) -> dict[str, Any]:
    spec = document.get("spec", {})
    matrix = cells.current()
    agents = [one for one in Agent.objects.visible_to(reader) if row.name in _roles_of(one)]
    return {
        "is_for_people": bool(spec.get("people")),
        "powers": cells.powers(matrix, [row.name]),
        "agents": agents,
        "people_count": people_counted([row.name], reader).get(row.name, 0),
        "tests": scope_tests.run(document, Overlay(reader=reader)),
    }


def capability(row: Capability, document: Json, reader: Viewer) -> dict[str, Any]:
    spec = document.get("spec", {})
    matrix = cells.current()
    return {
        "guards": guardboard.card(reader, "capability", row),
        "holders": cells.holders(matrix, row.name),
        "locks": matrix.locks.get(row.name, ()),
        "exclusive": sorted(matrix.exclusive.get(row.name, ())),
        "owned": next((one for one in owners.all_owned() if one.resource == spec.get("resource")), None),
        "parameters_text": as_text(spec.get("parameters")),
        "risk": spec.get("risk", ""),
    }


def lock(row: FloorLock, document: Json, reader: Viewer) -> dict[str, Any]:
    return {"affected": cells.holders(cells.current(), document.get("spec", {}).get("capability", ""))}


def contract(row: Contract, document: Json, reader: Viewer) -> dict[str, Any]:
    spec = document.get("spec", {})
    schema = spec.get("schema", spec)
    return {
        "fields": list(_fields(schema)),
        "schema_text": as_text(schema),
        "message": row.name.partition("@")[0],
        "marks": parties.told_marks(schema),
        "compatibility": spec.get("compatibility", "none"),
        "before": parties.neighbours(row.name),
        "parties": parties.parties(row.name, reader),
    }


def queue(row: ReviewQueue, document: Json, reader: Viewer) -> dict[str, Any]:
    waiting = ReviewItem.objects.visible_to(reader).filter(queue=row, status__in=["open", "claimed"])
    groups = list(row.groups.order_by("name").values_list("name", flat=True))
    people = people_counted(groups, reader)
    return {
        "groups": [(name, people.get(name, 0)) for name in groups],
        "waiting": waiting.count(),
        "alarms": queue_alarms.of_one(row),
    }


def _drawn(definition: Definition) -> Drawing:
    """The flow map, each node a link to the document it names."""
    graph = flowmap.layout(definition)
    hrefs = {
        node.id: document_url(_DOCUMENT_OF[node.kind], node.id.removeprefix("queue:") if node.kind == "queue" else node.about)
        for node in graph.nodes
        if node.kind in _DOCUMENT_OF
    }
    return drawing.draw(graph, hrefs=hrefs)


def _roles_of(one: Agent) -> list[str]:
    roles: list[str] = canonical.parse(one.document).get("spec", {}).get("roles", [])
    return roles


def _fields(schema: Json, path: str = "", depth: int = 0) -> Iterable[tuple[str, str, bool, str]]:
    """(path, type, must be there, description) of what a schema names; nested objects are followed."""
    if not isinstance(schema, Mapping) or depth > 6:
        return
    required = set(schema.get("required", []))
    for name in named_in(schema):
        inner = schema["properties"][name]
        if not isinstance(inner, Mapping):
            continue
        yield f"{path}{name}", _type_of(inner), name in required, str(inner.get("description", ""))
        yield from _fields(inner, f"{path}{name}.", depth + 1)
        if isinstance(inner.get("items"), Mapping):
            yield from _fields(inner["items"], f"{path}{name}[].", depth + 1)


def _type_of(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return "one of " + ", ".join(str(value) for value in schema["enum"])
    if "const" in schema:
        return f"always {schema['const']}"
    kind = schema.get("type", "any")
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def _short(value: Json) -> str:
    return value if isinstance(value, str) else canonical.dump(value).decode()
