"""The guide says what is: its example can be read, and it names every kind of step and every failure code."""

from __future__ import annotations

import re
from pathlib import Path

from aegis.core import manifests
from orchestration.workflows import parse
from orchestration.workflows.definition import FAILURE_CODES
from orchestration.workflows.schema import STEP_KINDS

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "guide" / "workflows.md").read_text(encoding="utf-8")


def test_the_example_of_the_guide_is_a_workflow():
    [example] = [text for text in re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL) if "kind: Workflow" in text]

    assert parse.load(manifests.read(example, "guide.yaml")[0].document).name == "support-intake"


def test_every_kind_of_step_and_every_code_is_explained():
    for kind in STEP_KINDS:
        assert f"`{kind}" in GUIDE, kind
    for code in set(FAILURE_CODES) - {"no_route"}:  # a route's cases say where an unknown one goes; no step ends with it
        assert f'"{code}"' in GUIDE or f"`{code}`" in GUIDE, code
