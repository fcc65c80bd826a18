"""Cells of the access matrix in words: what a role may do, who may do a thing. No rule is decided here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aegis.core.canonical import Json
from aegis.portal.matrix.drafts import label_of
from orchestration.authority.grant_documents import read, words
from orchestration.authority.matrix import EMPTY, Grant, Lock, Matrix

#: label of a grant -> (tone, icon, word). The word and the sign say it; the tone repeats.
MARKS = {
    "allow": ("green", "check", "allow"),
    "allow_if": ("blue", "m-checkif", "allow if"),
    "gate": ("amber", "gate", "gate"),
    "deny": ("red", "x", "deny"),
    "empty": ("grey", "minus", "empty"),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One role against one capability.

    Attributes:
        label: key of `MARKS`.
        detail: the gate's policy, the condition and the limits, shortened by the page.
        limits: in words.
        was: what the cell says in the matrix that stands, as a word; "" unless it is changed and not applied.
        raised: a floor lock makes the answer stricter than the cell says.
    """

    role: str
    capability: str
    label: str
    detail: str = ""
    is_locked: bool = False
    raised: bool = False
    limits: str = ""
    was: str = ""

    @property
    def tone(self) -> str:
        return MARKS[self.label][0]

    @property
    def icon(self) -> str:
        return MARKS[self.label][1]

    @property
    def word(self) -> str:
        return MARKS[self.label][2]


def current() -> Matrix:
    """The matrix that verdicts are computed from now; the empty one on a fresh installation."""
    from orchestration.authority import live

    _, matrix = live.current()
    return matrix or EMPTY


def cell(matrix: Matrix, role: str, capability: str) -> Cell:
    known = matrix.roles.get(role)
    grant = known.grants.get(capability) if known else None
    locks = matrix.locks.get(capability, ())
    if grant is None:
        return Cell(role, capability, "empty", is_locked=bool(locks))
    return Cell(role, capability, grant.label, _detail(grant), bool(locks), _is_raised(grant, locks), words(grant.limits))


def unsaved(standing: Cell, grant: Json | None) -> Cell:
    """The cell as somebody would have it; `grant` as in a Role document, None for an empty one."""
    label = label_of(grant)
    if grant is None:
        return Cell(standing.role, standing.capability, label, is_locked=standing.is_locked, was=standing.word)
    limits = words(read(grant))
    detail = " · ".join(part for part in (grant.get("policy"), grant.get("when"), limits) if part)
    raised = standing.is_locked and grant["effect"] == "allow"
    return Cell(standing.role, standing.capability, label, detail, standing.is_locked, raised, limits, standing.word)


def powers(matrix: Matrix, roles: Iterable[str]) -> list[Cell]:
    """Every cell of these roles that says something, by capability."""
    found = [
        cell(matrix, role, capability)
        for role in roles
        for capability in (matrix.roles[role].grants if role in matrix.roles else ())
    ]
    return sorted(found, key=lambda one: (one.capability, one.role))


def holders(matrix: Matrix, capability: str) -> list[Cell]:
    """Every role that has a cell for a capability."""
    return [cell(matrix, name, capability) for name, role in sorted(matrix.roles.items()) if capability in role.grants]


def _detail(grant: Grant) -> str:
    return " · ".join(part for part in (grant.policy, grant.when, words(grant.limits)) if part)


def _is_raised(grant: Grant, locks: tuple[Lock, ...]) -> bool:
    return bool(locks) and grant.effect == "allow"
