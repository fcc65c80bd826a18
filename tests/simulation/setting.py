"""The house in memory: releases of generated workflows, and the matrices an edit may lead to. Compiled once per process."""

from __future__ import annotations

import uuid
from functools import lru_cache
from random import Random
from typing import Any, Final

from aegis.core import canonical
from approvals import policies
from approvals.policies import Policy
from audit import catalogue
from orchestration.authority import verdicts
from orchestration.authority.matrix import Matrix
from orchestration.contracts.checker import Checker, compile_schema
from orchestration.engine import events
from orchestration.routing import tables
from orchestration.workflows.definition import AgentVersion
from orchestration.workflows.references import references_of
from orchestration.workflows.release import Release
from tests.simulation import house
from tests.simulation.definitions import generate

Json = Any

NAMESPACE: Final = uuid.UUID("0d0f4c1e-6a53-5a0e-8f6b-1d2c3b4a5968")
MATRICES: Final = 12  # number 1 is the house as founded

catalogue.register(*events.TYPES)


def derived(*parts: object) -> uuid.UUID:
    """The id of whatever these words name: the same in every process."""
    return uuid.uuid5(NAMESPACE, "/".join(map(str, parts)))


@lru_cache(maxsize=1_000)
def subject(key: str) -> str:
    """The opaque id of what a run is about."""
    return str(derived("subject", key))


REQUESTER: Final = str(derived("person", "rita"))
PEOPLE: Final = {str(derived("person", name)): name for name in house.LEADS}
OWNER: Final = str(derived("person", "ada"))
AGENT_IDS: Final = {name: str(derived("agent", name)) for name in house.AGENTS}


@lru_cache(maxsize=1)
def _documents() -> dict[str, Json]:
    return {str(key): one for key, one in house.surroundings().items()}


@lru_cache(maxsize=1)
def rules() -> dict[str, Policy]:
    """Every approval policy, by name."""
    return {name: policies.load(_documents()[f"ApprovalPolicy/{name}"]) for name in house.POLICIES}


@lru_cache(maxsize=64)
def contract(name: str) -> Checker:
    return compile_schema(_documents()[f"Contract/{name}"]["spec"]["schema"])


@lru_cache(maxsize=2_000)
def release(seed: int) -> Release:
    """The generated workflow of this seed, with everything it pins."""
    made = generate(seed)
    asked = references_of(made.definition)
    digests = {str(key): canonical.digest_of(one) for key, one in (*house.surroundings().items(), *made.documents())}
    names = {kind: sorted({one.name for one in asked if one.kind == kind}) for kind in ("Contract", "Agent")}
    pins = {f"{one.kind}/{one.name}": digests[f"{one.kind}/{one.name}"] for one in asked}
    return Release(
        id=derived("release", seed),
        workflow_id=derived("workflow", seed),
        workflow=made.definition.name,
        version=1,
        digest=canonical.digest_of({"workflow": made.workflow, "pins": pins}),
        definition=made.definition,
        pins=pins,
        contracts={name: contract(name) for name in names["Contract"]},
        tables={table["metadata"]["name"]: tables.load(table) for table in made.tables},
        agents={name: _agent(name) for name in names["Agent"]},
    )


def _agent(name: str) -> AgentVersion:
    spec = _documents()[f"Agent/{name}"]["spec"]
    return AgentVersion(
        id=AGENT_IDS[name], name=name, digest=canonical.digest_of(_documents()[f"Agent/{name}"]), connector="python",
        callable=spec["connector"]["python"], settings={}, roles=tuple(spec["roles"]), owner=OWNER,
    )  # fmt: skip


@lru_cache(maxsize=MATRICES + 1)
def matrix(number: int) -> Matrix:
    """The matrix as founded (1), or after some edit. Safety classes never change: what is unsafe stays unsafe."""
    document = _matrix_document()
    if number > 1:
        _edit(document, Random(f"matrix/{number}"))
    return verdicts.load(document, number=number)


def _matrix_document() -> Json:
    found = _documents()
    roles = {name.partition("/")[2]: one["spec"] for name, one in found.items() if name.startswith("Role/")}
    return {
        "v": 1,
        "capabilities": {
            name: {**found[f"Capability/{name}"]["spec"], "digest": canonical.digest_of(found[f"Capability/{name}"])}
            for name in house.EVERYTHING
        },
        "roles": {
            name: {"people": spec["people"], "grants": [dict(one) for one in spec["grants"]]} for name, spec in roles.items()
        },
        "locks": {},
        "policies": {
            name: {
                "stages": [{"groups": list(stage.groups), "quorum": stage.quorum} for stage in policy.stages],
                "reason": policy.reason,
            }
            for name, policy in rules().items()
        },
        "agents": {
            ref: {"name": name, "roles": found[f"Agent/{name}"]["spec"]["roles"], "enabled": True}
            for name, ref in AGENT_IDS.items()
        },
    }


def _edit(document: Json, rng: Random) -> None:
    """One to three cells changed, or an agent disabled."""
    for _ in range(rng.randint(1, 3)):
        if rng.random() < 0.15:
            document["agents"][rng.choice(sorted(document["agents"]))]["enabled"] = False
            continue
        grants = document["roles"][rng.choice(["basic", "trusted"])]["grants"]
        place = rng.randrange(len(grants))
        name = grants[place]["capability"]
        effect = rng.choice(["allow", "gate", "gate", "deny"])
        grants[place] = {"capability": name, "effect": effect}
        if effect == "gate":
            grants[place]["policy"] = rng.choice(house.POLICIES)
        elif rng.random() < 0.4:
            grants[place]["when"] = f"parameters.amount < {rng.randrange(100)}"
