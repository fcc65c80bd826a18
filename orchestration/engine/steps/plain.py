"""`route`, `set` and `finish`: what needs nobody's answer."""

from __future__ import annotations

from aegis.core.canonical import Json
from aegis.core.expressions import Failed, compile_condition
from orchestration.engine.scene import Scene, recordable
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
    case = found.case
    fallback = OnFailure("queue", scene.run.release.definition.fallback_queue)  # of a table that has no default for this
    target = step.cases[case] if case else fallback
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
    """End the run well, with what it leaves to its parent, and say whether it reached what the workflow calls success."""
    definition = scene.run.release.definition
    output = _output(scene)
    if isinstance(output, Failed):
        detail = {"detail": output.reason}
        place = {"step": scene.state.step, "visit": scene.state.visit}
        scene.emit("expression.failed", place, payloads={"detail": detail}, outcome="failed")
        _cannot_finish(scene, step, "expression")
        return
    contract = definition.output_contract
    if contract and (faults := scene.run.release.contracts[contract].faults(output)):
        scene.emit(
            "contract.violated",
            {"step": scene.state.step, "visit": scene.state.visit, "attempt": 0, "contract": contract, "faults": len(faults)},
            payloads={"message": output, "faults": [{"pointer": fault.where, "fault": fault.what} for fault in faults]},
            outcome="dead_letter",
        )
        _cannot_finish(scene, step, "contract")
        return
    scene.emit(
        "run.completed",
        {
            "outcome": step.outcome if step else "done",
            "success": _success(scene),
            # What may be undone later: by a rollback, or by the parent when that gives up.
            **({"keeps": True} if (definition.rollback or scene.run.is_child) and scene.state.effects else {}),
        },
        payloads={} if output is None else {"output": output},
        outcome="completed",
    )


def _output(scene: Scene) -> Json | Failed:
    """What the workflow says it leaves behind; of a body that says nothing, every output by step. None for no output."""
    definition = scene.run.release.definition
    if definition.output:
        return scene.evaluate(definition.output)
    if not definition.path:
        return None
    return recordable(
        {step.common.id: scene.values[step.common.id] for step in definition.steps if step.common.id in scene.values}
    )


def _cannot_finish(scene: Scene, step: FinishStep | None, code: str) -> None:
    """A `finish` step gives up as any step does; behind the last step there is none that could, so the run fails."""
    if step is not None:
        scene.give_up(code)
    else:
        scene.emit("run.failed", {"step": scene.state.step, "code": code}, outcome="failed")


def _success(scene: Scene) -> str:
    """ "yes", "no", "unknown" (the criterion could not be evaluated) or "none" (there is no criterion)."""
    source = scene.run.release.definition.success
    if not source:
        return "none"
    verdict = compile_condition(source, dict(VARIABLES)).test(scene.facts())
    if isinstance(verdict, Failed):
        return "unknown"
    return "yes" if verdict else "no"
