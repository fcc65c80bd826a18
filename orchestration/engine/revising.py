"""Editing what a run asks about: the parameters of a proposal, written otherwise by an approver (docs/adr/0034).

What is edited is the output of the agent step in which the proposal stands, so that everything after the gate reads the edited
one. The new output keeps that step's contract, the parameters keep the capability's, and the live matrix is asked by the very
function that asks it before the effect, for the agent and for the editor. The run learns of it only if the edit is approved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.errors import Fault, Forbidden, Invalid
from aegis.identity.models import User
from approvals.models import ApprovalRequest
from approvals.questions import Editable, Revision
from orchestration.authority import live as authority
from orchestration.authority.matrix import Capability, Matrix
from orchestration.engine import hand, questions
from orchestration.engine import state as states
from orchestration.engine.models import Run
from orchestration.engine.questions import EffectQuestion, StepQuestion, shown_of
from orchestration.engine.scene import RunFacts, Scene
from orchestration.engine.state import State
from orchestration.engine.steps import act, traced
from orchestration.engine.steps.proposals import Proposal, proposal_faults
from orchestration.engine.world import LiveWorld, Wave
from orchestration.workflows import releases
from orchestration.workflows.definition import ActStep, AgentStep, AgentVersion, GateStep
from orchestration.workflows.paths import output_path
from orchestration.workflows.release import Release

Parts = Sequence[str | int]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the proposal stands that a run asks about.

    Attributes:
        source: the agent step; `output` is what it put out, or what was written in its place by an earlier edit.
        parts: from the output to the proposal.
    """

    run: Run
    state: State
    release: Release
    agent: AgentVersion
    source: AgentStep
    output: Json
    parts: Parts
    proposal: Proposal
    capability: Capability


class RevisableEffect(EffectQuestion):
    """May this proposal be carried out, or this one instead?"""

    def editable(self, request: ApprovalRequest) -> Editable | None:
        return _editable(request)

    def revise(self, request: ApprovalRequest, parameters: Json, editor: User) -> Revision:
        return _revise(self, request, parameters, editor)


class RevisableStep(StepQuestion):
    """Is this good enough to go on with, or this instead? Only where it is a proposal."""

    def editable(self, request: ApprovalRequest) -> Editable | None:
        return _editable(request)

    def revise(self, request: ApprovalRequest, parameters: Json, editor: User) -> Revision:
        return _revise(self, request, parameters, editor)


def _editable(request: ApprovalRequest) -> Editable | None:
    place = _place(request)
    return Editable(place.capability.parameters.schema, place.proposal["parameters"]) if place else None


def _revise(question: EffectQuestion | StepQuestion, request: ApprovalRequest, parameters: Json, editor: User) -> Revision:
    place = _place(request)
    assert place is not None, "only what is editable is revised"
    if not isinstance(parameters, dict):
        raise Invalid("The parameters cannot be taken", faults=[Fault("/parameters", "must be an object")])
    proposal = {**place.proposal, "parameters": parameters}
    output = replaced(place.output, place.parts, proposal)
    body = canonical.dump_checked(output)
    if len(body) > canonical.MAX_PAYLOAD_BYTES:
        raise Invalid(f"It has {len(body):,} bytes; at most {canonical.MAX_PAYLOAD_BYTES:,} are kept")
    _require_contract(place, output)
    scene = _scene(place)
    record = scene.record(proposal["resource"]["type"], proposal["resource"]["id"])
    author = authority.person_principal(editor.pk)
    facts, verdict = act.ask(scene, place.agent, proposal, record, author=author, source=place.source.common.id)
    if verdict.code == "parameters":
        faults = [Fault(f"/parameters{fault.where}", fault.what, fault.remedy) for fault in verdict.faults]
        raise Invalid("The parameters break the contract of the capability", faults=faults)
    if verdict.answer == "deny":
        roles = ", ".join(roles_with(scene.world.matrix(), verdict.capability)) or "nobody yet"
        raise Forbidden(
            f"The access matrix does not allow that: {verdict.reason}. {verdict.capability} is granted to: {roles}",
            right=verdict.capability,
            granted_by=roles,
        )
    edited = f"{request.stream}/{request.seq + 1}"  # where the output will stand
    evidence = [
        {**item, "place": edited, "digest": canonical.digest_of(output)} if item["step"] == place.source.common.id else item
        for item in shown_of(request)["evidence"]
    ]
    payloads: dict[str, Json] = {"proposal": proposal, "output": output, "evidence": evidence}
    if "provenance" in facts:
        payloads |= {"provenance": facts["provenance"], "outside": traced.outside_of(facts)}
    return Revision(
        digest=question.digest_of(request, payloads),
        payloads={name: canonical.dump(value) for name, value in payloads.items()},
        step=place.source.common.id,
        risk=verdict.risk,
    )


def roles_with(matrix: Matrix, capability: str) -> list[str]:
    """The roles of people that some grant gives the capability, in any form."""
    return sorted(
        name
        for name, role in matrix.roles.items()
        if role.is_for_people and (grant := role.grants.get(capability)) and grant.effect != "deny"
    )


def replaced(value: Json, parts: Parts, new: Json) -> Json:
    """The value with `new` at a place inside it; the rest is the same. `at` must have found something there."""
    if not parts:
        return new
    first, rest = parts[0], parts[1:]
    if isinstance(value, list):
        return [replaced(item, rest, new) if index == first else item for index, item in enumerate(value)]
    return {key: replaced(item, rest, new) if key == first else item for key, item in value.items()}


def at(value: Json, parts: Parts) -> Json | None:
    """What stands at a place inside a value; None if nothing does."""
    for part in parts:
        match value, part:
            case dict(), str() if part in value:
                value = value[part]
            case list(), int() if 0 <= part < len(value):
                value = value[part]
            case _:
                return None
    return value


def _place(request: ApprovalRequest) -> _Place | None:
    """The place of the proposal that is asked about; None where it is not one place in the output of an agent's step, or the
    run asks about something else by now (undoing an effect is nobody's proposal)."""
    run = Run.objects.get(pk=questions.run_id_of(request.subject))
    state = states.load(run.state)
    if (state.phase, state.request) != ("deciding", str(request.pk)) or state.ending or state.rollback:
        return None
    release = releases.load(run.release_id, state.path)
    step = release.definition.step(state.step)
    asked = step.act if isinstance(step, ActStep) else step.proposal if isinstance(step, GateStep) else ""
    path = output_path(asked) if asked else None
    source = release.definition.step(path.step) if path and path.step in state.outputs else None
    if path is None or not isinstance(source, AgentStep) or source.agent not in release.agents:
        return None
    proposal, parts = shown_of(request)["proposal"], path.parts[2:]
    output = _value_at(f"{request.stream}/{request.revision}" if request.revision else state.outputs[path.step])
    if proposal_faults(proposal) or canonical.dump(at(output, parts)) != canonical.dump(proposal):
        return None
    capability = authority.current().matrix.capabilities.get(proposal["capability"])
    if capability is None:
        return None
    return _Place(run, state, release, release.agents[source.agent], source, output, parts, proposal, capability)


def _value_at(place: str) -> Json:
    body = hand.payloads_at([place]).get(place)
    return canonical.load(body) if body else None


def _require_contract(place: _Place, output: Json) -> None:
    """The whole output keeps the contract of its step, as it had to when the agent wrote it."""
    inside = "".join(f"/{part}" for part in place.parts)
    faults = [
        Fault(fault.where.removeprefix(inside) if fault.where.startswith(inside) else fault.where, fault.what, fault.remedy)
        for fault in place.release.contracts[place.source.output].faults(output)
    ]
    if faults:
        raise Invalid(f"It breaks the contract {place.source.output}", faults=faults)


def _scene(place: _Place) -> Scene:
    """The run as its next turn will find it, to ask the matrix with the same facts."""
    run, state = place.run, place.state
    facts = RunFacts(
        id=run.pk,
        stream=f"run:{run.pk}",
        subject=str(run.subject_ref),
        requester=str(run.requester_id) if run.requester_id else "",
        release=place.release,
        is_child=run.parent_id is not None,
        lineage=tuple(run.lineage.split()),
        trace=run.trace,
    )
    input_place = state.input or f"{facts.stream}/1"
    bodies = hand.payloads_at([input_place, *state.outputs.values()])
    values = {step: canonical.load(bodies[where]) for step, where in state.outputs.items() if bodies.get(where)}
    wave = Wave()
    wave.begin()
    return Scene(
        run=facts,
        state=state,
        seq=run.seq,
        input=canonical.load(bodies[input_place]) if bodies.get(input_place) else None,
        values=values,
        world=LiveWorld(wave),
    )
