"""From where the values of a proposal are known, as a fact of its verdict. Pure (`authority.provenance`, docs/adr/0027)."""

from __future__ import annotations

from collections.abc import Mapping

from aegis.core.canonical import Json
from orchestration.authority import provenance
from orchestration.authority.provenance import Known, Place, Source
from orchestration.engine.scene import Scene
from orchestration.engine.steps.proposals import Proposal
from orchestration.engine.world_port import RecordSnapshot
from orchestration.workflows.definition import AgentStep


def facts_for(scene: Scene, proposal: Proposal, record: RecordSnapshot, *, source: str) -> dict[str, Json]:
    """The facts `provenance` and `traced`, where a grant asks for them or a person may be asked; else none.

    Args:
        source: the step whose output holds the proposal: it is no evidence for itself.
    """
    matrix = scene.world.matrix()
    capability = matrix.capabilities.get(proposal["capability"])
    if capability is None or capability.name not in matrix.traced:
        return {}
    release = scene.run.release
    told = [(_input_base(scene), "", release.definition.input, _input_place(scene), scene.input)]
    for step_id, place in sorted(scene.state.outputs.items()):
        step = release.definition.step(step_id)
        if isinstance(step, AgentStep) and step_id != source and step_id in scene.values:
            told.append(("agent", step_id, step.output, place, scene.values[step_id]))
    sources, named = [], []
    for base, step_id, contract, place, value in told:
        is_known = contract in release.contracts
        sources.append(Source(base, value, release.contracts[contract].schema if is_known else {}))
        digest = release.pins[f"Contract/{contract}"] if is_known else ""
        named.append({"base": base, "step": step_id, "place": place, "contract": contract, "digest": digest})
    stands = _record_base(scene, record)
    sources.append(Source(stands, dict(record.body) if record.body is not None else {}, {}))
    known, asked = Known(sources), (proposal["parameters"], capability.parameters.schema)
    return {
        "provenance": provenance.trace(*asked, known),
        "traced": {"v": provenance.VERSION, "record": stands, "from": named, "outside": provenance.quotes(*asked, known)},
    }


def outside_of(facts: Mapping[str, Json]) -> dict[str, list[list[str]]]:
    """Path of each leaf that stands in a field from outside -> [step ("" is the input), contract, field], for people.

    Reads what was recorded, perhaps by an earlier release or with values masked: what has another form is left out.
    """
    traced = facts.get("traced")
    if not isinstance(traced, Mapping) or not isinstance(traced.get("outside"), Mapping):
        return {}
    named = [one for one in traced["from"] if isinstance(one, Mapping)]
    return {
        path: [
            [str(named[number].get("step", "")), str(named[number].get("contract", "")), str(field)] for number, field in spots
        ]
        for path, spots in traced["outside"].items()
        if isinstance(spots, list)
    }


def _record_base(scene: Scene, record: RecordSnapshot) -> Place:
    """A record that this run changed holds what its agents brought up; it is no evidence for what they propose next."""
    is_pending = any((patch.record.type, patch.record.key) == (record.type, record.key) for patch in scene.patches)
    is_own = is_pending or scene.world.has_written(record.type, record.key, scene.run.id)
    return "agent" if is_own else "record"


def _input_base(scene: Scene) -> Place:
    """What the requester wrote himself: the input of a run that somebody submitted. Inside a block, or in a run that another
    workflow wanted, expressions and agents have had their hands on it."""
    if scene.run.is_child:
        return "agent"
    return "requester" if scene.run.requester else "outside"


def _input_place(scene: Scene) -> str:
    return scene.state.input or f"{scene.run.stream}/1"
