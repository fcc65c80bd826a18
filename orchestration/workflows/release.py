"""A release as the engine uses it: the definition with everything it pins, compiled. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.errors import NotFound
from aegis.core.kinds import Overlay
from orchestration.contracts.checker import Checker, compile_schema
from orchestration.routing import tables
from orchestration.routing.tables import RoutingTable
from orchestration.workflows import parse
from orchestration.workflows.definition import AgentVersion, Definition
from orchestration.workflows.references import PINNED, pinned

_DRAFTS: Final = uuid.UUID("2c7d0b0e-6a53-4b0a-9a35-6f0f5f0b7f11")  # namespace of what exists in rehearsals alone


@dataclass(frozen=True, slots=True)
class Release:
    """One workflow version and its pins.

    Attributes:
        digest: hex sha256 of the stored release document; event lines carry it as `def`.
        definition: of the workflow; in a run of a branch or an item, the body that it walks.
        pins: "Contract/x@1", "RoutingTable/y", "Agent/z" -> digest of the pinned document; "Workflow/w" -> of its release.
        contracts, tables, agents: by name as the definition writes them.
        workflows: releases of the workflows that it runs.
    """

    id: uuid.UUID
    workflow_id: uuid.UUID
    workflow: str
    version: int
    digest: str
    definition: Definition
    pins: Mapping[str, str]
    contracts: Mapping[str, Checker]
    tables: Mapping[str, RoutingTable]
    agents: Mapping[str, AgentVersion]
    workflows: Mapping[str, Release] = field(default_factory=dict)

    def all_agents(self) -> Iterator[AgentVersion]:
        """Its agents, and those of the workflows that it runs."""
        yield from self.agents.values()
        for other in self.workflows.values():
            yield from other.all_agents()


def agent_version(name: str, spec: Json, *, ref: str, digest: str, owner: str) -> AgentVersion:
    """An agent as a release pins it.

    Args:
        spec: of its document; ref: its identity as a principal; owner: user ref.
    """
    connection = spec["connector"]
    return AgentVersion(
        id=ref,
        name=name,
        digest=digest,
        connector="python" if "python" in connection else next(iter(connection)),
        callable=connection.get("python", ""),
        settings=spec.get("settings", {}),
        roles=tuple(spec.get("roles", ())),
        owner=owner,
        connection=connection,
    )


def draft(document: Json, overlay: Overlay, agents: Mapping[str, str], *, run_by: tuple[str, ...] = ()) -> Release:
    """The release that a workflow document would have, made from documents and never stored.

    Args:
        agents: name -> identity, of the agents it names; an agent left out gets one made from its name.
        run_by: names of the workflows through whose `run` steps this one is wanted.

    Raises:
        WorkflowInvalid, Invalid: the document, or one it pins, cannot be used.
        NotFound: it names a document that is not there.
    """
    definition = parse.load(document)
    wanted = pinned(definition)
    found = {(kind, name): one for kind, name in wanted if (one := overlay.get(kind, name)) is not None}
    if missing := [f"{kind} {name}" for kind, name in wanted if (kind, name) not in found]:
        raise NotFound(f"Workflow {definition.name} needs {', '.join(missing)}, which is not there")
    if definition.name in run_by:
        raise NotFound(f"Workflow {definition.name} runs itself, through {', '.join(run_by)}")
    of_kind = {kind: {name: one for (other, name), one in found.items() if other == kind} for kind in PINNED}
    return Release(
        id=uuid.uuid5(_DRAFTS, definition.name),
        workflow_id=uuid.uuid5(_DRAFTS, f"workflow/{definition.name}"),
        workflow=definition.name,
        version=0,
        digest=canonical.digest_of(document),
        definition=definition,
        pins={f"{kind}/{name}": canonical.digest_of(one) for (kind, name), one in found.items()},
        contracts={name: compile_schema(one["spec"]["schema"]) for name, one in of_kind["Contract"].items()},
        tables={name: tables.load(one) for name, one in of_kind["RoutingTable"].items()},
        agents={
            name: agent_version(
                name,
                one["spec"],
                ref=agents.get(name) or draft_agent_id(name),
                digest=canonical.digest_of(one),
                owner=str(one["spec"].get("owner", "")),
            )
            for name, one in of_kind["Agent"].items()
        },
        workflows={
            name: draft(one, overlay, agents, run_by=(*run_by, definition.name)) for name, one in of_kind["Workflow"].items()
        },
    )


def draft_agent_id(name: str) -> str:
    """The identity in rehearsals of an agent that has no row yet."""
    return str(uuid.uuid5(_DRAFTS, f"agent/{name}"))
