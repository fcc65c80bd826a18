"""docs/traps.md: each trap of HAZARDS 3 and 4, and each of its checks S05, S10, S11, S18, names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "docs" / "traps.md"
OF_THE_STACK = [*(f"T{number}" for number in range(1, 19))]
#: Rows of HAZARDS 4, in its order.
OF_PEERS = [
    "side-door read leak", "foreign reference", "wrong verb", "envelope and content", "path-suffix exemption", "file view",
    "SSRF", "expression to code", "deserialisation", "stored XSS", "CSRF and GET", "mass assignment", "ambient credentials",
    "race in decisions", "tool rug pull", "audit gaps", "API keys", "formula",
]  # fmt: skip
CHECKS = ["S05", "S10", "S11", "S18"]
_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def rows() -> dict[str, str]:
    """Trap -> what its row says."""
    table = TABLE.read_text().partition("\n## ")[0]  # what stands below tells of planted bugs
    lines = [line.split("|") for line in table.splitlines() if line.startswith("| ")]
    return {cells[1].strip(): "|".join(cells[2:]) for cells in lines[1:]}


def test_every_trap_has_its_row() -> None:
    assert list(rows()) == [*OF_THE_STACK, *OF_PEERS, *CHECKS]


def test_every_row_names_tests_that_exist_or_says_why_there_is_none() -> None:
    for trap, said in rows().items():
        named = _TEST.findall(said)
        assert named or "no test:" in said, trap
        for file, test in named:
            tree = ast.parse((ROOT / file).read_text())
            functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
            assert test in functions if test else any(name.startswith("test_") for name in functions), f"{trap}: {file}::{test}"


def test_what_saw_a_planted_bug_stands_in_the_row_of_its_trap() -> None:
    below = TABLE.read_text().partition("\n## ")[2]
    planted = [line.split("|") for line in below.splitlines() if line.startswith("| ") and ": " in line]
    assert planted
    for cells in planted:
        assert cells[2].strip() in rows()[cells[1].partition(":")[0].strip()], cells[1]


def test_a_test_named_after_a_trap_stands_in_its_row() -> None:
    told = rows()
    for file in sorted((ROOT / "tests" / "traps").glob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef) and (found := re.match(r"test_([ts]\d+)_", node.name)):
                assert f"{file.name}::{node.name}`" in told[found[1].upper()], node.name
