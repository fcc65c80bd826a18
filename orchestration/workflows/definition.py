"""The workflow language as frozen values. Pure.

One dataclass per step kind; everything that walks steps matches on them and closes with `assert_never`, so a new kind shows
every place that must know it.

The steps inside a block (a branch of `parallel`, the body of `map`) are a `Definition` of their own, made by `Definition.body`:
a child run walks it as any run walks its workflow. `Definition.scopes` gives the workflow and every body in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Literal, assert_never

from aegis.core.canonical import Json
from aegis.core.expressions import VariableType
from orchestration.workflows.samples import Sample

# What a step does when it gives up, by error code. "step" goes to another step of the workflow; "compensate" undoes what the
# run did, and fails it.
FailureAction = Literal["queue", "step", "fail", "compensate"]

#: Codes an `on_failure` table may name; "*" matches the rest.
FAILURE_CODES = (
    "agent_error", "timeout", "contract", "denied", "rejected", "expired", "conflict", "effect_failed", "effect_unknown",
    "effect_diverged", "abstained", "low_confidence", "no_route", "expression", "max_visits", "requires", "payload_erased",
    "nobody_eligible", "no_message", "deadline", "resource_wait", "resource_circle", "branch_failed",
    "version_retired", "*",
)  # fmt: skip

#: Codes any step can end with whose workflow claims a resource.
RESOURCE_CODES = ("resource_wait", "resource_circle")

#: Codes any step can end with.
COMMON_CODES = ("expression", "max_visits", "requires", "payload_erased", "*")


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how patiently. Waits are backoff * factor**(n-1), at most cap, with full jitter if asked."""

    attempts: int = 1
    backoff: timedelta = timedelta(seconds=1)
    factor: float = 2.0
    cap: timedelta = timedelta(minutes=5)
    jitter: bool = True


@dataclass(frozen=True, slots=True)
class OnFailure:
    """`queue`: a review item in `target` (a queue); `step`: go on at step `target`; `fail`: the run fails, and what it did
    stands; `compensate`: it fails after its effects were undone."""

    action: FailureAction
    target: str = ""


#: Prefix of a requirement that names an event type.
EVENT = "event:"


@dataclass(frozen=True, slots=True)
class Common:
    """What every step may declare."""

    id: str
    title: str = ""
    next: str = ""  # "" = the following step in the list; the last one finishes
    on_failure: Mapping[str, OnFailure] = field(default_factory=dict)
    max_visits: int = 1
    requires: tuple[str, ...] = ()  # steps that must be on record as completed; "event:<type>" = an event of the run
    deadline: timedelta | None = None  # of one visit, from its begin; failure code "deadline"
    skill: str = ""  # asked of who works on its review items; the queue says who has it

    def given_up(self, code: str, queue: str = "") -> OnFailure | None:
        """What is declared for a failure. `queue`: whoever asks names one already, which only the code itself outdoes."""
        return self.on_failure.get(code) or (None if queue else self.on_failure.get("*"))

    @property
    def required_events(self) -> tuple[str, ...]:
        """Types of events that must be on record."""
        return tuple(name.removeprefix(EVENT) for name in self.requires if name.startswith(EVENT))

    @property
    def required_steps(self) -> tuple[str, ...]:
        return tuple(name for name in self.requires if not name.startswith(EVENT))


@dataclass(frozen=True, slots=True)
class AgentStep:
    """Ask an agent. `input` maps names to CEL over `input` and `steps`; empty means {"input": input, "steps": outputs}."""

    common: Common
    agent: str
    output: str  # contract "name@version"
    input: Mapping[str, str] = field(default_factory=dict)
    timeout: timedelta = timedelta(seconds=30)
    retry: Retry = field(default_factory=Retry)
    confidence_below: tuple[float, str] | None = None  # (value, queue)
    abstain_queue: str = ""  # "" = the workflow's fallback queue


@dataclass(frozen=True, slots=True)
class ActStep:
    """Carry out the proposal found at `act`, "steps.<agent step>.output.<path>". The principal is that step's agent."""

    common: Common
    act: str
    source: str  # the agent step that made the proposal
    timeout: timedelta = timedelta(seconds=30)
    retry: Retry = field(default_factory=Retry)
    compensate: bool = False  # undone, newest first, when the run gives up into compensation or is cancelled


@dataclass(frozen=True, slots=True)
class RouteStep:
    """Ask a routing table. Its output has a `case`; the whole output is the step's output."""

    common: Common
    table: str
    facts: Mapping[str, str]  # table input -> CEL
    cases: Mapping[str, str | OnFailure]  # case -> step id, or OnFailure(queue)


@dataclass(frozen=True, slots=True)
class GateStep:
    """Ask people. `proposal` (optional) is the CEL of what they judge; rejection is failure code "rejected"."""

    common: Common
    policy: str
    proposal: str = ""
    source: str = ""  # agent step whose output is judged, for separation of duties
    risk: Literal["low", "medium", "high"] = "medium"


@dataclass(frozen=True, slots=True)
class ReviewStep:
    """A person makes the output, through a form made from the contract."""

    common: Common
    queue: str
    output: str


@dataclass(frozen=True, slots=True)
class SetStep:
    """Compute values: name -> CEL. The object of all values is the step's output."""

    common: Common
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class FinishStep:
    """End the run with a named outcome."""

    common: Common
    outcome: str = "done"


@dataclass(frozen=True, slots=True)
class WaitStep:
    """Wait for one thing: a while (`lasting`), a moment (`until`: CEL, RFC 3339 text), or a message of a name and key.

    A message keeps the contract `output` and is the step's output. Not there `within` that time: failure code "no_message".
    """

    common: Common
    lasting: timedelta | None = None
    until: str = ""
    message: str = ""
    key: str = ""  # CEL: text that the message's key must equal
    output: str = ""
    within: timedelta | None = None


@dataclass(frozen=True, slots=True)
class ResourceClaim:
    """What runs of this workflow hold while they act, so that no two runs of any workflow act on it at once.

    Attributes:
        key: CEL over `input`, text.
        hold: "while_running" lets go while the run waits for people, a time or a message.
        wait: how long a run waits for it; then failure code "resource_wait". None = as long as it takes.
    """

    key: str
    hold: Literal["until_end", "while_running"] = "until_end"
    wait: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """The steps of a branch or of an item. `output` is CEL; "" = {<step>: <its output>, ...}."""

    steps: tuple[Step, ...]
    output: str = ""


@dataclass(frozen=True, slots=True)
class ParallelStep:
    """Walk branches side by side, each as a child run. Output: {<branch>: <its output>} of those that were well."""

    common: Common
    branches: Mapping[str, Body]
    at_least: int  # how many must be well; then the others are cancelled


@dataclass(frozen=True, slots=True)
class MapStep:
    """Walk one body per item of a list, each as a child run. Output: {"items": [...], "failures": [{"index", "code"}]}."""

    common: Common
    items: str  # CEL, a list
    body: Body
    at_once: int = 5
    max_items: int = 100
    collects: bool = False  # a failed item leaves null in its place; otherwise the step gives up with branch_failed


@dataclass(frozen=True, slots=True)
class RunStep:
    """Run another workflow, as a child run. Its output is this step's; empty `input` means ours as it is."""

    common: Common
    workflow: str
    input: Mapping[str, str] = field(default_factory=dict)


Block = ParallelStep | MapStep | RunStep  # what forks child runs
Step = AgentStep | ActStep | RouteStep | GateStep | ReviewStep | SetStep | FinishStep | WaitStep | Block


def bodies_of(step: Step) -> Iterator[tuple[str, str, Body]]:
    """The bodies of a block, each with its name ("" for the one of a map) and its place below the step."""
    match step:
        case ParallelStep():
            yield from ((branch, f"parallel/{branch}", body) for branch, body in step.branches.items())
        case MapStep():
            yield "", "", step.body
        case _:
            return


@dataclass(frozen=True, slots=True)
class Definition:
    """A whole workflow, as frozen by its release; or one body of it, as a child run sees it.

    Attributes:
        output: CEL over `input` and `steps`: what a run leaves to its parent. "" = nothing; of a body, every output by step.
        output_contract: "name@version" that it must keep; "" for a body.
        path: "<block>/<branch>" or "<block>" of a body; "" for the workflow.
        where: JSON pointer of what holds the steps.
        outer: steps of the scopes around a body, whose outputs it reads.
        items: CEL of the list of the innermost `map` around; "" where there is no `item`.
    """

    name: str
    title: str
    owner: str  # group
    input: str  # contract "name@version"
    business_key: str  # CEL over `input`, a string
    fallback_queue: str
    steps: tuple[Step, ...]
    priority: str = "3"  # CEL over `input`: tier 1 (first) .. 5
    success: str = ""  # CEL over `input` and `steps`
    deadline: timedelta | None = None  # of the run, from its submission: code "run_deadline"
    on_deadline: OnFailure | None = None  # what then; None = the fallback queue
    resource: ResourceClaim | None = None
    rollback: str = ""  # approval policy under which a finished run may be rolled back; "" = it may not
    samples: tuple[Sample, ...] = ()
    output: str = ""
    output_contract: str = ""
    path: str = ""
    where: str = "/spec"
    outer: tuple[Step, ...] = ()
    items: str = ""

    def step(self, step_id: str) -> Step:
        for step in (*self.steps, *self.outer):
            if step.common.id == step_id:
                return step
        raise KeyError(step_id)

    @property
    def variables(self) -> Mapping[str, VariableType]:
        """What its expressions see."""
        return {**VARIABLES, **ITEM_VARIABLES} if self.items else VARIABLES

    def scopes(self) -> Iterator[Definition]:
        """This one, then every body in it, outer ones first."""
        yield self
        for step in self.steps:
            for _, inner in self.inside(step):
                yield from inner.scopes()

    def inside(self, step: Step) -> Iterator[tuple[str, Definition]]:
        """The bodies of one of its own blocks, by name of the branch ("" for the one of a map)."""
        index = self.steps.index(step)
        for name, place, body in bodies_of(step):
            yield name, self._inner(index, step, name, place, body)

    def body(self, path: str) -> Definition:
        """The body at `path`, or the workflow itself for "".

        Raises:
            KeyError: it has no such body.
        """
        for scope in self.scopes():
            if scope.path == path:
                return scope
        raise KeyError(path)

    def _inner(self, index: int, step: Step, name: str, place: str, body: Body) -> Definition:
        return replace(
            self,
            steps=body.steps,
            success="",
            output=body.output,
            output_contract="",
            path=f"{step.common.id}/{name}" if name else step.common.id,
            where=f"{self.where}/steps/{index}/{place}".rstrip("/"),
            outer=(*self.outer, *self.steps),
            items=step.items if isinstance(step, MapStep) else self.items,
            deadline=None,  # what is about the run as a whole is the parent's business: it waits for us, and holds for us
            on_deadline=None,
            resource=None,
            rollback="",
            samples=(),
        )

    def following(self, step: Step) -> str:
        """The step after `step` when nothing else says otherwise; "" after the last one."""
        if step.common.next:
            return step.common.next
        ids = [other.common.id for other in self.steps]
        index = ids.index(step.common.id) + 1
        return ids[index] if index < len(ids) else ""


def failure_codes_of(step: Step, *, claims: bool = False) -> tuple[str, ...]:
    """The error codes this step can give up with; another one in its `on_failure` would never be heard.

    Args:
        claims: its workflow claims a resource.
    """
    match step:
        case AgentStep():
            own: tuple[str, ...] = ("agent_error", "timeout", "contract", "abstained", "low_confidence")
        case ActStep():
            own = (
                "denied", "nobody_eligible", "rejected", "expired", "conflict", "effect_failed", "effect_unknown",
                "effect_diverged", "contract",
            )  # fmt: skip
        case GateStep():
            own = ("nobody_eligible", "rejected", "expired")
        case WaitStep():
            own = ("no_message",) if step.message else ()
        case ParallelStep() | MapStep():
            own = ("branch_failed",)
        case RunStep():
            own = ("branch_failed", "contract", "version_retired")
        case RouteStep() | ReviewStep() | SetStep() | FinishStep():
            own = ()
        case _:
            assert_never(step)
    timed = ("deadline",) if step.common.deadline else ()
    return (*own, *timed, *(RESOURCE_CODES if claims else ()), *COMMON_CODES)


#: Every expression of a definition sees these two, and inside a `map` also the item and its index; nothing else.
VARIABLES: Mapping[str, VariableType] = {"input": "map", "steps": "map"}
ITEM_VARIABLES: Mapping[str, VariableType] = {"item": "any", "index": "int"}


@dataclass(frozen=True, slots=True)
class AgentVersion:
    """An agent as pinned by a release."""

    id: str  # UUID text, its identity as a principal
    name: str
    digest: str
    connector: str  # "python" or "http"
    callable: str  # registered name; "" unless the connector is python
    settings: Mapping[str, Json]
    roles: tuple[str, ...]
    owner: str  # user ref
    connection: Mapping[str, Json] = field(default_factory=dict)  # the connector's document, as pinned
