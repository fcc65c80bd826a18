"""Capabilities that one principal must not hold together: "who enters an invoice does not pay it". Pure.

A Capability declares them in `excludes`; it counts both ways. A principal *holds* a capability through every role that has an
allow or a gate for it, whatever its condition, unless a role of his denies it outright. Who holds both may do neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aegis.core.canonical import Json


@dataclass(frozen=True, slots=True)
class Worn:
    """Of one role: what it lets hold, and what it denies outright."""

    name: str
    holds: frozenset[str]
    bars: frozenset[str]


@dataclass(frozen=True, slots=True)
class Clash:
    """Two capabilities held together, each with a role it comes from."""

    capability: str
    role: str
    other: str
    other_role: str

    def __str__(self) -> str:
        through = f"role {self.role}" if self.role == self.other_role else f"roles {self.role} and {self.other_role}"
        return f"{self.capability} and {self.other}, which nobody may hold together (through {through})"


def pairs(excludes: Mapping[str, Iterable[str]]) -> dict[str, frozenset[str]]:
    """Capability -> those that go not with it, both ways.

    Args:
        excludes: as the documents declare it.
    """
    found: dict[str, set[str]] = {}
    for name, others in excludes.items():
        for other in others:
            found.setdefault(name, set()).add(other)
            found.setdefault(other, set()).add(name)
    return {name: frozenset(others) for name, others in found.items()}


def worn(role: str, grants: Iterable[Mapping[str, Json]]) -> Worn:
    """
    Args:
        grants: of a Role document, or of the matrix document.
    """
    cells = list(grants)
    holds = frozenset(str(one["capability"]) for one in cells if one["effect"] != "deny")
    return Worn(
        role, holds, frozenset(str(one["capability"]) for one in cells if one["effect"] == "deny" and not one.get("when"))
    )


def clashes(exclusive: Mapping[str, frozenset[str]], roles: Iterable[Worn], only: str = "") -> list[Clash]:
    """What somebody with these roles holds together and must not, each pair once.

    Args:
        only: pairs with this capability, named first; "" = all.
    """
    if not exclusive:
        return []
    held = _held(roles)
    if only:
        names = [only] if only in held else []
        return [
            Clash(name, held[name], other, held[other])
            for name in names
            for other in sorted(exclusive.get(name, ()))
            if other in held
        ]
    return [
        Clash(name, held[name], other, held[other])
        for name in sorted(held)
        for other in sorted(exclusive.get(name, ()))
        if other in held and name < other
    ]


def _held(roles: Iterable[Worn]) -> dict[str, str]:
    """Capability -> the first role by name it is held through."""
    every = sorted(roles, key=lambda one: one.name)
    barred = frozenset[str]().union(*(one.bars for one in every))
    held: dict[str, str] = {}
    for one in every:
        for name in one.holds - barred:
            held.setdefault(name, one.name)
    return held
