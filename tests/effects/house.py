"""Small lives for effects: a ticket that is replied to (local), a payment that is sent (remote), and what undoes both. Pure."""

from __future__ import annotations

from aegis.core.actors import Actor
from orchestration.agents.protocol import Done
from orchestration.engine.moves import EffectAnswered, Message
from orchestration.workflows.definition import ActStep, AgentStep, Common, Definition, OnFailure, Retry, Step
from tests.engine.world import AGENT_ID, Life, MemoryWorld, policy

PERSON = Actor("user", "00000000-0000-0000-0000-0000000000aa", "session")
THING = {"type": "ticket", "id": "T-1"}
AT_ONCE = Retry(attempts=4, jitter=False)


def proposal(capability: str, **parameters: object) -> dict:
    return {"capability": capability, "resource": THING, "parameters": parameters, "justification": "asked"}


def capability(handler: str, *, safety: str = "keyed", compensation: str = "") -> dict:
    return {
        "resource": "ticket", "risk": "low", "safety": safety, "handler": handler, "digest": handler.ljust(64, "0"),
        "parameters": {"type": "object"}, "compensation": compensation,
    }  # fmt: skip


def world(safety: str = "keyed", **effects: str) -> MemoryWorld:
    """`ticket.reply` (local), `ticket.pay` (remote, of a safety class), both with what undoes them; all granted to the clerk.

    Args:
        effects: capability (dots as "__") -> "allow", "gate" or "deny"; allowed otherwise.
    """
    capabilities = {
        "ticket.reply": capability("record.patch", safety="idempotent", compensation="ticket.restore"),
        "ticket.restore": capability("record.restore", safety="idempotent"),
        "ticket.pay": capability("bank.pay", safety=safety, compensation="ticket.refund"),
        "ticket.refund": capability("bank.refund", safety=safety),
    }
    granted = {name: effects.get(name.replace(".", "__"), "allow") for name in capabilities}
    grants = [
        {"capability": name, "effect": effect, **({"policy": "sign-off"} if effect == "gate" else {})}
        for name, effect in granted.items()
    ]
    made = MemoryWorld(
        matrix_document={
            "capabilities": capabilities,
            "roles": {"desk": {"people": False, "grants": grants}},
            "locks": {},
            "policies": {"sign-off": {"stages": [{"groups": ["Leads"], "quorum": 1}], "reason": "always"}},
            "agents": {AGENT_ID: {"name": "clerk", "roles": ["desk"], "enabled": True}},
        },
        policies={"sign-off": policy()},
        remote={"bank.pay", "bank.refund"},
    )
    made.records[("ticket", "T-1")] = (1, {"status": "open"})
    return made


def ask(step: str, **options: object) -> AgentStep:
    return AgentStep(Common(step), agent="clerk", output="out@1", **options)


def act(step: str, *, compensate: bool = True, retry: Retry = AT_ONCE, **on_failure: OnFailure) -> ActStep:
    return ActStep(
        Common(step, on_failure=on_failure), act=f"steps.plan.output.{step}", source="plan", retry=retry, compensate=compensate
    )


def workflow(*steps: Step) -> Definition:
    return Definition(
        name="w", title="W", owner="Desk", input="in@1", business_key="'k'", fallback_queue="people",
        steps=(ask("plan"), *steps),
    )  # fmt: skip


def planned(of: MemoryWorld, *steps: Step, **proposals: dict) -> Life:
    """A run whose agent has proposed what each act step carries out: `planned(world(), act("pay"),
    pay=proposal("ticket.pay"))`."""
    life = Life(workflow(*steps), of)
    life.turn()
    life.reply(Done(proposals))
    go_on(life)
    return life


def go_on(life: Life, types: list[str] | None = None) -> list[str]:
    """Take the turns that are due at once: what a run undoes next may rest on what its last turn committed."""
    types = list(types or [])
    while life.due_at is not None and life.due_at <= life.world.now:
        types += life.turn()
    return types


def answer(life: Life, error: str = "", *, result: object = None, retry_after: float = 0.0) -> list[str]:
    """The other side's answer to the effect that is under way."""
    state = life.state
    assert state.phase == "acting"
    heard = EffectAnswered(state.step, state.visit, state.intent.key, state.attempt, result, error, "said", 3, retry_after)
    return go_on(life, life.turn(heard))


def when_due(life: Life) -> list[str]:
    """Wait for the next attempt, and take it."""
    life.turn()
    assert life.due_at is not None
    life.world.now = life.due_at
    return life.turn()


def settle(life: Life, outcome: str, **fields: object) -> list[str]:
    """A person answers the review item that the run waits for."""
    return go_on(life, life.turn(Message(2, "review_settled", life.state.item, outcome, PERSON, "", **fields)))


def cancel(life: Life, *others: object) -> list[str]:
    return go_on(life, life.turn(Message(3, "cancel", "", "", PERSON, "stop it"), *others))


def sent(life: Life) -> list[tuple[str, int]]:
    """(key, attempt) of every intent."""
    return [(data["key"], data["attempt"]) for type_, data in life.events if type_ == "effect.intended"]


def types_since(life: Life, count: int) -> list[str]:
    return [type_ for type_, _ in life.events[count:]]
