"""The matrix can see: each hole planted in the product is found at its route. CI plants some, `make permissions-holes` all."""

from __future__ import annotations

import os

import pytest

from tests.permissions.holes import HOLES
from tests.permissions.matrix import Matrix

pytestmark = [pytest.mark.permissions, pytest.mark.django_db]

PLANTED = HOLES if os.environ.get("AEGIS_HOLES") == "all" else HOLES[::12]


def test_there_are_forty_seven_holes_to_find_at_least() -> None:
    assert len({(path, plant.__doc__) for path, plant in HOLES}) == len(HOLES) >= 47


@pytest.mark.parametrize(("path", "plant"), PLANTED, ids=[f"{path}: {plant.__doc__}" for path, plant in PLANTED])
def test_a_planted_hole_is_found(matrix: Matrix, path: str, plant: object, monkeypatch: pytest.MonkeyPatch) -> None:
    assert callable(plant)
    listed = matrix.entries[path]["methods"]
    cases = [case for case in matrix.cases([path]) if case.method in listed]
    cases.sort(key=lambda case: case.principal not in ("viewer", "approver", "auditor", "staff"))
    plant(monkeypatch)

    assert any(matrix.faults(case) for case in cases)
