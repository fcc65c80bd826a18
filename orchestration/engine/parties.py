"""Producers and consumers of a contract version: which workflows hand it over, in which of their versions that are in force."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Count

from aegis.core import canonical
from aegis.core.errors import AegisError
from aegis.core.visibility import Viewer
from orchestration.contracts import compatibility, marks
from orchestration.contracts.kind import split
from orchestration.contracts.models import Contract
from orchestration.engine.models import Run
from orchestration.workflows import parse, releases
from orchestration.workflows.definition import Definition
from orchestration.workflows.handoffs import Handoff, handoffs_of
from orchestration.workflows.models import Workflow, WorkflowRelease


@dataclass(frozen=True, slots=True)
class Party:
    """One workflow version that hands messages of the contract over.

    Attributes:
        is_standing: a run submitted now is bound to it; otherwise only runs under way still are.
        running: runs under way that are bound to an earlier version.
    """

    workflow: str
    title: str
    version: int
    is_standing: bool
    running: int
    handoffs: tuple[Handoff, ...]


def parties(contract: str, viewer: Viewer) -> list[Party]:
    """Of the workflows that `viewer` may see. Four queries; definitions are parsed once per process."""
    wanted = canonical.dump(contract).decode()
    visible = Workflow.objects.visible_to(viewer)
    found = [
        Party(row.name, str(row), row.version, True, 0, handoffs)
        for row in visible.filter(document__contains=wanted).order_by("name")
        if (handoffs := _of(contract, _standing(row)))
    ]
    return sorted([*found, *_under_way(contract, wanted, visible, {(one.workflow, one.version) for one in found})], key=_order)


def neighbours(name: str) -> list[tuple[str, str, list[compatibility.Loss]]]:
    """(version before, strictest rule proven towards it, what would be lost): of the newest version before, if one stands."""
    message, number = split(name)
    rows = {row.name: row for row in Contract.objects.filter(name__startswith=f"{message}@")}
    earlier = max((other for other in (split(one)[1] for one in rows) if other < number), default=0)
    if not earlier or name not in rows:
        return []
    old, new = (_schema(rows[one]) for one in (f"{message}@{earlier}", name))
    rule, losses = compatibility.relation((f"{message}@{earlier}", old), (name, new))
    return [(f"{message}@{earlier}", rule, losses)]


def told_marks(schema: Any) -> list[tuple[str, str, str]]:
    """(place, word, value) of every mark, for pages and answers."""
    words = {marks.SENSITIVE: "sensitive", marks.SOURCE: "source"}
    return [(place, said, value) for word, said in words.items() for place, value in marks.places(schema, word)]


def marks_in(definition: Definition, viewer: Viewer) -> list[tuple[str, str, str, str]]:
    """(contract, place, word, value) of every mark in the contracts of a workflow that the viewer may see. One query."""
    names = sorted({one.contract for one in handoffs_of(definition)})
    rows = Contract.objects.visible_to(viewer).filter(name__in=names, document__contains="x-aegis-").order_by("name")
    return [(row.name, *mark) for row in rows for mark in told_marks(_schema(row))]


def _under_way(contract: str, wanted: str, visible: Any, known: set[tuple[str, int]]) -> Iterable[Party]:
    runs = Run.objects.filter(workflow__in=visible, ended_at__isnull=True, release__document__contains=wanted)
    counts = dict(runs.values_list("release").annotate(Count("pk")).order_by())
    running: Counter[tuple[str, int]] = Counter()
    held: dict[tuple[str, int], WorkflowRelease] = {}
    for release in WorkflowRelease.objects.filter(pk__in=counts).select_related("workflow"):
        place = (release.workflow.name, release.version)
        held[place] = release
        running[place] += counts[release.pk]
    for place, release in held.items():
        if place not in known and (handoffs := _of(contract, _released(release.document))):
            yield Party(place[0], str(release.workflow), place[1], False, running[place], handoffs)


def _of(contract: str, definition: Definition | None) -> tuple[Handoff, ...]:
    return tuple(one for one in handoffs_of(definition) if one.contract == contract) if definition else ()


def _standing(row: Workflow) -> Definition | None:
    try:
        return releases.standing(row)
    except AegisError:  # stored by an older release: its own page says what is wrong
        return None


def _released(document: str) -> Definition | None:
    try:
        return parse.load(canonical.parse(document, max_bytes=4 * canonical.MAX_PAYLOAD_BYTES)["workflow"])
    except AegisError:
        return None


def _schema(row: Contract) -> Any:
    return canonical.parse(row.document)["spec"]["schema"]


def _order(party: Party) -> tuple[str, int]:
    return party.workflow, -party.version
