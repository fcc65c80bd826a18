"""What every generated workflow lives among: contracts, capabilities of each safety class, roles, agents, policies, queues.

As documents, so that the same house is founded on a real database (`cases.py`) and built in memory (`setting.py`).
"""

from __future__ import annotations

from typing import Any, Final

from aegis.core.kinds import Key
from tests.workflows.documents import closed, document, proposal

Json = Any

LEADS: Final = ("lea", "leo", "lou")  # who decides and works on queues; two of them make a quorum
DESK: Final = "Sim desk"
LEAD_GROUP: Final = "Sim leads"

QUEUES: Final = ("people", "experts")
POLICIES: Final = ("one-lead", "two-leads", "small-is-fine")
AGENTS: Final = ("clerk", "senior")

#: capability -> (resource type, handler, safety class)
CAPABILITIES: Final = {
    "note.create": ("note", "record.create", "idempotent"),
    "note.patch": ("note", "record.patch", "idempotent"),
    "tag.put": ("tag", "sim.tag", "idempotent"),
    "mail.send": ("mail", "sim.mail", "keyed"),
    "pay.send": ("pay", "sim.pay", "unsafe"),
}
#: What undoes them, where something can.
UNDOING: Final = {
    "note.restore": ("note", "record.restore", "idempotent"),
    "mail.recall": ("mail", "sim.recall", "keyed"),
    "pay.refund": ("pay", "sim.refund", "unsafe"),
}
COMPENSATION: Final = {"note.patch": "note.restore", "mail.send": "mail.recall", "pay.send": "pay.refund"}
EVERYTHING: Final = {**CAPABILITIES, **UNDOING}
REMOTE: Final = tuple(handler for _, handler, _ in EVERYTHING.values() if handler.startswith("sim."))
UNSAFE: Final = frozenset(handler for _, handler, safety in EVERYTHING.values() if safety == "unsafe")
KINDS: Final = ("a", "b", "c")

_QUEUE: Final = {"groups": [LEAD_GROUP], "service_time": "4h", "owner": LEAD_GROUP}
_PARAMETERS: Final = closed(text={"type": "string", "maxLength": 40}, amount={"type": "integer"})


def plan_of(capability: str) -> str:
    """The contract of an agent that proposes `capability`."""
    return f"plan-{capability.replace('.', '-')}@1"


def facts_shape(**more: Json) -> Json:
    return closed(kind={"enum": list(KINDS)}, score={"type": "integer"}, **more)


def surroundings() -> dict[Key, Json]:
    """Everything but workflows and routing tables."""
    found = [
        document("Contract", "request@1", {"schema": request_schema()}),
        document("Contract", "facts@1", {"schema": facts_shape()}),
        *(
            document("ReviewQueue", name, {"groups": [LEAD_GROUP], "service_time": "4h", "owner": LEAD_GROUP})
            for name in QUEUES
        ),
        _policy("one-lead", 1),
        _policy("two-leads", 2),
        _policy("small-is-fine", 1, fast_path="parameters.amount < 20"),
        document("Role", LEAD_GROUP, {"people": True, "grants": [_allowed(name) for name in EVERYTHING]}),
        document("Role", DESK, {"people": True, "grants": []}),
        document("Role", "basic", {"people": False, "grants": _basic_grants()}),
        document("Role", "trusted", {"people": False, "grants": _trusted_grants()}),
        document("Agent", "clerk", agent_spec(["basic"])),
        document("Agent", "senior", agent_spec(["basic", "trusted"])),
    ]
    for name in CAPABILITIES:
        action = proposal(name, CAPABILITIES[name][0])
        found.append(document("Contract", plan_of(name), {"schema": facts_shape(action=action)}))
    found += [document("Capability", name, _capability(name)) for name in EVERYTHING]
    return {Key(one["kind"], one["metadata"]["name"]): one for one in found}


def _capability(name: str) -> Json:
    resource, handler, safety = EVERYTHING[name]
    parameters = _PARAMETERS if name in CAPABILITIES else {"type": "object", "additionalProperties": True}
    spec = {"resource": resource, "risk": "low", "safety": safety, "handler": handler, "parameters": parameters}
    return {**spec, "compensation": COMPENSATION[name]} if name in COMPENSATION else spec


def request_schema() -> Json:
    """Of what is submitted: `seed` drives the agents of that run."""
    return closed(id={"type": "string"}, seed={"type": "integer"}, amount={"type": "integer"}, tier={"type": "integer"})


def agent_spec(roles: list[str]) -> Json:
    return {"owner": "ada", "roles": roles, "connector": {"python": "sim.agent"}, "settings": {}}


def _policy(name: str, quorum: int, **spec: Json) -> Json:
    stages = [{"groups": [LEAD_GROUP], "quorum": quorum}]
    return document("ApprovalPolicy", name, {"stages": stages, "deadline": "5m", "reason": "always", **spec})


def _allowed(capability: str) -> Json:
    return {"capability": capability, "effect": "allow"}


def _basic_grants() -> list[Json]:
    return [
        {"capability": "note.create", "effect": "allow"},
        {"capability": "note.patch", "effect": "gate", "policy": "small-is-fine", "when": "parameters.amount > 60"},
        {"capability": "tag.put", "effect": "allow", "when": "parameters.amount < 95"},
        {"capability": "mail.send", "effect": "gate", "policy": "one-lead"},
        {"capability": "pay.send", "effect": "gate", "policy": "small-is-fine"},
        *(_allowed(name) for name in UNDOING),
    ]


def _trusted_grants() -> list[Json]:
    return [
        {"capability": "note.patch", "effect": "allow"},
        {"capability": "mail.send", "effect": "allow", "when": "parameters.amount < 50"},
        {"capability": "pay.send", "effect": "gate", "policy": "two-leads", "when": "parameters.amount > 90"},
    ]
