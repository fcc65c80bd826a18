"""The workflow language as frozen values. Pure.

One dataclass per step kind; everything that walks steps matches on them and closes with `assert_never`, so a new kind
(`parallel`, `map`, `wait`, `run`) shows every place that must know it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal, assert_never

from aegis.core.canonical import Json

# What a step does when it gives up, by error code. "step" goes to another step of the workflow; "compensate" undoes what the
# run did, and fails it.
FailureAction = Literal["queue", "step", "fail", "compensate"]

#: Codes an `on_failure` table may name; "*" matches the rest.
FAILURE_CODES = (
    "agent_error", "timeout", "contract", "denied", "rejected", "expired", "conflict", "effect_failed", "effect_unknown",
    "effect_diverged", "abstained", "low_confidence", "no_route", "expression", "max_visits", "requires", "payload_erased",
    "nobody_eligible", "*",
)  # fmt: skip

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


@dataclass(frozen=True, slots=True)
class Common:
    """What every step may declare."""

    id: str
    title: str = ""
    next: str = ""  # "" = the following step in the list; the last one finishes
    on_failure: Mapping[str, OnFailure] = field(default_factory=dict)
    max_visits: int = 1
    requires: tuple[str, ...] = ()  # steps that must be on record as completed


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


Step = AgentStep | ActStep | RouteStep | GateStep | ReviewStep | SetStep | FinishStep


@dataclass(frozen=True, slots=True)
class Definition:
    """A whole workflow, as frozen by its release."""

    name: str
    title: str
    owner: str  # group
    input: str  # contract "name@version"
    business_key: str  # CEL over `input`, a string
    fallback_queue: str
    steps: tuple[Step, ...]
    priority: str = "3"  # CEL over `input`: tier 1 (first) .. 5
    success: str = ""  # CEL over `input` and `steps`

    def step(self, step_id: str) -> Step:
        for step in self.steps:
            if step.common.id == step_id:
                return step
        raise KeyError(step_id)

    def following(self, step: Step) -> str:
        """The step after `step` when nothing else says otherwise; "" after the last one."""
        if step.common.next:
            return step.common.next
        ids = [other.common.id for other in self.steps]
        index = ids.index(step.common.id) + 1
        return ids[index] if index < len(ids) else ""


def failure_codes_of(step: Step) -> tuple[str, ...]:
    """The error codes this kind of step can give up with; another one in its `on_failure` would never be heard."""
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
        case RouteStep() | ReviewStep() | SetStep() | FinishStep():
            own = ()
        case _:
            assert_never(step)
    return (*own, *COMMON_CODES)


#: Every expression of a definition sees these two, and nothing else.
VARIABLES: Mapping[str, Literal["map"]] = {"input": "map", "steps": "map"}


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
