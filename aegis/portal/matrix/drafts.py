"""Cells changed on the matrix page and not yet applied: kept in the session of who changed them, so a reload loses nothing.

A draft is `{role: {"base": digest, "cells": {capability: {"old", "grant", "kept"}}}}`: the cell as it stood, as it shall be
(None = empty), and the last cell of each label, which comes back when Space comes round to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.errors import Conflict
from aegis.core.kinds import Key
from orchestration.authority.models import Role

MAX_CELLS: Final = 300
_KEY: Final = "matrix_draft"


def label_of(grant: Json | None) -> str:
    """Key of `cells.MARKS`."""
    if grant is None:
        return "empty"
    return "allow_if" if grant["effect"] == "allow" and grant.get("when") else str(grant["effect"])


class Draft:
    """The unsaved cells of one session."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._roles: dict[str, Any] = session.get(_KEY, {})

    def cells(self) -> dict[tuple[str, str], Json | None]:
        """(role, capability) -> the cell as it shall be, of every one that differs from what stood."""
        return {
            (role, capability): cell["grant"]
            for role, entry in sorted(self._roles.items())
            for capability, cell in sorted(entry["cells"].items())
            if cell["grant"] != cell["old"]
        }

    def kept(self, role: str, capability: str) -> Mapping[str, Json]:
        """label -> the last cell of that label that was typed here."""
        found: Mapping[str, Json] = self._roles.get(role, {}).get("cells", {}).get(capability, {}).get("kept", {})
        return found

    def put(self, row: Role, capability: str, grant: Json | None) -> None:
        """
        Raises:
            Conflict: too many cells for one review.
        """
        standing = standing_cell(row, capability)
        entry = self._roles.setdefault(row.name, {"base": row.digest, "cells": {}})
        cell = entry["cells"].setdefault(capability, {"old": standing, "grant": standing, "kept": {}})
        if grant != cell["old"] and cell["grant"] == cell["old"] and len(self.cells()) >= MAX_CELLS:
            raise Conflict(f"{MAX_CELLS} cells are changed and not applied; review these first")
        for one in (cell["grant"], grant):
            if one is not None:
                cell["kept"][label_of(one)] = one
        cell["grant"] = grant
        self._store()

    def revert(self, role: str, capability: str) -> None:
        entry = self._roles.get(role, {"cells": {}})
        entry["cells"].pop(capability, None)
        if not entry["cells"]:
            self._roles.pop(role, None)
        self._store()

    def clear(self) -> None:
        self._roles = {}
        self._store()

    def rebase(self) -> None:
        """Take what stands now as what the cells were made from. Cells of roles that are gone are dropped."""
        rows = {row.name: row for row in Role.objects.filter(name__in=list(self._roles))}
        self._roles = {name: entry for name, entry in self._roles.items() if name in rows}
        for name, entry in self._roles.items():
            entry["base"] = rows[name].digest
            for capability, cell in entry["cells"].items():
                cell["old"] = standing_cell(rows[name], capability)
        self._store()

    def documents(self) -> list[tuple[Key, Json]]:
        """The roles as they shall be, made from what stands now; roles that are gone are left out."""
        wanted = self.cells()
        rows = Role.objects.filter(name__in={role for role, _ in wanted}).order_by("name")
        return [
            (Key("Role", row.name), _changed(row, {what: grant for (role, what), grant in wanted.items() if role == row.name}))
            for row in rows
        ]

    def bases(self) -> dict[Key, str | None]:
        """Of every role that is changed, the digest of the document its cells were made from."""
        return {Key("Role", role): self._roles[role]["base"] for role, _ in self.cells()}

    def _store(self) -> None:
        self._session[_KEY] = self._roles


def standing_cell(row: Role, capability: str) -> Json | None:
    return next((grant for grant in _grants(row) if grant["capability"] == capability), None)


def _grants(row: Role) -> list[Json]:
    found: list[Json] = canonical.parse(row.document)["spec"]["grants"]
    return found


def _changed(row: Role, cells: Mapping[str, Json | None]) -> Json:
    """The document with these cells put in their places, new ones last."""
    document: dict[str, Any] = canonical.parse(row.document)
    return {**document, "spec": {**document["spec"], "grants": list(_merged(_grants(row), dict(cells)))}}


def _merged(grants: list[Json], cells: dict[str, Json | None]) -> Iterator[Json]:
    for grant in grants:
        new = cells.pop(grant["capability"], grant)
        if new is not None:
            yield new
    yield from (grant for grant in cells.values() if grant is not None)
