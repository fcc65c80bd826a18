"""The house in memory: releases of generated workflows, and the matrices an edit may lead to. Compiled once per process."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
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
from orchestration.workflows import parse
from orchestration.workflows.definition import AgentVersion, Definition
from orchestration.workflows.references import references_of
from orchestration.workflows.release import Release
from tests.generated import definitions as families
from tests.generated import house as lists
from tests.simulation import definitions, house
from tests.simulation.haste import hastened

Json = Any

NAMESPACE: Final = uuid.UUID("0d0f4c1e-6a53-5a0e-8f6b-1d2c3b4a5968")
MATRICES: Final = 12  # number 1 is the house as founded
OF_EACH: Final = 10  # workflows of each sort that neighbouring seeds share

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
AGENT_NAMES: Final = {ref: name for name, ref in AGENT_IDS.items()}


@lru_cache(maxsize=1)
def _documents() -> dict[str, Json]:
    return {str(key): one for key, one in lists.surroundings().items()}


@lru_cache(maxsize=1)
def rules() -> dict[str, Policy]:
    """Every approval policy, by name."""
    return {name: policies.load(_documents()[f"ApprovalPolicy/{name}"]) for name in house.POLICIES}


@lru_cache(maxsize=64)
def contract(name: str) -> Checker:
    return compile_schema(_documents()[f"Contract/{name}"]["spec"]["schema"])


def numbers(place: int) -> list[int]:
    """Workflows of one neighbourhood of seeds: the more seeds, the more workflows."""
    return [*range(2 * OF_EACH * place, 2 * OF_EACH * (place + 1))]


@lru_cache(maxsize=2_000)
def release(number: int) -> Release:
    """The workflow of this number with everything it pins: even ones are plain, odd ones families of the whole language."""
    if number % 2 == 0:
        made = definitions.generate(number // 2)
        return _release(made.workflow, made.definition, made.tables, {})
    family = families.generate(number // 2)
    known: dict[str, Release] = {}
    for document in map(hastened, family.workflows):
        known[document["metadata"]["name"]] = _release(document, parse.load(document), family.tables, known)
    return known[family.definition.name]


def _release(document: Json, definition: Definition, found: Sequence[Json], known: Mapping[str, Release]) -> Release:
    """Of one workflow; `known` are those it may run."""
    asked = references_of(definition)
    of_kind = {kind: sorted({one.name for one in asked if one.kind == kind}) for kind in ("Contract", "Agent", "Workflow")}
    documents = {**_documents(), **{f"RoutingTable/{table['metadata']['name']}": table for table in found}}
    digests = {name: canonical.digest_of(one) for name, one in documents.items()}
    digests |= {f"Workflow/{name}": one.digest for name, one in known.items()}
    pins = {f"{one.kind}/{one.name}": digests[f"{one.kind}/{one.name}"] for one in asked}
    return _kept(
        Release(
            id=derived("release", definition.name),
            workflow_id=derived("workflow", definition.name),
            workflow=definition.name,
            version=1,
            digest=canonical.digest_of({"workflow": document, "pins": pins}),
            definition=definition,
            pins=pins,
            contracts={name: contract(name) for name in of_kind["Contract"]},
            tables={table["metadata"]["name"]: tables.load(table) for table in found},
            agents={name: _agent(name) for name in of_kind["Agent"]},
            workflows={name: known[name] for name in of_kind["Workflow"]},
        )
    )


_bodies: dict[tuple[uuid.UUID, str], Release] = {}


def _kept(release: Release) -> Release:
    _bodies[release.id, ""] = release
    return release


def body(release_id: uuid.UUID, path: str) -> Release:
    """As `releases.load`: a release, or what a child run of it walks."""
    if (release_id, path) not in _bodies:
        whole = _bodies[release_id, ""]
        _bodies[release_id, path] = replace(whole, definition=whole.definition.body(path))
    return _bodies[release_id, path]


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
