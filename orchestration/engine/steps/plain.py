"""`route`, `set` and `finish`: what needs nobody's answer."""

from __future__ import annotations

from aegis.core.expressions import Failed, compile_condition
from orchestration.engine.scene import Scene
from orchestration.engine.steps.agent import expression_failed
from orchestration.routing.tables import choose
from orchestration.workflows.definition import VARIABLES, FinishStep, OnFailure, RouteStep, SetStep


def route(scene: Scene, step: RouteStep) -> None:
    """Ask the table; take the case, or put an unknown one before people."""
    table = scene.run.release.tables[step.table]
    facts = scene.evaluate_all(step.facts)
    if isinstance(facts, Failed):
        expression_failed(scene, facts)
        return
    found = choose(table, facts)
    case = str(found.output["case"])
    target = step.cases[case]
    is_step = isinstance(target, str)
    scene.values[step.common.id] = dict(found.output)
    scene.emit(
        "route.chosen",
        {
            "step": step.common.id,
            "visit": scene.state.visit,
            "table": step.table,
            "digest": scene.run.release.pins[f"RoutingTable/{step.table}"],
            "rule": found.rule,
            "case": case,
            "next": target if is_step else "",
            "errors": len(found.errors),
        },
        payloads={"output": dict(found.output), "facts": facts, "errors": list(found.errors)},
        outcome="routed" if is_step else "queued",
    )
    if isinstance(target, OnFailure):
        steps = [name for name, other in step.cases.items() if isinstance(other, str)]
        scene.review("no_route", target.target, choices=steps)


def set_values(scene: Scene, step: SetStep) -> None:
    values = scene.evaluate_all(step.values)
    if isinstance(values, Failed):
        expression_failed(scene, values)
        return
    scene.values[step.common.id] = values
    scene.emit(
        "value.set",
        {"step": step.common.id, "visit": scene.state.visit, "next": scene.next_of(step)},
        payloads={"output": values},
        outcome="done",
    )


def finish(scene: Scene, step: FinishStep | None) -> None:
    """End the run well, and say whether it reached what the workflow calls success."""
    scene.emit(
        "run.completed",
        {"outcome": step.outcome if step else "done", "success": _success(scene)},
        outcome="completed",
    )


def _success(scene: Scene) -> str:
    """ "yes", "no", "unknown" (the criterion could not be evaluated) or "none" (there is no criterion)."""
    source = scene.run.release.definition.success
    if not source:
        return "none"
    verdict = compile_condition(source, dict(VARIABLES)).test(scene.facts())
    if isinstance(verdict, Failed):
        return "unknown"
    return "yes" if verdict else "no"
