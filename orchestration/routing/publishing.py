"""Everything that speaks against publishing a routing table. Pure.

Beyond what `tables.load` refuses: rows that can never win or match, overlaps where the hit policy forbids them, inputs without
an answer, and tests that fail.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import orjson

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.errors import Fault, coded
from orchestration.routing import hits
from orchestration.routing.analysis import Analysis, Finding, analyse
from orchestration.routing.reading import read_spec
from orchestration.routing.rows import RoutingTable
from orchestration.routing.tables import failing_tests, load

_REMEDIES: Final = {
    "overlap": "make their cells exclude each other, or take another hit policy",
    "conflict": "make their cells exclude each other, or take another hit policy",
    "dead": "remove it, or move it before them",
    "never": "mend or remove it",
}


def faults_of(document: Json) -> list[Fault]:
    """Everything, for a document that satisfies the kind's JSON Schema: structure, then the analysis, then tests."""
    return list(_faults(canonical.dump(document)))


def analysis_of(document: Json) -> Analysis:
    """The analysis of a document that `tables.load` takes; made once per document and process."""
    return _analysed(canonical.dump(document))


def is_fault(table: RoutingTable, finding: Finding) -> bool:
    """Does the finding forbid publishing? Where rows are tried in order, that two match one input is what the order is for."""
    match finding.kind:
        case "overlap":
            return table.hit_policy == "Unique"
        case "conflict":
            return table.hit_policy in ("Unique", "Any")
        case "gap":
            return table.default is None
        case "dead" | "never":
            return True


@lru_cache(maxsize=256)
def _analysed(raw: bytes) -> Analysis:
    return analyse(load(orjson.loads(raw)))


@lru_cache(maxsize=256)
def _faults(raw: bytes) -> tuple[Fault, ...]:
    document = orjson.loads(raw)
    if faults := read_spec(document["spec"]).faults:
        return tuple(coded("table", faults))
    table, analysis = load(document), _analysed(raw)
    found = [_fault(finding) for finding in analysis.findings if is_fault(table, finding)]
    found += _repeated(table, {fault.where for fault in found})
    if table.default is None and analysis.is_complete is None:
        why = "the analysis met its bound" if analysis.stopped else f"CEL of rule {analysis.unjudged[0]!r} cannot be analysed"
        found.append(Fault("/spec/default", f"nobody can say that every input has an answer: {why}", "add a default", "gap"))
    if table.hit_policy == "Unique" and analysis.unjudged and len(table.rules) > 1:
        what = f"nobody can say that rule {analysis.unjudged[0]!r} excludes the others: its CEL cannot be analysed"
        position = next(rule.position for rule in table.rules if rule.id == analysis.unjudged[0])
        found.append(Fault(f"/spec/rules/{position}/when", what, "write it as cells, or take the hit policy First", "overlap"))
    return tuple(found or coded("table_test", failing_tests(table)))


def _fault(finding: Finding) -> Fault:
    if finding.kind == "gap":
        return Fault("/spec/rules", finding.text, "add a rule for it, or a default", "gap")
    return Fault(f"/spec/rules/{finding.position}", finding.text, _REMEDIES[finding.kind], finding.kind)


def _repeated(table: RoutingTable, known: set[str]) -> list[Fault]:
    """Rows whose CEL the analysis cannot read, but which repeats that of a row tried before them, or stands behind a `true`."""
    if not table.is_single_hit:
        return []
    faults: list[Fault] = []
    earlier: dict[str, str] = {}
    for rule in table.rules:
        if not isinstance(rule.when, str):
            continue
        condition = "".join(rule.when.split()) if '"' not in rule.when and "'" not in rule.when else rule.when.strip()
        where = f"/spec/rules/{rule.position}"
        if (blocker := earlier.get("true") or earlier.get(condition)) and where not in known:
            what = f"rule {rule.id!r} can never win: rule {blocker!r}, tried before it, matches whenever it would"
            faults.append(Fault(where, what, _REMEDIES["dead"], "dead"))
        earlier.setdefault(condition, rule.id)
    return faults


def policy_in_words(table: RoutingTable) -> str:
    """How the table comes to its answer, in one sentence for people."""
    words = hits.WORDS[table.hit_policy]
    if table.hit_policy != "Collect":
        return words
    what = {"list": "all that match are listed", "count": "all that match are counted"}
    taken = what.get(table.aggregation, f"the {table.aggregation} of {table.of} is taken")
    return f"{taken}, and the case follows from {'how many' if table.aggregation in what else 'that'}"
