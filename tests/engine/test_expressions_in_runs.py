"""What a mapping computes is recorded and read back; what strict reading would refuse goes before people instead."""

from __future__ import annotations

import pytest

from aegis.core import canonical
from aegis.core.canonical import MAX_DEPTH, MAX_PAYLOAD_BYTES
from orchestration.agents.protocol import Done
from orchestration.routing import tables
from orchestration.workflows.definition import (
    ActStep,
    AgentStep,
    Common,
    Definition,
    FinishStep,
    GateStep,
    OnFailure,
    RouteStep,
    SetStep,
)
from tests.engine.world import AGENT_ID, Life, MemoryWorld, policy


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


PAYLOAD = {
    "n": canonical.MAX_SAFE_INTEGER,
    "text": "x" * (MAX_PAYLOAD_BYTES // 2),
    "deep": nested(MAX_DEPTH - 1),
    "key": {"k" * 100_000: 1},
    "none": {},
}
BAD = {
    "an integer beyond 2^53": "input.n * 1000",
    "one deep inside": "{'a': [input.n + 1]}",
    "a result too large": "input.text + input.text",
    "a result too deep": "[[input.deep]]",
    "not finite": "1.0 / 0.0",
    "a NUL": "'a\\u0000'",
    "a key that is no text and a NUL": "{'\\u0000': 1}",
    "a missing key named NUL": "input.none['\\u0000']",
    "a missing key of many letters": "input.none[input.text]",
    "a large integer below a long key": "{input.text: input.n + 1}",
}
FINISH = FinishStep(Common("end"), "fine")


def route(source: str) -> RouteStep:
    return RouteStep(Common("s"), table="t", facts={"n": source}, cases={"go": "end", "unknown": OnFailure("queue", "people")})


MAKE = {
    "agent": lambda source: AgentStep(Common("s"), agent="clerk", output="out@1", input={"x": source}),
    "gate": lambda source: GateStep(Common("s"), policy="sign-off", proposal=source),
    "route": route,
    "set": lambda source: SetStep(Common("s"), {"x": source}),
}


def life_of(*steps: object, payload: object = PAYLOAD) -> Life:
    definition = Definition(
        name="w", title="W", owner="Desk", input="in@1", business_key="'k'", fallback_queue="people", steps=steps
    )
    world = MemoryWorld(
        matrix_document={
            "capabilities": {}, "roles": {"desk": {"people": False, "grants": []}}, "locks": {}, "policies": {},
            "agents": {AGENT_ID: {"name": "clerk", "roles": ["desk"], "enabled": True}},
        },
        policies={"sign-off": policy()},
    )  # fmt: skip
    table = tables.load(
        {
            "apiVersion": "aegis/v1", "kind": "RoutingTable", "metadata": {"name": "t"},
            "spec": {
                "inputs": {"n": "any"}, "outputs": {"case": "string"}, "hit_policy": "First",
                "rules": [{"id": "r1", "when": "n == 1", "then": {"case": "go"}}], "default": {"case": "unknown"},
            },
        }
    )  # fmt: skip
    return Life(definition, world, payload=payload, tables={"t": table})


def read_back(life: Life) -> None:
    """Every payload of the last turn, as its readers read it."""
    for draft in life.last.drafts:
        for body in draft.payloads.values():
            canonical.parse(body)


@pytest.mark.parametrize("kind", MAKE)
@pytest.mark.parametrize("source", BAD.values(), ids=BAD)
def test_a_value_that_cannot_be_recorded_is_put_before_people(kind: str, source: str) -> None:
    life = life_of(MAKE[kind](source), FINISH)

    assert life.turn() == ["expression.failed", "review.opened"]
    assert life.last.items[0].code == "expression"
    assert life.last.call is None
    assert life.last.openings == []
    read_back(life)


def test_a_proposal_that_cannot_be_recorded_is_put_before_people() -> None:
    life = life_of(
        AgentStep(Common("draft"), agent="clerk", output="out@1", input={}),
        ActStep(Common("s"), act="{'capability': 'c', 'parameters': {'n': input.n + 1}}", source="draft"),
        FINISH,
        payload={"n": canonical.MAX_SAFE_INTEGER},
    )
    life.turn()
    assert life.reply(Done({})) == ["step.completed", "expression.failed", "review.opened"]
    read_back(life)


@pytest.mark.parametrize("kind", ["agent", "set"])
def test_values_that_fit_one_by_one_must_fit_together(kind: str) -> None:
    step = MAKE[kind]("input.text")
    name = "input" if kind == "agent" else "values"
    getattr(step, name).update(y="input.text", z="input.text")

    assert life_of(step, FINISH).turn() == ["expression.failed", "review.opened"]


def test_what_can_be_recorded_goes_through_as_it_is() -> None:
    life = life_of(SetStep(Common("s"), {"n": "input.n", "text": "input.text", "deep": "input.deep"}), FINISH)

    assert life.turn() == ["value.set", "run.completed"]
    assert life.values["s"] == {name: PAYLOAD[name] for name in ("n", "text", "deep")}
    read_back(life)


def test_the_reason_names_the_place() -> None:
    life = life_of(SetStep(Common("s"), {"x": "{'a': [input.n + 1]}"}), FINISH)
    life.turn()

    detail = canonical.parse(life.last.drafts[0].payloads["detail"])["detail"]
    assert detail == "x: /a/0: integer beyond 2^53-1; send it as text"
