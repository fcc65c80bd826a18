"""Each code with which the engine gives up is a dead letter in a queue, one only if the run failed, or a question."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration.engine import planner
from orchestration.engine.deadletters import CODES, FAILED_ONLY
from orchestration.pages import marks
from orchestration.workflows.definition import FAILURE_CODES

ROOT = Path(planner.__file__).parents[2]
#: What the workflow itself asks a person for: no failure at all.
QUESTIONS = ("review",)
_GIVING_UP = ("give_up", "hand_over", "review", "compensate")


def _written(node: ast.AST) -> Iterator[str]:
    """Codes that an expression may come to; of `A if TEST else B` not what stands in the test alone."""
    if isinstance(node, ast.IfExp):
        yield from _written(node.body)
        yield from _written(node.orelse)
        return
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and re.fullmatch(r"[a-z_]+", part.value):
            yield part.value


def _codes_of(call: ast.Call) -> Iterator[str]:
    """Codes that a call gives up with, as far as they are written there."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""
    is_cancelled = any(keyword.arg == "cancelled_by" for keyword in call.keywords)
    if name in _GIVING_UP and call.args and not is_cancelled:
        code = call.args[1] if isinstance(call.func, ast.Name) and len(call.args) > 1 else call.args[0]
        yield from _written(code)
    if name in ("emit", "Draft") and call.args and list(_ends_of(call.args[0])) == ["run.failed"]:
        for table in (part for arg in (*call.args, *(k.value for k in call.keywords)) for part in ast.walk(arg)):
            if isinstance(table, ast.Dict):
                for key, value in zip(table.keys, table.values, strict=True):
                    if isinstance(key, ast.Constant) and key.value == "code":
                        yield from _written(value)


def _ends_of(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def given_up_with() -> set[str]:
    found = set(FAILURE_CODES) - {"*"}
    for path in sorted((ROOT / "orchestration" / "engine").rglob("*.py")):
        if path.name.startswith("rehears"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                found |= set(_codes_of(node))
    return found


def test_every_code_that_the_engine_gives_up_with_is_classified_once() -> None:
    assert sorted(given_up_with()) == sorted([*CODES, *FAILED_ONLY, *QUESTIONS])


def test_the_codes_are_read_from_the_engine_itself() -> None:
    assert {"fault", "quarantined", "no_queue", "run_deadline", "review"} <= given_up_with() - set(FAILURE_CODES)


@pytest.mark.parametrize("code", [*CODES, *FAILED_ONLY, *QUESTIONS])
def test_every_code_is_told_in_words_and_stands_in_the_guide(code: str) -> None:
    guide = (ROOT / "docs" / "guide" / "effects.md").read_text(encoding="utf-8")
    rows = [line for line in guide.splitlines() if line.startswith("|") and f"`{code}`" in line]

    assert "It ended with the code" not in marks.code_words(code)
    assert len(rows) == 1
    told = [cell.strip() for cell in rows[0].split("|")[2:4]]
    assert (told[0] == "a dead letter") == (code in CODES)
    assert (told[1] == "a dead letter") == (code in (*CODES, *FAILED_ONLY))
