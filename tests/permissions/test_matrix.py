"""Who may read and do what at every address: routes from the resolver, expectations from an oracle that knows no product.

Here each route once per principal. `make permissions PART=3/8` asks every cell of its part of the routes; it goes on where it
stopped, and `make permissions-table` writes docs/permissions.md.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from tests.permissions.matrix import Case, Matrix

pytestmark = [pytest.mark.permissions, pytest.mark.django_db]

PARTS = 4  # so that several processes share the work
ALL = os.environ.get("AEGIS_PERMISSIONS", "")  # "3/8"
DONE = Path(__file__).resolve().parents[2] / "build" / "permissions"


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.skipif(bool(ALL), reason="every cell is asked instead")
def test_each_route_once_per_principal(matrix: Matrix, part: int) -> None:
    paths = set(sorted(matrix.entries)[part::PARTS])
    cases = [case for case in matrix.once_each() if case.path in paths]
    assert len({(case.path, case.principal) for case in cases}) == 11 * len(paths)

    assert [fault for case in cases for fault in matrix.faults(case)] == []


if ALL:

    def test_every_cell_of_a_part(matrix: Matrix) -> None:
        number, _, of = ALL.partition("/")
        DONE.mkdir(parents=True, exist_ok=True)
        found: list[str] = []
        for path in sorted(matrix.entries)[int(number) - 1 :: int(of)]:
            file = DONE / f"{matrix.names[path].replace(':', '-')}.json"
            told = json.loads(file.read_text()) if file.exists() else _asked(matrix, path)
            file.write_text(json.dumps(told, indent=1))
            found += told["faults"]
        assert found == []


def _asked(matrix: Matrix, path: str) -> dict[str, object]:
    """Every cell of one route: how many, and what was wrong with which."""
    began, cases = time.monotonic(), list(matrix.cases([path]))
    faults = [fault for case in cases for fault in matrix.faults(case)]
    seconds = round(time.monotonic() - began, 1)
    return {"path": path, "cells": len(cases), "denials": sum(map(_is_write, cases)), "seconds": seconds, "faults": faults}


def _is_write(case: Case) -> bool:
    return case.method not in ("GET", "HEAD", "OPTIONS")
