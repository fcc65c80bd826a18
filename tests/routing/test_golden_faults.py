"""What a table that cannot be published is told: a file each, with code, place, words and remedy. Other words are a diff."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from orchestration.routing import drafts

FILES = sorted((Path(__file__).parent / "golden").glob("*.yaml"))


def test_there_are_enough_of_them() -> None:
    assert len(FILES) >= 70


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_faults_of_a_table_are_those_on_file(file: Path) -> None:
    kept = yaml.safe_load(file.read_text())
    document = {"apiVersion": "aegis/v1", "kind": "RoutingTable", "metadata": {"name": "t"}, "spec": kept["spec"]}

    found = [
        {"code": one.code, "where": one.where, "what": one.what, "remedy": one.remedy} for one in drafts.findings(document)
    ]

    assert found == kept["faults"]
    assert all(one["where"] and one["what"] for one in found)
