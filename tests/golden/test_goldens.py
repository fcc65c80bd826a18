"""Broken documents, a golden file each: what is said of it first, its code, its line and column, and the remedy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import orchestration
from tests.golden import reading

LEAST = 100
#: Where the sentence itself says what to write, or where the fault is that there is nothing to read.
SAID_IN_THE_SENTENCE = ("malformed", "invalid", "expression", "table_test", "contract", "route")


@pytest.mark.parametrize("path", reading.documents(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_broken_document_is_told_as_its_golden_file_says(path: Path) -> None:
    wanted, found = reading.expected(path), reading.found(path)

    assert found, "nothing speaks against it any more"
    assert {name: text.strip() for name, text in found[0].items()} == {name: wanted[name].strip() for name in reading.FIELDS}
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", wanted["place"])
    assert wanted["remedy"].strip() or wanted["code"] in SAID_IN_THE_SENTENCE


def test_there_are_at_least_a_hundred_of_them_of_every_kind() -> None:
    counts: dict[str, int] = {}
    for path in reading.documents():
        counts[path.parent.name] = counts.get(path.parent.name, 0) + 1

    assert sum(counts.values()) >= LEAST
    assert min(counts[name] for name in ("workflows", "tables", "contracts")) >= 15


def test_every_code_of_the_lint_has_a_golden_file() -> None:
    room = Path(orchestration.__file__).parent / "workflows"
    sources = "\n".join(path.read_text(encoding="utf-8") for path in sorted(room.glob("*.py")))
    codes = set(re.findall(r'coded\(\s*"([a-z_]+)"', sources))

    assert len(codes) >= 10
    assert codes - {reading.expected(path)["code"] for path in reading.documents()} == set()
