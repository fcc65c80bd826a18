"""Lives of the pure core to play through: workflows of a step or two, a world that grants as told, what people send."""

from __future__ import annotations

from aegis.core.actors import Actor
from orchestration.agents.protocol import Done
from orchestration.engine.moves import Message
from orchestration.workflows.definition import (
    ActStep,
    AgentStep,
    Common,
    Definition,
)
from tests.engine.world import AGENT_ID, Life, MemoryWorld, policy

PERSON = Actor("user", "00000000-0000-0000-0000-0000000000aa", "session")
PROPOSAL = {
    "capability": "ticket.reply",
    "resource": {"type": "ticket", "id": "T-1"},
    "parameters": {"body": "Hello"},
    "justification": "asked",
}


def workflow(*steps: object) -> Definition:
    return Definition(
        name="w", title="W", owner="Desk", input="in@1", business_key="'k'", fallback_queue="people", steps=tuple(steps)
    )


def ask(step: str = "ask", **options: object) -> AgentStep:
    common = options.pop("common", Common(step))
    return AgentStep(common, agent="clerk", output="out@1", **options)


def world_with(
    effect: str = "allow", *, safety: str = "idempotent", handler: str = "record.patch", **grant: object
) -> MemoryWorld:
    """ticket.reply for the clerk, as `effect` says, on an existing ticket."""
    document = {
        "capabilities": {
            "ticket.reply": {
                "resource": "ticket", "risk": "low", "safety": safety, "handler": handler, "digest": "c" * 64,
                "parameters": {"type": "object"},
            }
        },
        "roles": {"desk": {"people": False, "grants": [{"capability": "ticket.reply", "effect": effect, **grant}]}},
        "locks": {},
        "policies": {"sign-off": {"stages": [{"groups": ["Leads"], "quorum": 1}], "reason": "always"}},
        "agents": {AGENT_ID: {"name": "clerk", "roles": ["desk"], "enabled": True}},
    }  # fmt: skip
    world = MemoryWorld(matrix_document=document, policies={"sign-off": policy()})
    world.records[("ticket", "T-1")] = (1, {"status": "open"})
    return world


ACT = (ask("draft"), ActStep(Common("reply"), act="steps.draft.output.reply", source="draft"))


def drafted(world: MemoryWorld, **proposal: object) -> Life:
    life = Life(workflow(*ACT), world)
    life.turn()
    life.reply(Done({"reply": {**PROPOSAL, **proposal}}))
    return life


def message(life: Life, kind: str, outcome: str = "", **fields: object) -> Message:
    ref = life.state.request if kind == "gate_settled" else life.state.item
    if kind == "gate_settled":
        fields.setdefault("digest", life.state.digest)
    return Message(ordinal=2, kind=kind, ref=fields.pop("ref", ref), outcome=outcome, actor=PERSON, reason="because", **fields)
