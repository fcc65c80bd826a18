"""Random definitions: any graph that the language can say, sense or not."""

from __future__ import annotations

from hypothesis import strategies as st

from orchestration.workflows import parse
from orchestration.workflows.definition import Definition
from tests.workflows.documents import document

QUEUES = ("desk", "other", "third")


@st.composite
def definitions(draw: st.DrawFn, max_steps: int = 14) -> Definition:
    count = draw(st.integers(1, max_steps))
    ids = [f"s{index}" for index in range(count)]
    steps = [draw(_step(name, ids)) for name in ids]
    spec = {"input": "a@1", "business_key": "input.id", "fallback": {"queue": "desk"}, "steps": steps}
    return parse.load(document("Workflow", "random", spec, owner="Anybody"))


@st.composite
def _step(draw: st.DrawFn, name: str, ids: list[str]):
    step = {"id": name}
    match draw(st.sampled_from(["agent", "route", "gate", "set", "finish"])):
        case "agent":
            step |= {"agent": "a", "output": "a@1"}
            if draw(st.booleans()):
                step["confidence_below"] = {"value": 0.5, "queue": draw(st.sampled_from(QUEUES))}
        case "route":
            targets = st.sampled_from(ids) | st.sampled_from(QUEUES).map(lambda queue: {"queue": queue})
            names = ["low", "high", "something rather long to say", "unknown"]
            step |= {"route": "t", "facts": {"x": "input.x"}}
            step["cases"] = draw(st.dictionaries(st.sampled_from(names), targets, min_size=1))
        case "gate":
            step["gate"] = "p"
        case "set":
            step["set"] = {"x": "1"}
        case _:
            step["finish"] = "done"
    if "finish" not in step and "route" not in step and draw(st.integers(0, 3)) == 0:
        step["next"] = draw(st.sampled_from(ids))
    if draw(st.integers(0, 3)) == 0:
        actions = (
            st.sampled_from(ids).map(lambda name: {"step": name})
            | st.sampled_from(QUEUES).map(lambda name: {"queue": name})
            | st.just("compensate")
        )
        step["on_failure"] = draw(st.dictionaries(st.sampled_from(["expression", "max_visits", "*"]), actions, max_size=2))
    return step
