"""The two questions the engine asks people: about an effect, and about a step's output.

A subject is "<run>/<step>/<visit>/<request>". What was shown is frozen in the payloads of `request.opened`; what stands now is
read again here, inside the deciding transaction, and must have the same digest (DESIGN promise 7).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar
from uuid import UUID

from django.db.models import Q

from aegis.core import canonical
from aegis.core.actors import Actor
from aegis.core.canonical import Json
from aegis.core.errors import Invalid
from aegis.identity.models import User
from approvals import evidence, policies
from approvals.models import ApprovalPolicy, ApprovalRequest
from approvals.questions import Evidence, Halted, Live, Outcome, Question
from audit.models import Payload
from orchestration.authority import live as authority
from orchestration.authority.matrix import Capability as Asked
from orchestration.authority.models import Capability
from orchestration.engine import inbox
from orchestration.engine import state as states
from orchestration.engine.guards import freezing
from orchestration.engine.models import InboxItem, Run
from orchestration.engine.separation import bound_people
from orchestration.engine.steps.proposals import Proposal, bound_digest, request_digest
from orchestration.records import handlers, store
from orchestration.workflows import makers, releases
from orchestration.workflows.definition import AgentStep, GateStep
from orchestration.workflows.makers import Makers


class _RunQuestion(Question):
    """What both have in common: they hang on a run, and settling them writes its inbox."""

    _did: ClassVar[str] = "step.completed"  # by which events an agent below counts as a maker

    def lock(self, subject: str) -> None:
        inbox.lock_run(run_id_of(subject))

    def halted(self, request: ApprovalRequest) -> Halted | None:
        return freezing.halt_over(request)

    def settled(self, request: ApprovalRequest, outcome: Outcome, actor: Actor, reason: str = "") -> None:
        signed = self._signed(request, shown_of(request)) if outcome == "approved" else ""
        queue = policies.load_text(request.policy.document).fallback_queue if outcome == "expired" else ""
        inbox.post(
            run_id_of(request.subject),
            InboxItem.Kind.GATE_SETTLED,
            actor=actor,
            ref=f"{request.pk}#{signed}#{queue}#{request.revision if outcome == 'approved' else 0}",
            outcome=outcome,
            reason=reason,
        )

    def is_operated_by(self, person: User, request: ApprovalRequest) -> bool:
        return Run.objects.visible_to(person, "operate").filter(pk=run_id_of(request.subject)).exists()

    def takes_changes(self, request: ApprovalRequest) -> bool:
        """Where an agent made what is judged, and the workflow lets both steps be visited once more."""
        run = Run.objects.get(pk=run_id_of(request.subject))
        visits = states.load(run.state).visits
        for scope in releases.load(run.release_id).definition.scopes():
            for step in scope.steps:
                if step.common.id != request.subject.split("/")[1]:
                    continue
                source = next((one for one in scope.steps if one.common.id == getattr(step, "source", "")), None)
                passed = (step, source)
                return isinstance(source, AgentStep) and all(
                    visits.get(one.common.id, 0) < one.common.max_visits for one in passed if one is not None
                )
        return False

    def digest_of(self, request: ApprovalRequest, shown: Mapping[str, Json]) -> str:
        """What a decision signs, of what is shown (`Live.digest`)."""
        return request_digest(self._signed(request, shown), _policy_digest(request), shown["evidence"])

    def _signed(self, request: ApprovalRequest, shown: Mapping[str, Json]) -> str:
        """The digest of what was approved, as it stands in the deciding transaction: the one an effect must have."""
        raise NotImplementedError

    def live(self, subject: str) -> Live:
        run = Run.objects.select_related("workflow").get(pk=run_id_of(subject))
        request = ApprovalRequest.objects.filter(pk=subject.rpartition("/")[2]).first()
        if request is None:
            return Live(title="The question is gone", digest="", is_current=False)
        shown = shown_of(request)
        waits = states.load(run.state)
        is_waiting = waits.phase == "deciding" and waits.request == str(request.pk)
        places = [item["place"] for item in shown["evidence"]]
        bound = bound_people(run.requester_id, self._makers(run, request, shown), places, run.pk, did=self._did)
        return self._live(run, request, shown, bound, is_waiting)

    def _makers(self, run: Run, request: ApprovalRequest, shown: Mapping[str, Json]) -> Makers:
        """Whose work is judged."""
        return Makers((request.agent,))

    def _live(
        self, run: Run, request: ApprovalRequest, shown: dict[str, Json], bound: dict[str, str], is_waiting: bool
    ) -> Live:
        """The part that differs."""
        raise NotImplementedError


class EffectQuestion(_RunQuestion):
    """May this proposal be carried out?"""

    kind: ClassVar[str] = "effect"
    looks_at_fast_paths: ClassVar[bool] = True

    def _live(
        self, run: Run, request: ApprovalRequest, shown: dict[str, Json], bound: dict[str, str], is_waiting: bool
    ) -> Live:
        proposal: Proposal = shown["proposal"]
        resource = proposal["resource"]
        capability, version, body = _standing(proposal)
        after = None
        if capability is not None and capability.handler in handlers.HANDLERS:
            try:
                after = handlers.get(capability.handler)(dict(body) if body is not None else None, proposal["parameters"])
            except Invalid:
                after = None
        return Live(
            title=title_of(proposal, _capability_titles([proposal]).get(proposal["capability"], "")),
            digest=self.digest_of(request, shown),
            bound=frozenset(bound),
            bound_because=bound,
            before=dict(body) if body is not None else None,
            after=after,
            record_label=f"{resource['type']} {resource['id']}, version {version}",
            is_current=is_waiting,
            evidence=_evidence(shown["evidence"]),
        )

    def is_locked(self, request: ApprovalRequest) -> bool:
        return request.pk in self.locked([request])

    def locked(self, requests: Sequence[ApprovalRequest]) -> set[UUID]:
        locks = authority.current().matrix.locks
        return {request.pk for request in requests if locks.get(request.capability)}

    def _signed(self, request: ApprovalRequest, shown: Mapping[str, Json]) -> str:
        proposal: Proposal = shown["proposal"]
        capability, version, _ = _standing(proposal)
        return _digest_of(proposal, capability, version)

    def titles(self, requests: Sequence[ApprovalRequest]) -> dict[UUID, str]:
        """Two queries for all."""
        found = evidence.evidence_of_all(requests, "proposal")
        proposals = {pk: canonical.parse(body) for pk, body in found.items()}
        named = _capability_titles(list(proposals.values()))
        told = {pk: title_of(proposal, named.get(proposal["capability"], "")) for pk, proposal in proposals.items()}
        return {row.pk: told.get(row.pk, "What was asked is erased") for row in requests}


class StepQuestion(_RunQuestion):
    """Is this good enough to go on with?"""

    kind: ClassVar[str] = "step"
    looks_at_fast_paths: ClassVar[bool] = True

    def _makers(self, run: Run, request: ApprovalRequest, shown: Mapping[str, Json]) -> Makers:
        definition = releases.load(run.release_id, states.load(run.state).path).definition
        step = definition.step(request.subject.split("/")[1])
        return makers.of_gate(definition, step) if isinstance(step, GateStep) else Makers()

    def _live(
        self, run: Run, request: ApprovalRequest, shown: dict[str, Json], bound: dict[str, str], is_waiting: bool
    ) -> Live:
        return Live(
            title=step_title(run.business_key, request.subject),
            digest=self.digest_of(request, shown),
            bound=frozenset(bound),
            bound_because=bound,
            before=None,
            after=shown["proposal"] if isinstance(shown["proposal"], dict) else {"value": shown["proposal"]},
            is_current=is_waiting,
            evidence=_evidence(shown["evidence"]),
        )

    def _signed(self, request: ApprovalRequest, shown: Mapping[str, Json]) -> str:
        return canonical.digest_of({"step": request.subject.split("/")[1], "proposal": shown["proposal"]})

    def titles(self, requests: Sequence[ApprovalRequest]) -> dict[UUID, str]:
        """One query for all."""
        keys = dict(Run.objects.filter(pk__in={run_id_of(row.subject) for row in requests}).values_list("pk", "business_key"))
        return {row.pk: step_title(keys.get(run_id_of(row.subject), "it"), row.subject) for row in requests}


class RollbackQuestion(StepQuestion):
    """Shall what a finished run did be undone? Whoever asked for it does not decide it."""

    kind: ClassVar[str] = "rollback"
    looks_at_fast_paths: ClassVar[bool] = False
    _did: ClassVar[str] = "effect.done"

    def _makers(self, run: Run, request: ApprovalRequest, shown: Mapping[str, Json]) -> Makers:
        definition = releases.load(run.release_id, states.load(run.state).path).definition
        return makers.of_effects(definition, [effect["step"] for effect in shown["proposal"]["effects"]])

    def _live(
        self, run: Run, request: ApprovalRequest, shown: dict[str, Json], bound: dict[str, str], is_waiting: bool
    ) -> Live:
        bound = {**bound, str(shown["proposal"]["asked_by"]): "asked for the rollback"}
        live = super()._live(run, request, shown, bound, is_waiting)
        return replace(live, title=rollback_title(run.business_key))

    def titles(self, requests: Sequence[ApprovalRequest]) -> dict[UUID, str]:
        """One query for all."""
        keys = dict(Run.objects.filter(pk__in={run_id_of(row.subject) for row in requests}).values_list("pk", "business_key"))
        return {row.pk: rollback_title(keys.get(run_id_of(row.subject), "it")) for row in requests}


def rollback_title(business_key: str) -> str:
    return f"Roll back {business_key}?"


def step_title(business_key: str, subject: str) -> str:
    return f"Let {business_key} pass {subject.split('/')[1]}?"


def title_of(proposal: Proposal, capability: str = "") -> str:
    """The question in one sentence, from configuration words (the capability's title) and the resource's id."""
    resource = proposal["resource"]
    verb = capability or proposal["capability"].rpartition(".")[2].replace("_", " ").capitalize()
    return f"{verb}: {resource['type']} {resource['id']}?"


def _standing(proposal: Proposal) -> tuple[Asked | None, int, Mapping[str, Json] | None]:
    """What the proposal meets now: its capability in the live matrix, version and body of the record."""
    resource = proposal["resource"]
    capability = authority.current().matrix.capabilities.get(proposal["capability"])
    version, body = store.read(resource["type"], resource["id"]) or (0, None)
    return capability, version, body


def _digest_of(proposal: Proposal, capability: Asked | None, version: int) -> str:
    return bound_digest(capability.digest if capability else "", proposal, version)


def _capability_titles(proposals: Sequence[Proposal]) -> dict[str, str]:
    names = {proposal["capability"] for proposal in proposals}
    return dict(Capability.objects.filter(name__in=names).values_list("name", "title"))


def run_id_of(subject: str) -> UUID:
    return UUID(subject.split("/", 1)[0])


def shown_of(request: ApprovalRequest) -> dict[str, Json]:
    """What the request opened with, or was edited to since: proposal, record, evidence."""
    found = {name: canonical.parse(body) for name, body in evidence.evidence_of(request).items()}
    return {"proposal": found.get("proposal"), "record": found.get("record"), "evidence": found.get("evidence") or []}


def _evidence(items: list[dict[str, Json]]) -> tuple[Evidence, ...]:
    """The outputs of earlier steps, from where they stand in the journal. One query."""
    bodies = _outputs([item["place"] for item in items])
    return tuple(
        Evidence(
            name=item["step"],
            title=f"Output of {item['step']}",
            digest=item["digest"],
            pointer=item["place"],
            body=bodies.get(item["place"]),
        )
        for item in items
    )


def _outputs(places: Sequence[str]) -> dict[str, Json]:
    """Place -> output, of those that were not erased."""
    wanted = Q(pk__in=[])
    for place in places:
        stream, _, seq = place.rpartition("/")
        wanted |= Q(stream=stream, seq=int(seq))
    rows = Payload.objects.filter(wanted, name="output", erased_at__isnull=True).values_list("stream", "seq", "body")
    return {f"{stream}/{seq}": canonical.parse(body) for stream, seq, body in rows}


def _policy_digest(request: ApprovalRequest) -> str:
    row = ApprovalPolicy.objects.get(pk=request.policy_id)
    return policies.load_text(row.document).digest
