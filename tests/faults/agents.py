"""Scripted agents and a remote effect for fault tests, named by AEGIS_AGENT_MODULES. The input's `kind` says how to behave."""

from __future__ import annotations

import os
import random
import time
import urllib.request
from collections.abc import Callable

from aegis.core import canonical
from orchestration.agents.protocol import Abstain, AgentRequest, Done, Reply, python_agent
from orchestration.engine.effects import EffectRequest, effect_handler

SINK_VARIABLE = "AEGIS_TEST_SINK"  # address of the sink of this run of tests
PAUSE_VARIABLE = "AEGIS_TEST_PAUSE"  # longest pause of the agent, seconds
SLOW_SECONDS = 0.4

#: kind -> what the agent does instead of planning; tests of one process put their own here.
behaviours: dict[str, Callable[[AgentRequest], Reply]] = {}


@python_agent("faults.plan")
def plan(request: AgentRequest) -> Reply:
    """Proposes one remote effect and two local ones, always the same for the same request."""
    order, kind = request.input["id"], request.input["kind"]
    if kind in behaviours:
        return behaviours[kind](request)
    match kind:
        case "poison":
            os._exit(137)
        case "flaky" if request.attempt == 1:
            raise ConnectionError("the first try never works")
        case "abstain":
            return Abstain(reason="I do not know")
        case "garbage":
            return Done(output={"post": "nonsense"})
        case "slow":
            time.sleep(SLOW_SECONDS)
    time.sleep(random.uniform(0, float(os.environ.get(PAUSE_VARIABLE, "0"))))
    return plan_for(order, kind)


def plan_for(order: str, kind: str) -> Done:
    """The answer of a healthy agent."""
    post = "sink.fire" if kind == "unsafe" else "sink.post"
    return Done(
        output={
            "consent": _proposal("consent.give", "consent", order, {"text": f"ship {order}"}),
            "post": _proposal(post, "sink", order, {"text": f"post {order}"}),
            "store": _proposal("parcel.create", "parcel", order, {"text": f"store {order}"}),
        },
        confidence=1.0,
    )


@effect_handler("sink.post")
def post(request: EffectRequest) -> dict[str, str]:
    """Post to the receiver that deduplicates. Any error leaves open whether it arrived, as with every receiver outside."""
    return _send("keyed", request)


@effect_handler("sink.fire")
def fire(request: EffectRequest) -> dict[str, str]:
    """Post to the receiver that does not."""
    return _send("naive", request)


def _send(receiver: str, request: EffectRequest) -> dict[str, str]:
    call = urllib.request.Request(
        os.environ[SINK_VARIABLE] + receiver,
        data=canonical.dump({"resource": dict(request.resource), "parameters": dict(request.parameters)}),
        headers={"Idempotency-Key": request.key, "AEGIS-Fence": str(request.fence)},
        method="POST",
    )
    with urllib.request.urlopen(call, timeout=10) as answer:
        receipt: dict[str, str] = canonical.parse(answer.read())
    return receipt


def _proposal(capability: str, type_: str, order: str, parameters: dict[str, str]) -> dict[str, object]:
    return {"capability": capability, "resource": {"type": type_, "id": order}, "parameters": parameters}
