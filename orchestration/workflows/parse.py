"""From a Workflow document to a `Definition`: strict, and closed (every step it names is a step it has). Pure.

What needs other documents (contracts, tables, agents ...) is `lint`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from aegis.core import durations
from aegis.core.canonical import Json
from aegis.core.errors import Invalid
from orchestration.workflows import parse_waits, samples
from orchestration.workflows.definition import (
    ActStep,
    AgentStep,
    Body,
    Common,
    Definition,
    FinishStep,
    GateStep,
    MapStep,
    OnFailure,
    ParallelStep,
    Retry,
    ReviewStep,
    RouteStep,
    RunStep,
    SetStep,
    Step,
    WaitStep,
)
from orchestration.workflows.parse_faults import faults_of
from orchestration.workflows.paths import paths_of, proposing_step
from orchestration.workflows.places import at_least, kind_of
from orchestration.workflows.schema import SCHEMA

__all__ = ["SCHEMA", "WorkflowInvalid", "faults_of", "load", "read"]

_DEFAULT_RETRY: Final = Retry()


class WorkflowInvalid(Invalid):
    """Refused at save; each fault points into the document."""

    code, title = "workflow_invalid", "The workflow cannot be used"


def load(document: Json) -> Definition:
    """Read a Workflow document.

    Raises:
        WorkflowInvalid: it breaks the schema, repeats a step id, or names a step it does not have.
    """
    if faults := faults_of(document):
        raise WorkflowInvalid(f"The workflow cannot be used: {faults[0]}", faults=faults)
    return read(document)


def read(document: Json) -> Definition:
    """As `load`, of a document that `faults_of` has nothing against."""
    metadata, spec = document["metadata"], document["spec"]
    return Definition(
        name=metadata["name"],
        title=metadata.get("title", "") or metadata["name"],
        owner=metadata["owner"],
        input=spec["input"],
        business_key=spec["business_key"],
        fallback_queue=spec["fallback"]["queue"],
        steps=_with_gate_sources(_steps(spec["steps"], ""), ()),
        priority=str(spec.get("priority", 3)),
        success=spec.get("success", ""),
        output=spec["output"]["value"] if "output" in spec else "",
        output_contract=spec["output"]["contract"] if "output" in spec else "",
        samples=samples.load(spec.get("samples", ())),
        **parse_waits.of_spec(spec, _on_failure),
    )


def _common(step: Mapping[str, Json]) -> Common:
    return Common(
        id=step["id"],
        title=step.get("title", ""),
        next=step.get("next", ""),
        on_failure={code: _on_failure(action) for code, action in step.get("on_failure", {}).items()},
        max_visits=step.get("max_visits", 1),
        requires=tuple(step.get("requires", ())),
        deadline=durations.parse(step["deadline"]) if "deadline" in step else None,
        skill=step.get("skill", ""),
    )


def _on_failure(action: Json) -> OnFailure:
    if isinstance(action, str):
        return OnFailure("fail" if action == "fail" else "compensate" if action == "compensate" else "queue")
    if "step" in action:
        return OnFailure("step", action["step"])
    return OnFailure("queue", action["queue"])


def _retry(step: Mapping[str, Json]) -> Retry:
    retry = step.get("retry")
    if retry is None:
        return _DEFAULT_RETRY
    return Retry(
        attempts=retry["attempts"],
        backoff=durations.parse(retry["backoff"]) if "backoff" in retry else _DEFAULT_RETRY.backoff,
        factor=float(retry.get("factor", _DEFAULT_RETRY.factor)),
        cap=durations.parse(retry["cap"]) if "cap" in retry else _DEFAULT_RETRY.cap,
        jitter=retry.get("jitter", _DEFAULT_RETRY.jitter),
    )


def _agent(step: Mapping[str, Json]) -> Step:
    unsure = step.get("confidence_below")
    return AgentStep(
        common=_common(step),
        agent=step["agent"],
        output=step["output"],
        input=dict(step.get("input", {})),
        retry=_retry(step),
        confidence_below=(float(unsure["value"]), unsure["queue"]) if unsure else None,
        abstain_queue=step.get("abstain_queue", ""),
        **_timeout(step),
    )


def _act(step: Mapping[str, Json], items: str) -> Step:
    return ActStep(
        common=_common(step),
        act=step["act"],
        source=proposing_step(step["act"], items),
        retry=_retry(step),
        compensate=step.get("compensate", False),
        **_timeout(step),
    )


def _timeout(step: Mapping[str, Json]) -> dict[str, Any]:
    return {"timeout": durations.parse(step["timeout"])} if "timeout" in step else {}


def _route(step: Mapping[str, Json]) -> Step:
    cases = {
        case: target if isinstance(target, str) else OnFailure("queue", target["queue"])
        for case, target in step["cases"].items()
    }
    return RouteStep(common=_common(step), table=step["route"], facts=dict(step["facts"]), cases=cases)


def _gate(step: Mapping[str, Json]) -> Step:
    return GateStep(
        common=_common(step), policy=step["gate"], proposal=step.get("proposal", ""), risk=step.get("risk", "medium")
    )


def _review(step: Mapping[str, Json]) -> Step:
    return ReviewStep(common=_common(step), queue=step["review"], output=step["output"])


def _set(step: Mapping[str, Json]) -> Step:
    return SetStep(common=_common(step), values=dict(step["set"]))


def _wait(step: Mapping[str, Json]) -> Step:
    return WaitStep(common=_common(step), **parse_waits.of_wait(step["wait"]))


def _finish(step: Mapping[str, Json]) -> Step:
    return FinishStep(common=_common(step), outcome=step["finish"])


def _parallel(step: Mapping[str, Json], items: str) -> Step:
    branches = {
        name: Body(_steps(branch["steps"], items), branch.get("output", "")) for name, branch in step["parallel"].items()
    }
    return ParallelStep(common=_common(step), branches=branches, at_least=at_least(step))


def _map(step: Mapping[str, Json], _items: str) -> Step:
    return MapStep(
        common=_common(step),
        items=step["map"],
        body=Body(_steps(step["steps"], step["map"]), step.get("output", "")),
        at_once=step.get("at_once", 5),
        max_items=step.get("max_items", 100),
        collects=step.get("on_item_failure") == "collect",
    )


def _run(step: Mapping[str, Json]) -> Step:
    return RunStep(common=_common(step), workflow=step["run"], input=dict(step.get("input", {})))


_BUILDERS: Final[Mapping[str, Callable[[Mapping[str, Json]], Step]]] = {
    "agent": _agent,
    "route": _route,
    "gate": _gate,
    "review": _review,
    "set": _set,
    "wait": _wait,
    "run": _run,
    "finish": _finish,
}
#: Those that must know the list whose items are walked around them ("" outside of a `map`).
_SCOPED_BUILDERS: Final[Mapping[str, Callable[[Mapping[str, Json], str], Step]]] = {
    "act": _act,
    "parallel": _parallel,
    "map": _map,
}


def _steps(steps: list[Mapping[str, Json]], items: str) -> tuple[Step, ...]:
    kinds = [(kind_of(step), step) for step in steps]
    return tuple(_SCOPED_BUILDERS[k](step, items) if k in _SCOPED_BUILDERS else _BUILDERS[k](step) for k, step in kinds)


def _with_gate_sources(steps: tuple[Step, ...], outer: tuple[Step, ...]) -> tuple[Step, ...]:
    """A gate binds the owner of the agent whose output it asks about: the first agent that its proposal names."""
    agents = {step.common.id for step in (*steps, *outer) if isinstance(step, AgentStep)}

    def inside(body: Body) -> Body:
        return replace(body, steps=_with_gate_sources(body.steps, (*outer, *steps)))

    def sourced(step: Step) -> Step:
        match step:
            case GateStep() if step.proposal:
                return replace(step, source=next((path.step for path in paths_of(step.proposal) if path.step in agents), ""))
            case ParallelStep():
                return replace(step, branches={name: inside(body) for name, body in step.branches.items()})
            case MapStep():
                return replace(step, body=inside(step.body))
            case _:
                return step

    return tuple(sourced(step) for step in steps)
