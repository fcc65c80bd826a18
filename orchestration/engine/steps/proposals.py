"""What is proposed, and what of it a person signs. Pure.

Two digests (docs/adr/0006): that of the effect, which an approval must fit when it is used, and that of the request, which adds
what was shown and the rules that bind the vote.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.errors import Fault
from orchestration.engine.scene import Scene
from orchestration.engine.world_port import RecordSnapshot

Proposal = Mapping[str, Any]  # {"capability", "resource": {"type", "id"}, "parameters", "justification"?}


def proposal_faults(proposal: Json) -> list[Fault]:
    """What is wrong with the shape of a proposal; its parameters are judged by the capability's contract."""
    if not isinstance(proposal, dict):
        return [Fault("/", "a proposal is an object with capability, resource and parameters")]
    resource = proposal.get("resource")
    faults = []
    if not isinstance(proposal.get("capability"), str):
        faults.append(Fault("/capability", "must be the name of a capability"))
    if (
        not isinstance(resource, dict)
        or set(resource) != {"type", "id"}
        or not all(isinstance(part, str) and 0 < len(part) <= 120 for part in resource.values())
    ):
        faults.append(Fault("/resource", "must be {type, id}, both short text"))
    if not isinstance(proposal.get("parameters"), dict):
        faults.append(Fault("/parameters", "must be an object"))
    return faults


def condition_facts(requester: Mapping[str, Json], proposal: Proposal, record: RecordSnapshot) -> dict[str, Json]:
    """What conditions of the matrix and of a policy's fast path may look at."""
    return {
        "capability": proposal["capability"],
        "parameters": dict(proposal["parameters"]),
        "record": dict(record.body) if record.body is not None else {},
        "requester": dict(requester),
    }


def bound_digest(capability_digest: str, proposal: Proposal, record_version: int) -> str:
    """What a decision signs: capability and its version, resource, parameters, version of the base record.

    The policy's version and the evidence digests are added when a request opens (`request_digest`).
    """
    return canonical.digest_of(
        {
            "capability": proposal["capability"],
            "capability_digest": capability_digest,
            "resource": proposal["resource"],
            "parameters": proposal["parameters"],
            "record_version": record_version,
        }
    )


def request_digest(effect: str, policy_digest: str, evidence: list[dict[str, Json]]) -> str:
    """The digest on the request: the effect's, the policy's version, and the digests of the evidence shown."""
    return canonical.digest_of({"effect": effect, "policy": policy_digest, "evidence": [item["digest"] for item in evidence]})


def evidence_of(scene: Scene) -> list[dict[str, Json]]:
    """The outputs of earlier steps by place and digest: what the request page shows, and what a vote is bound to."""
    return [
        {"step": step, "place": place, "digest": canonical.digest_of(scene.values[step])}
        for step, place in sorted(scene.state.outputs.items())
        if step in scene.values
    ]
