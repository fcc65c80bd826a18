"""What the guide shows works as it is written there."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from orchestration.routing import drafts
from orchestration.routing.tables import choose

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "routing.md"


def test_the_table_of_the_guide_can_be_published_and_answers() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    document = yaml.safe_load(blocks[0])

    assert drafts.findings(document) == []
    table = drafts.load(document)
    assert choose(table, {"amount": 10_000, "tier": "plain", "age": "15d"}).rule == ""
    assert choose(table, {"amount": 10_000, "tier": "plain", "age": "PT5H"}).rule == "fresh"
    assert choose(table, {"amount": 10_001, "tier": "plain", "age": "20d"}).output == {"case": "ask", "queue": "fraud"}
