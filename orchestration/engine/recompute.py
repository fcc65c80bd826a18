"""Every recorded route and verdict, made again from recorded facts and recorded versions (DESIGN promise 10).

What is compared is what the line says: rule, case, output and way on of a route; answer, code, policy, grants, locks and the
rest of a verdict. Versions are found by the digest or number in the line and checked against it. Whether the journal is whole
is the question of `audit.verify`; what payloads were committed to is checked here too: a decision is as good as its facts.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.errors import AegisError
from approvals.models import DocumentVersion
from audit import chain
from audit.models import Event
from orchestration.authority import live, provenance
from orchestration.authority.matrix import Matrix
from orchestration.authority.models import MatrixVersion
from orchestration.authority.provenance import Source
from orchestration.authority.verdicts import Principal, Resource, Verdict, decide, stricter
from orchestration.engine.decisions import Decision, at, in_order
from orchestration.routing import tables
from orchestration.routing.tables import RoutingTable
from orchestration.workflows.models import WorkflowRelease

KEPT: Final = 100  # differences a report lists; it counts them all
_CACHED: Final = 32  # versions of a kind kept at once: memory does not grow with the journal


@dataclass(frozen=True, slots=True)
class Difference:
    """One decision that comes out differently, or cannot be made again for another reason than erasure."""

    place: str
    kind: str  # "route" or "verdict"
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {self.kind} {self.what}"


@dataclass(slots=True)
class Report:
    """What one recomputation found.

    Attributes:
        routes, verdicts: looked at. erased: of them, those whose facts were erased: nobody can make them again.
    """

    routes: int = 0
    verdicts: int = 0
    erased: int = 0
    differing: int = 0
    differences: list[Difference] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        return self.differing == 0


class _Erased(Exception):
    """What a decision was made from was erased: nobody can make it again."""


class _Missing(Exception):
    """A version that a decision names is not there, or is not what its digest says."""


def recompute(stream: str = "", *, on_progress: Callable[[int], None] | None = None) -> Report:
    """Make every decision again, or those of one stream. Memory: one batch of events and a few versions.

    Args:
        on_progress: told how many are done.
    """
    report, versions = Report(), _Versions()
    for decision in in_order("route.chosen", stream=stream):
        report.routes += 1
        _judge(report, decision, "route", ("facts", "output"), lambda one: _route_differences(one, versions))
        _tell(report, on_progress)
    for decision in in_order("verdict.given", stream=stream):
        report.verdicts += 1
        _judge(report, decision, "verdict", ("facts", "proposal"), lambda one: _verdict_differences(one, versions))
        _tell(report, on_progress)
    return report


def _tell(report: Report, on_progress: Callable[[int], None] | None) -> None:
    done = report.routes + report.verdicts
    if on_progress is not None and done % 500 == 0:
        on_progress(done)


def _judge(
    report: Report, decision: Decision, kind: str, needed: tuple[str, ...], work: Callable[[Decision], Iterator[str]]
) -> None:
    if decision.broken:
        found = [f"cannot be made again: {', '.join(decision.broken)} is not what its line committed to"]
    elif decision.erased:
        report.erased += 1
        return
    elif missing := [name for name in needed if name not in decision.payloads]:
        found = [f"cannot be made again: its line has no {', '.join(missing)}"]
    else:
        try:
            found = list(work(decision))
        except _Erased:
            report.erased += 1
            return
        except _Missing as error:
            found = [f"cannot be made again: {error}"]
    if not found:
        return
    report.differing += 1
    if len(report.differences) < KEPT:
        report.differences.append(Difference(decision.place, kind, "; ".join(found)))


def _route_differences(decision: Decision, versions: _Versions) -> Iterator[str]:
    data = decision.data
    table = versions.table(str(data["table"]), str(data["digest"]))
    route = tables.choose(table, decision.payloads["facts"])
    yield from _compared("rule", data["rule"], route.rule)
    yield from _compared("case", data["case"], route.case)
    yield from _compared("errors", data["errors"], len(route.errors))
    if canonical.dump(decision.payloads["output"]) != canonical.dump(route.output):
        yield f"output is recorded otherwise than {canonical.dump(route.output).decode()[:200]}"
    way = versions.way(str(decision.line["def"]), str(data["step"]))
    if way is None:
        yield f"its release has no route step {data['step']!r}"
        return
    pinned, cases = way
    yield from _compared("digest", data["digest"], pinned)
    target = cases.get(route.case, "")
    yield from _compared("next", data["next"], target if isinstance(target, str) else "")


def _verdict_differences(decision: Decision, versions: _Versions) -> Iterator[str]:
    proposal, facts = decision.payloads["proposal"], decision.payloads["facts"]
    matrix = versions.matrix(int(decision.line["matrix"]))
    resource = Resource(**proposal["resource"])
    principal = Principal("agent", str(decision.line["actor"]["ref"]))
    verdict = decide(matrix, principal, proposal["capability"], resource, facts)
    if author := decision.payloads.get("author"):
        person = Principal("user", str(author["id"]), tuple(author["roles"]))
        verdict = stricter(matrix, verdict, decide(matrix, person, proposal["capability"], resource, facts))
    yield from _line_differences(decision, verdict)
    if "traced" in facts:
        yield from _trace_differences(facts, proposal, matrix, versions)


def _trace_differences(facts: Json, proposal: Json, matrix: Matrix, versions: _Versions) -> Iterator[str]:
    """Provenance made again, from the outputs and contracts that its fact names."""
    if facts["traced"]["v"] != provenance.VERSION:
        raise _Missing(f"provenance of version {facts['traced']['v']!r} is not known here")
    sources = []
    for one in facts["traced"]["from"]:
        told = at(one["place"])
        if told is not None and told.erased:
            raise _Erased
        found = [name for name in ("input", "output") if told is not None and name in told.payloads]
        if told is None or told.broken or len(found) != 1:
            raise _Missing(f"what stood at {one['place']} is not there")
        schema = versions.contract(one["contract"], one["digest"]) if one["digest"] else {}
        sources.append(Source(one["base"], told.payloads[found[0]], schema))
    sources.append(Source(facts["traced"].get("record", "record"), facts["record"], {}))
    schema = matrix.capabilities[proposal["capability"]].parameters.schema
    yield from _compared("provenance", facts["provenance"], provenance.trace(proposal["parameters"], schema, sources))
    if "outside" in facts["traced"]:  # earlier releases did not say which field
        fields = provenance.quotes(proposal["parameters"], schema, sources)
        yield from _compared("outside", facts["traced"]["outside"], fields)


def _line_differences(decision: Decision, verdict: Verdict) -> Iterator[str]:
    for name, value in verdict.line_data().items():
        yield from _compared(name, decision.data.get(name), value)
    yield from _compared("reached", decision.data.get("reached", []), list(verdict.reached))
    yield from _compared("capability", decision.line["capability"], verdict.capability)


def _compared(name: str, recorded: Json, computed: Json) -> Iterator[str]:
    if type(recorded) is not type(computed) or recorded != computed:
        yield f"{name} is recorded as {recorded!r}, and comes out as {computed!r}"


class _Cache(OrderedDict[Any, Any]):
    def found(self, key: Any, make: Callable[[], Any]) -> Any:
        if key not in self:
            self[key] = make()
            if len(self) > _CACHED:
                self.popitem(last=False)
        self.move_to_end(key)
        return self[key]


class _Versions:
    """What decisions name, by digest or number, each checked against it."""

    def __init__(self) -> None:
        self._tables, self._ways, self._matrices, self._contracts = _Cache(), _Cache(), _Cache(), _Cache()
        self._compiled: dict[int, str] | None = None

    def table(self, name: str, digest: str) -> RoutingTable:
        found: RoutingTable = self._tables.found((name, digest), lambda: _table(name, digest))
        return found

    def contract(self, name: str, digest: str) -> Mapping[str, Json]:
        """The schema of a contract."""
        found: Mapping[str, Json] = self._contracts.found((name, digest), lambda: _contract(name, digest))
        return found

    def way(self, release: str, step: str) -> tuple[str, Mapping[str, Json]] | None:
        """Of a `route` step in a release: the digest its table is pinned by, and where its cases lead."""
        ways: Mapping[str, tuple[str, Mapping[str, Json]]] = self._ways.found(release, lambda: _ways(release))
        return ways.get(step)

    def matrix(self, number: int) -> Matrix:
        found: Matrix = self._matrices.found(number, lambda: self._matrix(number))
        return found

    def _matrix(self, number: int) -> Matrix:
        if number == 0:
            return live.version(0)
        row = MatrixVersion.objects.filter(number=number).first()
        if row is None:
            raise _Missing(f"there is no matrix version {number}")
        if self._compiled is None:
            self._compiled = _compiled_matrices()
        if canonical.digest(row.document.encode()) != row.digest or self._compiled.get(number, row.digest) != row.digest:
            raise _Missing(f"matrix version {number} is not the one that was recorded")
        return live.version(number)


def _table(name: str, digest: str) -> RoutingTable:
    text = DocumentVersion.objects.filter(kind="RoutingTable", name=name, digest=digest).values_list("document", flat=True)
    document = text.first()
    if document is None:
        raise _Missing(f"routing table {name} of digest {digest[:8]} is not there")
    if canonical.digest(document.encode()) != digest:
        raise _Missing(f"routing table {name} is not what its digest {digest[:8]} says")
    try:
        return tables.load(canonical.load(document))
    except AegisError as error:
        raise _Missing(f"routing table {name} of digest {digest[:8]} cannot be loaded: {error}") from None


def _contract(name: str, digest: str) -> Mapping[str, Json]:
    rows = DocumentVersion.objects.filter(kind="Contract", name=name, digest=digest)
    document = rows.values_list("document", flat=True).first()
    if document is None or canonical.digest(document.encode()) != digest:
        raise _Missing(f"contract {name} of digest {digest[:8]} is not there, or not what its digest says")
    schema: Mapping[str, Json] = canonical.load(document)["spec"]["schema"]
    return schema


def _ways(release: str) -> dict[str, tuple[str, Mapping[str, Json]]]:
    """Step -> (pin, cases) of every `route` step of a release, those inside blocks too."""
    text = WorkflowRelease.objects.filter(digest=release).values_list("document", flat=True).first()
    if text is None:
        raise _Missing(f"release {release[:8]} is not there")
    if canonical.digest(text.encode()) != release:
        raise _Missing(f"release {release[:8]} is not what its digest says")
    document = canonical.load(text)
    found: dict[str, tuple[str, Mapping[str, Json]]] = {}
    rest: list[Json] = [document["workflow"]["spec"]]
    while rest:
        item = rest.pop()
        if isinstance(item, list):
            rest += item
        elif isinstance(item, dict):
            if isinstance(item.get("route"), str) and isinstance(item.get("cases"), dict):
                pin = document["pins"].get(f"RoutingTable/{item['route']}", "")
                found[str(item.get("id"))] = (pin, item["cases"])
            rest += item.values()
    return found


def _compiled_matrices() -> dict[int, str]:
    """Matrix number -> the digest that the journal recorded when it was compiled."""
    lines = Event.objects.filter(stream=live.STREAM, type="matrix.compiled").values_list("line", flat=True)
    data = (chain.read_line(line)["data"] for line in lines.iterator())
    return {int(one["number"]): str(one["digest"]) for one in data}
