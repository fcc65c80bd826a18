"""Who gains and who loses when one matrix follows another. Pure.

What a principal may do is told by two answers: the least (whatever depends on a condition goes against it) and the most (goes
its way). Who may more in either, and less in none, gains.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from orchestration.authority.explain import ask
from orchestration.authority.matrix import Grant, Matrix, Role
from orchestration.authority.verdicts import Principal, Resource

How = Literal["gains", "loses", "differs"]
_RANK: Final[Mapping[str, int]] = {"deny": 0, "gate": 1, "allow": 2}


@dataclass(frozen=True, slots=True)
class Effect:
    """What a change does to one principal and one capability."""

    who: str
    capability: str
    how: How
    before: str  # "allow", "gate lead", "allow or deny, as the facts are"
    after: str


def effects(before: Matrix, after: Matrix, principals: Iterable[tuple[str, Principal]], touched: Iterable[str]) -> list[Effect]:
    """What changes for whom, by principal and capability; nothing for those who may what they could.

    Args:
        principals: (name to show, principal); agents are looked up in the matrices, a person's roles come with him.
        touched: capabilities whose cells differ.
    """
    named = set(touched)
    for matrix in (before, after):  # who gains one of two that exclude each other loses the other
        named |= {other for name in named for other in matrix.exclusive.get(name, ())}
    names = sorted(named)
    views = [(tilted(matrix, names, False), tilted(matrix, names, True)) for matrix in (before, after)]
    found = []
    for who, principal in principals:
        for name in names:
            was, is_ = (tuple(_answer(view, principal, name) for view in pair) for pair in views)
            if how := _how(was, is_, _cells(before, principal, name), _cells(after, principal, name)):
                found.append(Effect(who, name, how, _words(was), _words(is_)))
    return found


Answer = tuple[int, str]  # its rank, and its words


def _how(was: tuple[Answer, ...], is_: tuple[Answer, ...], old: list[Grant], new: list[Grant]) -> How | Literal[""]:
    steps = [after[0] - before[0] for before, after in zip(was, is_, strict=True)]
    if any(steps) and min(steps) >= 0:
        return "gains"
    if any(steps) and max(steps) <= 0:
        return "loses"
    return "differs" if any(steps) or old != new else ""


def _answer(matrix: Matrix, principal: Principal, capability: str) -> Answer:
    known = matrix.capabilities.get(capability)
    verdict = ask(matrix, principal, capability, Resource(known.resource if known else "", ""), {}, bounds="none")
    return _RANK[verdict.answer], f"{verdict.answer} {verdict.policy}".strip()


def _words(pair: tuple[Answer, ...]) -> str:
    least, most = (words for _, words in pair)
    return least if least == most else f"{most} or {least}, as the facts are"


def _cells(matrix: Matrix, principal: Principal, capability: str) -> list[Grant]:
    entry = matrix.agents.get(principal.ref)
    names = principal.roles if principal.kind == "user" else entry.roles if entry else ()
    roles = [matrix.roles[name] for name in sorted(names) if name in matrix.roles]
    counting = [role for role in roles if role.is_for_people or principal.kind != "user"]
    # The condition compiled twice is two objects; its source says whether it is the same.
    return [replace(role.grants[capability], condition=None) for role in counting if capability in role.grants]


def tilted(matrix: Matrix, names: list[str], is_most: bool) -> Matrix:
    """The matrix of these capabilities with every condition judged one way: for the principal, or against it."""
    capabilities = {
        name: replace(matrix.capabilities[name], requester_too=False) for name in names if name in matrix.capabilities
    }
    roles = {
        name: Role(
            name, role.is_for_people, {what: grant for what in names if (grant := _judged(role, what, is_most))}, role.worn
        )
        for name, role in matrix.roles.items()
    }
    return replace(matrix, capabilities=capabilities, roles=roles)


def _judged(role: Role, capability: str, is_most: bool) -> Grant | None:
    grant = role.grants.get(capability)
    if grant is None or not grant.when:
        return grant
    widens = grant.effect == "allow"
    return replace(grant, when="", condition=None) if widens == is_most else None
