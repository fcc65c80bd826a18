"""What stands outside AEGIS: agents that answer as their seed says, and two receivers of every effect.

The deduplicating receiver applies a key once; its naive twin applies whatever arrives. Both count by what the effect *is* (run,
step, visit), never by the key alone: a key that changes between attempts must not hide a second payment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from orchestration.agents.protocol import Abstain, CallFailed, Done, Reply
from orchestration.engine.intended import AgentCall, EffectCall
from orchestration.engine.moves import EffectAnswered, Replied
from tests.simulation import house
from tests.simulation.violation import Violation

Json = Any
Effect = tuple[str, str, int, bool]  # run, step, visit; is it what undoes it

KEYS: Final = ("1", "2", "3")  # few, so that runs meet on one record


def reply_to(rng: Random, output: str, *, calm: bool = False) -> Reply | CallFailed:
    """What an agent says whose step has this output contract. Calm: nothing but sense."""
    draw = rng.random() if not calm else 1.0
    if draw < 0.05:
        return Abstain("no idea")
    if draw < 0.15:
        return CallFailed("agent_error", "it broke")
    value = message(rng, output)
    if draw < 0.2:
        value.pop("kind")
    elif draw < 0.24 and "action" in value:
        value["action"]["parameters"] = {"text": 7}
    return Done(value, confidence=rng.choice([None, 0.2, 0.5, *[0.9] * 7]) if not calm else 0.9)


def message(rng: Random, contract: str) -> Json:
    """A value that keeps one of the contracts of the house."""
    value: Json = {"kind": rng.choice(house.KINDS), "score": rng.randrange(100)}
    capability = next((name for name in house.CAPABILITIES if house.plan_of(name) == contract), None)
    if capability:
        value["action"] = action(rng, capability)
    return value


def action(rng: Random, capability: str) -> Json:
    return {
        "capability": capability,
        "resource": {"type": house.CAPABILITIES[capability][0], "id": rng.choice(KEYS)},
        "parameters": {"text": rng.choice(["x", "y"]), "amount": rng.randrange(100)},
    }


def effect_of(run_id: object, call: EffectCall) -> Effect:
    return (str(run_id), call.step, call.visit, "/undo" in call.key)


@dataclass
class Receivers:
    """Both receivers, and what they were ever asked."""

    known: dict[str, tuple[Effect, Json]] = field(default_factory=dict)
    applied: Counter[Effect] = field(default_factory=Counter)  # at the deduplicating one
    naive: Counter[Effect] = field(default_factory=Counter)

    def take(self, effect: Effect, call: EffectCall, *, refusal: str) -> tuple[Json, str]:
        """(result, error). A refusal applies nothing anywhere."""
        if refusal:
            return None, refusal
        self.naive[effect] += 1
        body: Mapping[str, Json] = {"resource": dict(call.resource), "parameters": dict(call.parameters)}
        if call.key not in self.known:
            self.known[call.key] = (effect, body)
            self.applied[effect] += 1
        elif self.known[call.key] != (effect, body):
            raise Violation("one key, one effect", f"key {call.key} came again with something else")
        return {"id": call.key}, ""

    def forget(self) -> None:
        self.known.clear()
        self.applied.clear()
        self.naive.clear()


def is_answer(call: AgentCall | EffectCall | None, news: Replied | EffectAnswered) -> bool:
    if isinstance(call, EffectCall) and isinstance(news, EffectAnswered) and call.key != news.key:
        return False
    return call is not None and (call.step, call.visit, call.attempt) == (news.step, news.visit, news.attempt)


def timed_out(call: AgentCall | EffectCall) -> Replied | EffectAnswered:
    if isinstance(call, AgentCall):
        return Replied(call.step, call.visit, call.attempt, CallFailed("timeout", "no answer"), 1)
    return EffectAnswered(call.step, call.visit, call.key, call.attempt, None, "unknown", "no answer", 1)
