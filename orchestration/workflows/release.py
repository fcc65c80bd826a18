"""A release as the engine uses it: the definition with everything it pins, compiled. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from orchestration.contracts.checker import Checker
from orchestration.routing.tables import RoutingTable
from orchestration.workflows.definition import AgentVersion, Definition


@dataclass(frozen=True, slots=True)
class Release:
    """One workflow version and its pins.

    Attributes:
        digest: hex sha256 of the stored release document; event lines carry it as `def`.
        pins: "Contract/x@1", "RoutingTable/y", "Agent/z" -> digest of the pinned document.
        contracts, tables, agents: by name as the definition writes them.
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
