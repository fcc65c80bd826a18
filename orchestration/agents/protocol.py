"""What an agent is asked and what it may answer. Pure; the only module an agent author imports.

An agent proposes; it never acts. A proposal is plain JSON inside its output, carried out (or not) by an `act` step:
`{"capability", "resource": {"type", "id"}, "parameters", "justification"}`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = Any


@dataclass(frozen=True, slots=True)
class AgentRequest:
    """One call.

    Attributes:
        idempotency_key: stable over attempts of one visit.
        input: the JSON value of the step's input mapping.
        settings: the agent version's settings, frozen at submission.
        traceparent: W3C Trace Context of this attempt, to pass on with calls of the agent's own; "" outside of a run.
    """

    run_id: str
    step: str
    visit: int
    attempt: int
    idempotency_key: str
    input: Json
    settings: Mapping[str, Json] = field(default_factory=dict)
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """An answer. `output` must satisfy the step's output contract; `confidence` is 0..1 or unknown."""

    output: Json
    rationale: str = ""
    confidence: float | None = None
    sources: tuple[str, ...] = ()
    usage: Mapping[str, int] = field(default_factory=dict)
    model: str = ""


@dataclass(frozen=True, slots=True)
class Abstain:
    """ "I do not know." Goes to the step's queue; never an error, never retried. Its usage counts like that of an answer."""

    reason: str
    usage: Mapping[str, int] = field(default_factory=dict)
    model: str = ""


Reply = Done | Abstain


@dataclass(frozen=True, slots=True)
class CallFailed:
    """A call that gave no reply we can use. Made by connectors and the engine, never by an agent.

    Attributes:
        code: agent_error, timeout, contract, rate_limited or unavailable.
        detail: for people; may quote what the agent said, so it is kept as a payload.
        retry_after: seconds the agent asked to be left alone, 0 if it did not. A wish: the step's retry rules bound it.
    """

    code: str
    detail: str
    retry_after: float = 0.0


PythonAgent = Callable[[AgentRequest], Reply]

_registry: dict[str, PythonAgent] = {}


def python_agent(name: str) -> Callable[[PythonAgent], PythonAgent]:
    """Register a callable under a name. Rows refer to the name only, never to a path."""

    def register(callable_: PythonAgent) -> PythonAgent:
        if _registry.get(name, callable_) is not callable_:
            raise ValueError(f"two python agents are named {name!r}")
        _registry[name] = callable_
        return callable_

    return register


def registered(name: str) -> PythonAgent | None:
    return _registry.get(name)


def registered_names() -> list[str]:
    return sorted(_registry)
