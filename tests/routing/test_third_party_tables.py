"""64 tables by others, 1,004 answers by a third-party engine (../shared/data/decision_tables): ours answers the same.

Each table is written in our format: typed inputs, its cells as they are, its outputs. Nothing translates the cells.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestration.routing.publishing import analysis_of
from orchestration.routing.tables import TableInvalid, choose, load

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "decision_tables" / "decision_tables.jsonl"

pytestmark = [pytest.mark.shared_data, pytest.mark.skipif(not DATA.exists(), reason="../shared/data is not there")]

_TYPES = ((bool, "bool"), (int, "int"), (float, "number"), (str, "string"))


def tables() -> list[dict[str, Any]]:
    return [json.loads(line) for line in DATA.read_text().splitlines()] if DATA.exists() else []


def at(value: Any, path: str) -> Any:
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def plain(field: str) -> str:
    return field.replace(".", "_")


def type_of(values: list[Any]) -> str:
    kinds = {next(name for kind, name in _TYPES if isinstance(value, kind)) for value in values if value is not None}
    return "number" if kinds <= {"int", "number"} else kinds.pop() if len(kinds) == 1 else "any"


def document(table: dict[str, Any]) -> dict[str, Any]:
    """The table in our format; a type is what the values of a column show."""
    fields = [field["field"] for field in table["inputs"]]
    outputs = [field["field"] for field in table["outputs"]]
    rules = [
        {"id": f"r{index}", "when": dict(zip(map(plain, fields), row["when"], strict=True)),
         "then": {"case": "matched", **dict(zip(map(plain, outputs), row["then"], strict=True))}}
        for index, row in enumerate(table["rules"])
    ]  # fmt: skip
    inputs = {
        plain(field): {"type": type_of([at(vector["input"], field) for vector in table["vectors"]]), "optional": True}
        for field in fields
    }
    nothing: dict[str, Any] = {"string": "", "number": 0, "bool": False, "any": ""}
    given = {plain(field): type_of([row["then"][place] for row in table["rules"]]) for place, field in enumerate(outputs)}
    spec = {
        "inputs": inputs,
        "outputs": given,
        "rules": rules,
        "default": {"case": "nothing", **{name: nothing[kind] for name, kind in given.items()}},
    }
    return {"apiVersion": "aegis/v1", "kind": "RoutingTable", "metadata": {"name": "t"}, "spec": spec}


def expected(table: dict[str, Any], vector: dict[str, Any]) -> dict[str, Any]:
    if not vector["expected"]:
        return {"case": "nothing"}
    found = {plain(field["field"]): at(vector["expected"], field["field"]) for field in table["outputs"]}
    return {"case": "matched", **found}


def test_every_table_is_taken_and_every_answer_is_the_other_engines(capsys: pytest.CaptureFixture[str]) -> None:
    right, wrong, refused = 0, [], []
    for table in tables():
        ours = document(table)
        try:
            compiled = load(ours)
        except TableInvalid as error:
            refused.append((table["id"], str(error.faults[0])))
            continue
        for vector in table["vectors"]:
            facts = {plain(field["field"]): at(vector["input"], field["field"]) for field in table["inputs"]}
            route = choose(compiled, facts)
            wanted = expected(table, vector)
            if {name: route.output[name] for name in wanted} == wanted and not route.errors:
                right += 1
            else:
                wrong.append((table["id"], facts, wanted, route))
    with capsys.disabled():
        total = right + len(wrong)
        sys.stdout.write(f"\ndecision_tables: {right:,} of {total:,} vectors right, {len(refused)} tables refused\n")

    assert (right, wrong, refused) == (1_004, [], [])


def test_the_analysis_of_every_table_ends_within_its_bound_and_its_examples_are_real() -> None:
    for table in tables():
        ours = document(table)
        compiled, analysis = load(ours), analysis_of(ours)
        assert not analysis.stopped, table["id"]
        for finding in analysis.findings:
            if finding.kind == "gap":
                assert choose(compiled, finding.example).rule == "", table["id"]
            elif finding.kind == "dead":
                assert choose(compiled, finding.example).rule != finding.rules[0], table["id"]
