"""64 tables by others, 1,004 answers by a third-party engine (../shared/data/decision_tables): ours answers the same."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from orchestration.routing.tables import choose, faults_of, load

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "decision_tables" / "decision_tables.jsonl"
RANGE = re.compile(r"([\[(])(.+)\.\.(.+)([\])])")

pytestmark = [pytest.mark.shared_data, pytest.mark.skipif(not DATA.exists(), reason="../shared/data is not there")]


def condition(cells: list[str], fields: list[str]) -> str:
    """A row of cells as one CEL condition. A missing input (null) matches only an empty cell."""
    parts = [
        f"{name} != null && ({cell_condition(cell, name)})" for cell, name in zip(cells, fields, strict=True) if cell.strip()
    ]
    return " && ".join(f"({part})" for part in parts) or "true"


def cell_condition(cell: str, name: str) -> str:
    return " || ".join(term(part.strip(), name) for part in re.split(r",(?=(?:[^'\"]*['\"][^'\"]*['\"])*[^'\"]*$)", cell))


def term(text: str, name: str) -> str:
    if found := RANGE.fullmatch(text):
        low, high = (">=" if found[1] == "[" else ">"), ("<=" if found[4] == "]" else "<")
        return f"({name} {low} {found[2]} && {name} {high} {found[3]})"
    return f"{name} {text}" if text[0] in "<>!=" else f"{name} == {text}"


def document(table: dict[str, Any]) -> dict[str, Any]:
    names = {field["field"]: field["field"].replace(".", "_") for field in table["inputs"]}
    rules: list[dict[str, Any]] = []
    for index, row in enumerate(table["rules"]):
        when = condition(row["when"], [names[field["field"]] for field in table["inputs"]])
        rules.append({"id": f"r{index}", "when": when, "then": {"case": "matched", "row": index}})
    spec = {"inputs": dict.fromkeys(names.values(), "any"), "outputs": {"row": "int"}, "rules": rules}
    return {"metadata": {"name": "t"}, "spec": {**spec, "default": {"case": "nothing", "row": -1}}}


def at(value: Any, path: str) -> Any:
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def nested(fields: list[str], values: list[Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for field, value in zip(fields, values, strict=True):
        *parents, last = field.split(".")
        place = result
        for part in parents:
            place = place.setdefault(part, {})
        place[last] = value
    return result


def tables() -> list[dict[str, Any]]:
    return [json.loads(line) for line in DATA.read_text().splitlines()] if DATA.exists() else []


@pytest.mark.parametrize("table", tables(), ids=lambda table: table["id"])
def test_it_answers_as_the_other_engine_does(table: dict[str, Any]):
    ours = document(table)
    assert [fault for fault in faults_of(ours) if "can never win" not in fault.what] == []
    compiled = load(ours)
    outputs = [field["field"] for field in table["outputs"]]

    for vector in table["vectors"]:
        facts = {field["field"].replace(".", "_"): at(vector["input"], field["field"]) for field in table["inputs"]}
        route = choose(compiled, facts)

        got = {} if route.case == "nothing" else nested(outputs, table["rules"][route.output["row"]]["then"])
        assert got == (vector["expected"] or {}), (vector, route)
