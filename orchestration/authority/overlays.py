"""The matrix that a change set would make: from documents instead of rows. What rehearsals ask while nothing is written."""

from __future__ import annotations

from collections.abc import Mapping

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.kinds import Overlay
from orchestration.authority import grant_limits
from orchestration.authority.limits import declared
from orchestration.authority.lookups import documents, ended_locks
from orchestration.authority.matrix import Matrix, load
from orchestration.authority.rules import rules_of


def matrix_of(overlay: Overlay, agents: Mapping[str, str]) -> Matrix:
    """The whole matrix as it would be, under number 0.

    Args:
        agents: id -> name of the agents that may be asked about; they count as enabled.

    Raises:
        Invalid: a document of the overlay is unusable; the lint of its kind says so.
    """
    policies = dict(documents(overlay, "ApprovalPolicy"))
    locks = dict(documents(overlay, "FloorLock"))
    ended = ended_locks(locks)
    specs = {ref: document["spec"] for ref, name in agents.items() if (document := overlay.get("Agent", name)) is not None}
    return load(
        {
            "v": 1,
            "capabilities": {name: capability_entry(document) for name, document in documents(overlay, "Capability")},
            "roles": {name: role_entry(document) for name, document in documents(overlay, "Role")},
            "locks": {
                name: {
                    "capability": spec["capability"],
                    "policy": spec["policy"],
                    "kind": spec["kind"],
                    "floor": rules_of(policies[spec["policy"]]) if spec["policy"] in policies else None,
                }
                for name, spec in ((name, document["spec"]) for name, document in locks.items())
                if "capability" in spec and name not in ended
            },
            "policies": {name: rules_of(document) for name, document in policies.items()},
            "agents": {
                ref: {"name": agents[ref], "roles": sorted(spec.get("roles", [])), "enabled": True, **declared(spec)}
                for ref, spec in specs.items()
            },
        }
    )


def capability_entry(document: Json, digest: str = "") -> Json:
    """A capability as the matrix has it.

    Args:
        digest: of the document; computed if not known.
    """
    spec = document["spec"]
    return {
        "resource": spec["resource"],
        "risk": spec["risk"],
        "safety": spec["safety"],
        "handler": spec["handler"],
        "parameters": spec["parameters"],
        "requester_too": spec.get("requester_too", False),
        "compensation": spec.get("compensation", ""),
        "digest": digest or canonical.digest_of(document),
        **({"excludes": sorted(spec["excludes"])} if spec.get("excludes") else {}),
        **declared(spec),
    }


def role_entry(document: Json) -> Json:
    """A role as the matrix has it; grants in a fixed order."""
    spec = document["spec"]
    return {
        "title": document["metadata"].get("title", ""),
        "people": spec.get("people", False),
        "grants": sorted(
            (
                {
                    "capability": grant["capability"],
                    "effect": grant["effect"],
                    "when": grant.get("when", ""),
                    "policy": grant.get("policy", ""),
                    **grant_limits.declared(grant),
                }
                for grant in spec["grants"]
            ),
            key=lambda grant: str(grant["capability"]),
        ),
    }
