"""Who can do Y, and what can X do: one line per principal and capability, with what decides it. Pure over one matrix version.

Nothing is proposed yet, so parameters, record and requester are unknown. A line therefore holds two verdicts: the least that is
granted (whatever depends on a condition goes against the principal) and the most (it goes his way). Hours of grants are judged
at the moment given; what counts (rates, amounts, budgets) is named, not counted: that is a question about one effect.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from aegis.core.canonical import Json
from orchestration.authority.affected import tilted
from orchestration.authority.exclusive import Clash, clashes
from orchestration.authority.explain import ask
from orchestration.authority.grant_documents import words
from orchestration.authority.matrix import AgentEntry, Grant, Matrix
from orchestration.authority.verdicts import Principal, Resource, Verdict

What = Literal["halt", "breaker", "lock", "cell", "requester", "agent", "exclusive", "nothing"]
_ORDER: Final[Mapping[str, int]] = {"allow": 0, "gate": 1, "deny": 2}
_EFFECTS: Final[Mapping[str, str]] = {"allow": "allows it", "gate": "asks for an approval", "deny": "denies it"}


@dataclass(frozen=True, slots=True)
class Decider:
    """One thing that decides a line. `name` is that of the role, lock, agent or breaker, so a page can link it."""

    what: What
    name: str
    says: str


@dataclass(frozen=True, slots=True)
class Held:
    """What stops effects now, whatever the matrix says: words by what is stopped.

    Attributes:
        everything: of a halt of everything; "" if there is none.
        agents: id of a halted agent -> words.
        breakers: key of an open breaker ("agent:<name>", "capability:<name>") -> words.
        workflows: of halted workflows; no line is about one workflow, so pages name them once.
    """

    everything: str = ""
    agents: Mapping[str, str] = field(default_factory=dict)
    breakers: Mapping[str, str] = field(default_factory=dict)
    workflows: tuple[str, ...] = ()

    def by(self, matrix: Matrix, principal: Principal, capability: str) -> list[Decider]:
        """What stops this principal's effects of this capability."""
        entry = matrix.agents.get(principal.ref) if principal.kind == "agent" else None
        found = [Decider("halt", "everything", self.everything)] if self.everything else []
        if entry is not None and entry.id in self.agents:
            found.append(Decider("halt", entry.name, self.agents[entry.id]))
        keys = [f"agent:{entry.name}"] if entry is not None else []
        return [
            *found,
            *(
                Decider("breaker", key, self.breakers[key])
                for key in (*keys, f"capability:{capability}")
                if key in self.breakers
            ),
        ]


@dataclass(frozen=True, slots=True)
class Line:
    """What one principal may do of one capability.

    Attributes:
        least, most: the verdicts with every condition against the principal, and in its favour.
        cells: the grants of its roles for the capability, by role.
        deciders: what leads to the answer, the strongest first; never empty.
    """

    who: str
    principal: Principal
    capability: str
    least: Verdict
    most: Verdict
    cells: tuple[Grant, ...]
    deciders: tuple[Decider, ...]

    @property
    def is_held(self) -> bool:
        return any(one.what in ("halt", "breaker") for one in self.deciders)

    @property
    def depends(self) -> bool:
        """On the facts of the proposal."""
        return (self.least.answer, self.least.policy) != (self.most.answer, self.most.policy)

    @property
    def label(self) -> str:
        """The word of the matrix for it: allow, allow_if, gate, deny; empty where no cell says anything."""
        if not self.cells and self.most.answer == "deny":
            return "empty"
        return "allow_if" if self.most.answer == "allow" and self.depends else self.most.answer

    @property
    def answer(self) -> str:
        """ "allow", "gate lead", "allow or deny, as the facts are"."""
        least, most = (f"{one.answer} {one.policy}".strip() for one in (self.least, self.most))
        return most if not self.depends else f"{most} or {least}, as the facts are"


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines that have a cell, those that may most first. `silent` counts those without one, whom an empty cell denies."""

    lines: tuple[Line, ...]
    silent: int


def who_can(
    matrix: Matrix, capability: str, principals: Iterable[tuple[str, Principal]], held: Held, clock: Mapping[str, Json]
) -> Lines:
    """
    Args:
        principals: (name to show, principal); a person's roles come with him.
        clock: the fact of that name (`grant_limits.clock_fact`).
    """
    views = _views(matrix, [capability])
    return _lines([_line(matrix, views, who, principal, capability, held, clock) for who, principal in principals])


def what_can(matrix: Matrix, who: str, principal: Principal, held: Held, clock: Mapping[str, Json]) -> Lines:
    """Every capability of the matrix that a role of the principal has a cell for."""
    names = sorted(
        {name for role in _roles(matrix, principal) for name in matrix.roles[role].grants if name in matrix.capabilities}
    )
    views = _views(matrix, names)
    found = _lines([_line(matrix, views, who, principal, name, held, clock) for name in names])
    return replace(found, silent=found.silent + len(matrix.capabilities) - len(names))


def table(matrix: Matrix, principals: Iterable[tuple[str, Principal]], clock: Mapping[str, Json]) -> dict[str, dict[str, Line]]:
    """Who -> capability -> its line, of those that a role of his has a cell for. Who has the same roles is judged once.

    What stops effects now (halts, breakers) is left out: it is told by the line itself, not by a table that is printed.
    """
    found: dict[str, dict[str, Line]] = {}
    judged: dict[tuple[str, bool, tuple[str, ...]], dict[str, Line]] = {}
    views = _views(matrix, sorted(matrix.capabilities))
    for who, principal in principals:
        roles = tuple(_roles(matrix, principal))
        entry = matrix.agents.get(principal.ref) if principal.kind == "agent" else None
        alike = (principal.kind, entry is None or entry.is_enabled, roles)
        if alike not in judged:
            names = {name for role in roles for name in matrix.roles[role].grants if name in matrix.capabilities}
            judged[alike] = {name: _line(matrix, views, who, principal, name, Held(), clock) for name in names}
        found[who] = judged[alike]
    return found


def as_role(matrix: Matrix, role: str) -> tuple[Matrix, Principal]:
    """The matrix, and somebody in it who has this role and no other."""
    if matrix.roles[role].is_for_people:
        return matrix, Principal("user", "", (role,))
    entry = AgentEntry("", f"an agent with {role}", frozenset({role}), is_enabled=True)
    return replace(matrix, agents={**matrix.agents, "": entry}), Principal("agent", "")


def _views(matrix: Matrix, names: list[str]) -> tuple[Matrix, Matrix]:
    return tilted(matrix, names, False), tilted(matrix, names, True)


def _lines(lines: list[Line]) -> Lines:
    said = [line for line in lines if line.cells]
    return Lines(
        tuple(sorted(said, key=lambda line: (_ORDER[line.most.answer], line.depends, line.who, line.capability))),
        len(lines) - len(said),
    )


def _line(
    matrix: Matrix,
    views: tuple[Matrix, Matrix],
    who: str,
    principal: Principal,
    capability: str,
    held: Held,
    clock: Mapping[str, Json],
) -> Line:
    known = matrix.capabilities.get(capability)
    resource = Resource(known.resource if known else "", "")
    least, most = (ask(view, principal, capability, resource, {"clock": clock}, bounds="hours") for view in views)
    roles = (matrix.roles[name].grants for name in _roles(matrix, principal))
    cells = tuple(grants[capability] for grants in roles if capability in grants)
    deciders = [*held.by(matrix, principal, capability), *_deciders(matrix, principal, capability, cells, least, most)]
    return Line(who, principal, capability, least, most, cells, tuple(deciders))


def _deciders(
    matrix: Matrix, principal: Principal, capability: str, cells: tuple[Grant, ...], least: Verdict, most: Verdict
) -> list[Decider]:
    entry = matrix.agents.get(principal.ref) if principal.kind == "agent" else None
    if most.code in ("agent_disabled", "unknown_principal", "unknown_capability"):
        return [Decider("agent", entry.name if entry else "", most.reason)]
    if most.code == "exclusive":
        return [Decider("exclusive", clash.other_role, str(clash)) for clash in _clashes(matrix, principal, capability)]
    leading = {*most.grants, *least.grants}
    if most.answer == "deny" and cells and not leading:  # such as a matrix that is not the one on record
        return [Decider("nothing", "", most.reason)]
    found = [
        Decider("lock", name, "raises the answer to its gate") for name in dict.fromkeys((*most.raised_by, *least.raised_by))
    ]
    found += [Decider("cell", one.role, _says(one)) for one in cells if f"{one.role}/{one.capability}" in leading]
    found += [
        Decider("cell", one.role, f"{_says(one)}, but a stricter cell decides")
        for one in cells
        if f"{one.role}/{one.capability}" not in leading
    ]
    if (known := matrix.capabilities.get(capability)) and known.requester_too and most.answer != "deny":
        found.append(Decider("requester", "", "the person who asks must hold it too"))
    return found or [Decider("nothing", "", "no role that counts has a cell for it; an empty cell is a deny")]


def _clashes(matrix: Matrix, principal: Principal, capability: str) -> list[Clash]:
    roles = [matrix.roles[name].worn for name in _roles(matrix, principal)]
    return clashes(matrix.exclusive, [worn for worn in roles if worn is not None], capability)


def _says(grant: Grant) -> str:
    policy = f" under {grant.policy}" if grant.policy else ""
    condition = f" if {grant.when}" if grant.when else ""
    limits = f"; {words(grant.limits)}" if grant.limits else ""
    return f"{_EFFECTS[grant.effect]}{policy}{condition}{limits}"


def _roles(matrix: Matrix, principal: Principal) -> list[str]:
    """By name; roles of agents give people nothing."""
    entry = matrix.agents.get(principal.ref) if principal.kind == "agent" else None
    names = principal.roles if principal.kind == "user" else entry.roles if entry else ()
    return [
        name
        for name in sorted(names)
        if name in matrix.roles and (matrix.roles[name].is_for_people or principal.kind != "user")
    ]
