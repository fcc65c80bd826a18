"""Rehearsing workflows: samples as tests before publishing, and the dry run of a person. Reads, never writes.

What a rehearsal stands on is made from documents (an overlay, so that unsaved and unpublished ones count), never from a stored
release; records come from the script alone, so nobody learns of a record by trying.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from aegis.core import canonical, clock
from aegis.core.canonical import Json
from aegis.core.errors import AegisError, Fault, Invalid, NotFound
from aegis.core.kinds import Key, Overlay
from aegis.identity.models import User
from approvals import policies
from orchestration.agents import python
from orchestration.agents.models import Agent
from orchestration.agents.protocol import CallFailed, Reply
from orchestration.authority import live
from orchestration.authority.lookups import documents
from orchestration.authority.matrix import EMPTY
from orchestration.authority.overlays import matrix_of
from orchestration.engine import effects, rehearsal_capture
from orchestration.engine.guards.looking import Looking
from orchestration.engine.intended import AgentCall
from orchestration.engine.rehearsal import Ask, Cast, InputRefused, Rehearsal, rehearse
from orchestration.workflows import parse, release, samples
from orchestration.workflows.models import Workflow
from orchestration.workflows.references import pinned
from orchestration.workflows.samples import Sample, Script

MAX_ASKED: Final = 100  # agents asked in one dry run
MAX_CALL: Final = timedelta(seconds=20)  # a person waits for the answer


@dataclass(frozen=True, slots=True)
class SampleResult:
    """What came of one sample.

    Attributes:
        faults: expectations that failed; `where` is a JSON pointer into the workflow document.
        is_decided: False where the rehearsal stopped at an agent before every expectation could be judged.
    """

    sample: Sample
    rehearsal: Rehearsal | None
    faults: tuple[Fault, ...]
    is_decided: bool = True

    @property
    def verdict(self) -> str:
        return "fails" if self.faults else "passes" if self.is_decided else "not decided"


def dry_run(
    workflow: str,
    payload: Json,
    script: Script,
    *,
    person: User,
    document: Json = None,
    asks_agents: bool = False,
    roles: Sequence[str] | None = None,
) -> Rehearsal:
    """What would come of an input, for the person who would start it. Nothing is sent, nothing is written.

    Args:
        document: an unsaved text of the workflow; None = as it stands.
        asks_agents: really ask agents that are Python inside this process; all others are answered by the script.
        roles: the groups of the requester, where the script shall not run as `person`.

    Raises:
        NotFound, Forbidden: the workflow is not visible to `person`, or they may not `start` it (`edit` for an unsaved text).
        WorkflowInvalid, InputRefused, Invalid.
    """
    row = Workflow.objects.get_visible(person, "start" if document is None else "edit", name=workflow)
    requester = dict(live.requester_fact(person.pk)) if roles is None else {"id": str(person.pk), "roles": list(roles)}
    cast = live_cast(document or canonical.parse(row.document), requester)
    ask = _asking(cast, person) if asks_agents else None
    return rehearse(cast, payload, script, ask)


def try_samples(
    workflow: str, *, person: User, document: Json = None, asks_agents: bool = False, only: str = ""
) -> list[SampleResult]:
    """Every sample of a workflow, or the one named, over the live matrix.

    Raises:
        NotFound, Forbidden, WorkflowInvalid: as `dry_run`. NotFound: no such sample.
    """
    row = Workflow.objects.get_visible(person, "start" if document is None else "edit", name=workflow)
    cast = live_cast(document or canonical.parse(row.document), {})
    ask = _asking(cast, person) if asks_agents else None
    stored = cast.release.definition.samples
    if only and only not in {sample.name for sample in stored}:
        raise NotFound(f"{workflow} has no sample {only!r}; known are {', '.join(sample.name for sample in stored) or 'none'}")
    return [_tried(cast, index, sample, ask) for index, sample in enumerate(stored) if only in ("", sample.name)]


def capture_samples(workflow: str, *, person: User, document: Json = None) -> list[Json]:
    """Every sample of a workflow with its agents' answers taken anew, and what comes of them as its expectation.

    Agents are asked as in a dry run. What samples say of people, effects, messages and failures stays.

    Raises:
        NotFound, Forbidden, WorkflowInvalid: as `dry_run`. InputRefused: a sample's input breaks the contract.
    """
    row = Workflow.objects.get_visible(person, "start" if document is None else "edit", name=workflow)
    document = document or canonical.parse(row.document)
    cast = live_cast(document, {})
    found = []
    for sample in document["spec"].get("samples", ()):
        asked = rehearsal_capture.asking(sample, cast.release)
        script = samples.script_of(asked)
        around = replace(cast, requester={"id": "", "roles": list(script.roles)})
        played = rehearse(around, sample["input"], script, _asking(cast, person))
        found.append(rehearsal_capture.captured(asked, played))
    return found


def sample_faults(document: Json, overlay: Overlay) -> Iterator[Fault]:
    """Samples whose expectation fails, over the configuration as it would be. No agent is asked (`workflows.kind` calls it)."""
    try:
        drafted = release.draft(document, overlay, {})
        agents = {version.id: version.name for version in drafted.all_agents()}
        cast = _cast(drafted, overlay)
        cast = replace(cast, matrix=matrix_of(overlay, agents))
    except AegisError:
        return  # what it stands on is broken: the lint of that says so
    for index, sample in enumerate(drafted.definition.samples):
        yield from _tried(cast, index, sample, None).faults


def touches_samples(document: Json, overlay: Overlay) -> bool:
    """Would the overlay change what a workflow that stands pins, so that its samples have to be tried again?"""
    if not document["spec"].get("samples"):
        return False
    return any(Key(kind, name) in overlay.changes for kind, name in _pinned_by(document, overlay))


def live_cast(document: Json, requester: Mapping[str, Json]) -> Cast:
    """The live matrix, policies, queues and guards around one workflow document."""
    overlay = Overlay()
    names = {name for kind, name in _pinned_by(document, overlay) if kind == "Agent"}
    ids = {name: str(pk) for name, pk in Agent.objects.filter(name__in=names).values_list("name", "pk")}
    cast = _cast(release.draft(document, overlay, ids), overlay)
    matrix = live.current().matrix
    return replace(cast, matrix=matrix, requester=requester, hold=Looking(matrix, cast.now).hold)


def _pinned_by(document: Json, overlay: Overlay) -> set[tuple[str, str]]:
    """(kind, name) of what a workflow pins, and of what those pin that it runs."""
    found: set[tuple[str, str]] = set()
    left = [document]
    while left:
        wanted = set(pinned(parse.load(left.pop()))) - found
        found |= wanted
        others = (overlay.get(kind, name) for kind, name in sorted(wanted) if kind == "Workflow")
        left += [other for other in others if other is not None]
    return found


def _cast(drafted: release.Release, overlay: Overlay) -> Cast:
    return Cast(
        release=drafted,
        matrix=EMPTY,
        policies={name: policies.load(document) for name, document in documents(overlay, "ApprovalPolicy")},
        queues={name: tuple(document["spec"]["groups"]) for name, document in documents(overlay, "ReviewQueue")},
        is_remote=lambda name: effects.registered(name) is not None,
        now=clock.now(),
    )


# --- samples ----------------------------------------------------------------------------------------------------------


def _tried(cast: Cast, index: int, sample: Sample, ask: Ask | None) -> SampleResult:
    where = f"/spec/samples/{index}"
    cast = replace(cast, requester={"id": "", "roles": list(sample.script.roles)})
    try:
        played = rehearse(cast, sample.input, sample.script, ask)
    except InputRefused as error:
        found = tuple(Fault(f"{where}/input{fault.where}", fault.what, fault.remedy, "sample") for fault in error.faults)
        return SampleResult(sample, None, found)
    faults = tuple(_failed(where, sample, played))
    return SampleResult(sample, played, faults, is_decided=bool(faults) or not _is_open(sample, played))


def _is_open(sample: Sample, played: Rehearsal) -> bool:
    """Did it stop where a rehearsal cannot go on by itself, though the sample expects more?"""
    return played.status == "waiting_answer" and sample.expect.get("status") != played.status


def _failed(where: str, sample: Sample, played: Rehearsal) -> Iterator[Fault]:
    """Expectations that did not come true. Of a rehearsal that stopped at an agent, only what can no longer come true."""
    is_open = _is_open(sample, played)
    waits = played.waits_for
    if is_open and sample.answers_for_all and waits is not None and waits.kind == "answer":
        within = f" ({waits.within})" if waits.within else ""
        what = f"step {waits.step!r}{within} asks the agent {waits.what}, and the sample does not say what that answers"
        yield Fault(f"{where}/answers", what, f"add answers: {{{waits.step}: ...}}", "sample")
        return
    if played.given_up:
        yield Fault(where, f"the rehearsal was given up: {played.given_up}", "let the sample walk less", "sample")
        return
    went = list(played.path)
    for name, wanted in sample.expect.items():
        place = f"{where}/expect/{name}"
        match name:
            case "path" if wanted != went and not (is_open and wanted[: len(went)] == went):
                yield Fault(place, f"it goes {' → '.join(went)}", f"write path: [{', '.join(went)}]", "sample")
            case "status" if wanted != played.status and not is_open:
                yield Fault(place, f"it ends as {_ended(played)}", f"write status: {played.status}", "sample")
            case "outcome" if wanted != played.outcome and not is_open:
                remedy = (
                    f"write outcome: {played.outcome}" if played.outcome else "let the sample answer for whoever is waited for"
                )
                yield Fault(place, f"it ends as {_ended(played)}", remedy, "sample")
            case "output" if wanted != played.output and not is_open:
                yield Fault(
                    place, f"its output is {_short(played.output)}", "write output as it is, or mend the step", "sample"
                )


def _ended(played: Rehearsal) -> str:
    waits = played.waits_for
    if waits is None:
        return f"{played.status} ({played.outcome})" if played.outcome else played.status
    code = f", because of {waits.code}" if waits.code else ""
    within = f" ({waits.within})" if waits.within else ""
    return f"{played.status} at {waits.step}{within}: {waits.kind} of {waits.what}{code}"


def _short(value: Json) -> str:
    text = canonical.dump(value).decode()
    return text if len(text) <= 200 else f"{text[:199]}…"


# --- asking agents ----------------------------------------------------------------------------------------------------


def _asking(cast: Cast, person: User) -> Ask:
    """Really ask Python agents of this process, if the person may start what they work in; nobody else."""
    left = MAX_ASKED

    def ask(call: AgentCall) -> Reply | CallFailed:
        nonlocal left
        left -= 1
        if left < 0:
            raise Invalid(f"More than {MAX_ASKED} agents would be asked in one dry run")
        agent = call.agent
        if agent.connector != "python" or agent.connection.get("mode", "inline") != "inline":
            return CallFailed("agent_error", f"{agent.name} is not asked in a dry run: it works outside this process")
        return _within(min(call.timeout, MAX_CALL), call)

    return ask


def _within(limit: timedelta, call: AgentCall) -> Reply | CallFailed:
    """The answer of an inline agent, or a timeout: its thread cannot be ended, so it is left behind."""
    answers: list[Reply | CallFailed] = []
    thread = threading.Thread(target=lambda: answers.append(python.call(call.agent, call.request)), daemon=True)
    thread.start()
    thread.join(limit.total_seconds())
    return answers[0] if answers else CallFailed("timeout", f"no answer within {limit.total_seconds():g} s")
