"""Lint of `act` steps: could the agent's roles ever carry out what it proposes? Pure.

What an agent will propose is known before a run only as far as its contract pins the capability by `const` or `enum`. Then the
real verdict is asked, over a matrix made of the overlay's documents, with every condition taken as met: a deny that is left is
one that no facts can turn into anything else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from aegis.core.canonical import Json
from aegis.core.errors import AegisError, Fault
from aegis.core.kinds import Overlay
from approvals import policies, strictness
from orchestration.authority.verdicts import Matrix, Principal, Resource, Verdict, decide, load
from orchestration.workflows import contract_paths
from orchestration.workflows.contract_paths import Part
from orchestration.workflows.definition import ActStep, AgentStep, Definition
from orchestration.workflows.paths import item_path, output_path

_AGENT: Final = "agent"  # its id in the matrix made here
_ANYTHING: Final[Json] = {"type": "object", "additionalProperties": True}
_PROPOSAL_FIELDS: Final = ("capability", "resource", "parameters")


def act_faults(
    definition: Definition, contracts: Mapping[str, Json], overlay: Overlay, *, with_rights: bool
) -> Iterator[Fault]:
    """What speaks against the `act` steps: what they carry out is no proposal, or one that is never let pass.

    Args:
        contracts: name -> JSON Schema of the contracts that exist.
    """
    asked = overlay if with_rights else None
    for scope in definition.scopes():
        for index, step in enumerate(scope.steps):
            if isinstance(step, ActStep):
                yield from _faults_of(step, f"{scope.where}/steps/{index}", scope, contracts, asked)


def _faults_of(
    step: ActStep, place: str, definition: Definition, contracts: Mapping[str, Json], overlay: Overlay | None
) -> Iterator[Fault]:
    where = f"{place}/act"
    source = definition.step(step.source)
    inner = _place_of(step, definition)
    if not isinstance(source, AgentStep) or inner is None or (schema := contracts.get(source.output)) is None:
        return
    if contract_paths.has(schema, inner) == "no":
        return  # lint_paths says so
    for field in _PROPOSAL_FIELDS:
        if contract_paths.has(schema, (*inner, field)) == "no":
            what = f"is no proposal: contract {source.output} has no {field} there"
            yield Fault(where, what, "a proposal is {capability, resource, parameters, justification}")
            return
    if overlay is None:
        return
    agent = overlay.get("Agent", source.agent)
    capabilities = contract_paths.values_at(schema, (*inner, "capability"))
    if capabilities is None and step.compensate:
        what = f"contract {source.output} leaves open which capability this is, so what undoes it cannot be known"
        yield Fault(f"{place}/compensate", what, "pin capability in the contract with const or enum")
    if agent is None or capabilities is None:
        return
    types = contract_paths.values_at(schema, (*inner, "resource", "type"))
    for capability in capabilities:
        yield from _capability_faults(where, str(capability), source.agent, agent, types, overlay)
        if step.compensate:
            yield from _compensation_faults(f"{place}/compensate", str(capability), source.agent, agent, overlay)


def _place_of(step: ActStep, definition: Definition) -> tuple[Part, ...] | None:
    """Where in the output of its source the proposal is, also through the list whose items are walked."""
    if path := output_path(step.act):
        return path.parts[2:]
    item, listed = item_path(step.act), output_path(definition.items)
    return (*listed.parts[2:], 0, *item.parts) if item and listed else None


def _compensation_faults(where: str, name: str, agent_name: str, agent: Json, overlay: Overlay) -> Iterator[Fault]:
    """Undoing is an effect of its own, asked of the matrix for the same agent: it must be named, and be possible."""
    capability = overlay.get("Capability", name)
    if capability is None:
        return  # said at the proposal already
    undoing = capability["spec"].get("compensation")
    if undoing is None:
        yield Fault(where, f"{name} names no capability that undoes it", f"give {name} a compensation, or leave compensate out")
        return
    yield from _capability_faults(where, undoing, agent_name, agent, None, overlay)


def _capability_faults(
    where: str, name: str, agent_name: str, agent: Json, types: tuple[Json, ...] | None, overlay: Overlay
) -> Iterator[Fault]:
    capability = overlay.get("Capability", name)
    if capability is None:
        yield Fault(where, f"there is no capability {name!r}", _known(overlay, "Capability"))
        return
    resource = capability["spec"]["resource"]
    if types is not None and resource not in types:
        remedy = f"the contract pins {', '.join(map(str, types))}"
        yield Fault(where, f"{name} acts on resources of type {resource}, the proposal is about another one", remedy)
        return
    roles = agent["spec"].get("roles", [])
    try:
        matrix = _matrix(name, capability, agent_name, roles, overlay)
    except AegisError:  # a broken policy or capability: the lint of its own kind says so
        return
    verdict = decide(matrix, Principal("agent", _AGENT), name, Resource(resource, "any"), {"parameters": {}})
    yield from _verdict_faults(where, name, agent_name, roles, verdict)


def _verdict_faults(where: str, name: str, agent: str, roles: list[str], verdict: Verdict) -> Iterator[Fault]:
    worn = f"its roles are {', '.join(roles)}" if roles else "it has no role"
    match verdict.code:
        case "granted" | "gated":
            return
        case "locked":
            locks, policy = ", ".join(verdict.raised_by), verdict.policy
            what = f"{name} is under floor lock {locks}, but the roles of {agent} let it pass with less"
            yield Fault(where, what, f"gate it with policy {policy} in {_cells(verdict)}")
        case "no_grant":
            yield Fault(where, f"agent {agent} can never do {name}: no role of it grants that", worn)
        case _:
            yield Fault(where, f"agent {agent} can never do {name}: {verdict.reason}", worn)


def _cells(verdict: Verdict) -> str:
    return " and ".join(f"role {cell.split('/', 1)[0]}" for cell in verdict.grants) or "its roles"


def _matrix(name: str, capability: Json, agent_name: str, roles: list[str], overlay: Overlay) -> Matrix:
    """As much of the matrix as this question needs, with conditions taken as met."""
    found = {role: document for role in roles if (document := overlay.get("Role", role)) is not None}
    locks = dict(_standing_locks(name, overlay))
    named = {grant["policy"] for document in found.values() for grant in document["spec"]["grants"] if "policy" in grant}
    named |= {lock["policy"] for lock in locks.values()}
    spec = capability["spec"]
    return load(
        {
            "v": 1,
            "capabilities": {
                name: {
                    "resource": spec["resource"],
                    "risk": spec["risk"],
                    "safety": spec["safety"],
                    "handler": spec["handler"],
                    "parameters": _ANYTHING,
                    "digest": "",
                }
            },
            "roles": {
                role: {"people": False, "grants": [_met(grant) for grant in document["spec"]["grants"] if _counts(grant)]}
                for role, document in found.items()
            },
            "locks": locks,
            "policies": {policy: _rules(document) for policy in named if (document := overlay.get("ApprovalPolicy", policy))},
            "agents": {_AGENT: {"name": agent_name, "roles": sorted(found), "enabled": True}},
        }
    )


def _counts(grant: Json) -> bool:
    """A condition may turn out false: what only denies under one is not a deny for good."""
    return not (grant["effect"] == "deny" and "when" in grant)


def _met(grant: Json) -> Json:
    return {key: value for key, value in grant.items() if key != "when"}


def _standing_locks(capability: str, overlay: Overlay) -> Iterator[tuple[str, Json]]:
    documents = {name: document for name in overlay.names("FloorLock") if (document := overlay.get("FloorLock", name))}
    ended = {document["spec"].get("ends") for document in documents.values()}
    for name, document in documents.items():
        spec = document["spec"]
        if name not in ended and spec.get("capability") == capability:
            policy = overlay.get("ApprovalPolicy", spec["policy"])
            yield (
                name,
                {
                    "capability": capability,
                    "policy": spec["policy"],
                    "kind": spec["kind"],
                    "floor": _rules(policy) if policy else None,
                },
            )


def _rules(document: Json) -> Json:
    return strictness.dump(policies.load(document))


def _known(overlay: Overlay, kind: str) -> str:
    names = overlay.names(kind)
    return f"known are {', '.join(names[:8])}{' …' if len(names) > 8 else ''}" if names else f"there is no {kind} yet"
