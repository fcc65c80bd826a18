"""An alert's manifest becomes a rule, or says at which place it makes no sense."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aegis.core import manifests
from aegis.core.errors import Invalid
from approvals import shapes
from audit.alerts import documents
from audit.alerts.rules import Absence, Anomaly, Count, Figure, NewValue, Percentile, Rule, Share, Threshold

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "alerts"


def document(**spec: Any) -> Any:
    return {"apiVersion": "aegis/v1", "kind": "Alert", "metadata": {"name": "one"}, "spec": spec}


def test_names_of_dimensions_become_places() -> None:
    part = {"measure": "answers", "where": {"answer": "failed"}}
    spec = {"share": {"part": part, "whole": {"measure": "answers"}}, "above": 0.2, "least": 5}

    rule = documents.load(document(hours=6, by=["agent"], threshold=spec))

    measured = Share(Figure("answers", ("", "failed")), Figure("answers", ("", "")))
    assert rule == Rule("one", Threshold(measured, above=0.2, least=5), 6, (0,))


def test_every_condition_can_be_written() -> None:
    runs = {"measure": "runs"}
    figure = Figure("runs", ("", ""))

    assert documents.load(document(anomaly={"count": runs, "weeks": 4})).condition == Anomaly(Count(figure), weeks=4)
    assert documents.load(document(absence={"of": runs, "least": 20})).condition == Absence(figure, least=20)
    assert documents.load(document(new_value={"of": runs}, by=["outcome"])).condition == NewValue(figure)
    percentile = {"of": runs, "percent": 95}
    assert documents.load(document(threshold={"percentile": percentile, "below": 9})).condition == Threshold(
        Percentile(figure, 0.95), below=9
    )


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        ({}, "/spec"),
        ({"absence": {"of": {"measure": "runs"}}, "new_value": {"of": {"measure": "runs"}}}, "/spec"),
        ({"threshold": {"above": 1}}, "/spec/threshold"),
        ({"threshold": {"count": {"measure": "runs"}}}, "/spec/threshold"),
        ({"absence": {"of": {"measure": "nothing"}}}, "/spec/absence/of/measure"),
        ({"absence": {"of": {"measure": "runs", "where": {"agent": "a"}}}}, "/spec/absence/of/where"),
        ({"absence": {"of": {"measure": "runs"}}, "by": ["agent"]}, "/spec/by"),
        ({"absence": {"of": {"measure": "routes", "within": 5}}}, "/spec/absence/of"),
        ({"new_value": {"of": {"measure": "runs"}}}, "/spec"),
        (
            {"anomaly": {"share": {"part": {"measure": "runs"}, "whole": {"measure": "answers"}}}},
            "/spec/anomaly/share",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_place(spec: Any, where: str) -> None:
    assert list(shapes.faults_of("Alert", documents.SCHEMA, document(**spec))) == []

    with pytest.raises(Invalid) as refused:
        documents.load(document(**spec))

    assert [fault.where for fault in refused.value.faults] == [where]


def test_an_unknown_field_breaks_the_schema() -> None:
    wrong = document(absence={"of": {"measure": "runs", "wher": {}}})

    assert [fault.where for fault in shapes.faults_of("Alert", documents.SCHEMA, wrong)] == ["/spec/absence/of/wher"]


def test_the_rules_that_are_shipped_keep_the_schema_and_make_sense() -> None:
    shipped = manifests.read_paths([EXAMPLES])

    assert [list(shapes.faults_of("Alert", documents.SCHEMA, one.document)) for one in shipped] == [[]] * len(shipped)
    assert len({documents.read(one.document).name for one in shipped}) == len(shipped) == 15
