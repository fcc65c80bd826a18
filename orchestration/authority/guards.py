"""Tables of authority that only grow (DESIGN promise 9). Installed by migration 0002."""

from __future__ import annotations

from typing import Final

from audit.triggers import AppendOnly

_MIGRATION: Final = ("orchestration", "0002_floors_and_service_times")

FLOOR_LOCKS: Final = AppendOnly("orchestration_floorlock", keys=(("id",), ("name",)), migration=_MIGRATION)
MATRIX_VERSIONS: Final = AppendOnly("orchestration_matrixversion", keys=(("number",),), migration=_MIGRATION)

ALL: Final = (FLOOR_LOCKS, MATRIX_VERSIONS)
