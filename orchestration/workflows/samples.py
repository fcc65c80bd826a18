"""Samples: inputs stored with a workflow, with what is expected of them. Pure.

A sample is a test of the workflow when it answers for everybody the run would ask; the engine rehearses it before the workflow
is published (`engine.rehearsal`). Here is only what a sample says, and whether it speaks of steps that exist.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aegis.core.canonical import Json
from aegis.core.errors import Fault
from approvals import shapes
from orchestration.workflows import sample_keys

MAX_SAMPLES: Final = 50
#: What a sample may let a step end with instead of an answer.
FAILURES: Final = (
    "agent_error", "timeout", "contract", "abstained", "low_confidence", "effect_failed", "effect_unknown",
    "no_message",
)  # fmt: skip
STATUSES: Final = (
    "completed", "failed", "cancelled", "waiting_decision", "waiting_review", "waiting_message", "waiting_answer",
    "waiting_children", "held",
)  # fmt: skip
DECISIONS: Final = ("approved", "rejected", "expired")

_STEP: Final[Json] = {"type": "string", "pattern": sample_keys.PATTERN}
_ID: Final[Json] = {"type": "string", "pattern": "^[a-z][a-z0-9_-]{0,62}$"}


def _of_steps(value: Json, description: str) -> Json:
    return {
        "type": "object",
        "maxProperties": 200,
        "propertyNames": _STEP,
        "additionalProperties": value,
        "description": description,
    }


_RECORD: Final[Json] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["type", "id", "body"],
    "properties": {
        "type": {"type": "string", "minLength": 1, "maxLength": 120},
        "id": {"type": "string", "minLength": 1, "maxLength": 120},
        "body": {"type": "object"},
    },
}
_EXPECT: Final[Json] = {
    "type": "object",
    "additionalProperties": False,
    "minProperties": 1,
    "description": "What must come of it; left out: nothing is expected but that the input keeps the contract.",
    "properties": {
        "outcome": {"type": "string", "minLength": 1, "maxLength": 40, "description": "With which outcome, or code, it ends."},
        "path": {"type": "array", "maxItems": 500, "items": _ID, "description": "The steps it enters, in order, all of them."},
        "status": {"enum": list(STATUSES), "description": "How it ends, or what it waits for."},
        "output": {"description": "The workflow's output."},
    },
}
SCHEMA: Final[Json] = {
    "type": "array",
    "maxItems": MAX_SAMPLES,
    "description": "Inputs with what is expected of them: the tests of the workflow, run before it is published.",
    "items": {
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "input"],
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 120},
            "input": {"type": "object"},
            "answers": _of_steps(
                {},
                "Step, step/visit, claims#2.step (in item 2 of claims) -> what the agent, the person of a review, "
                "the outside of an effect or a message answers.",
            ),
            "decisions": _of_steps(
                {"type": "string", "minLength": 1, "maxLength": 80},
                "Step -> approved, rejected or expired; of a route that asks a person, the case chosen.",
            ),
            "fails": _of_steps({"enum": list(FAILURES)}, "Step -> how it fails instead of answering."),
            "records": {"type": "array", "maxItems": 50, "items": _RECORD, "description": "Records that stand beforehand."},
            "requester": {
                "type": "object",
                "additionalProperties": False,
                "required": ["roles"],
                "properties": {"roles": {"type": "array", "maxItems": 50, "items": {"type": "string", "maxLength": 150}}},
                "description": "The groups of whoever starts it; left out: none.",
            },
            "expect": _EXPECT,
        },
    },
}
_NOT_OF_A_SCRIPT: Final = ("name", "input", "expect")
_SCRIPT: Final[Json] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {name: one for name, one in SCHEMA["items"]["properties"].items() if name not in _NOT_OF_A_SCRIPT},
}


@dataclass(frozen=True, slots=True)
class Script:
    """Who answers what in a rehearsal. Keys are those of `sample_keys`: a step, "step/visit", "claims#2.step".

    Attributes:
        records: (type, id) -> body, of those that stand beforehand.
    """

    answers: Mapping[str, Json] = field(default_factory=dict)
    decisions: Mapping[str, str] = field(default_factory=dict)
    fails: Mapping[str, str] = field(default_factory=dict)
    records: Mapping[tuple[str, str], Mapping[str, Json]] = field(default_factory=dict)
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample. `answers_for_all`: it says what agents answer, so that it needs nobody else and can be a test."""

    name: str
    input: Json
    script: Script = field(default_factory=Script)
    expect: Mapping[str, Json] = field(default_factory=dict)
    answers_for_all: bool = False


def load(samples: Sequence[Mapping[str, Json]]) -> tuple[Sample, ...]:
    """Read samples that keep the schema."""
    return tuple(
        Sample(
            name=one["name"],
            input=one["input"],
            script=script_of(one),
            expect=dict(one.get("expect", {})),
            answers_for_all="answers" in one or "fails" in one,
        )
        for one in samples
    )


def script_faults(said: Json) -> tuple[Fault, ...]:
    """What is wrong with the script part of a sample that stands by itself."""
    return shapes.faults_of("Script", _SCRIPT, said)


def script_of(said: Mapping[str, Any]) -> Script:
    """What a sample, or somebody who tries a workflow, says of the answers."""
    return Script(
        answers=dict(said.get("answers", {})),
        decisions=dict(said.get("decisions", {})),
        fails=dict(said.get("fails", {})),
        records={(one["type"], one["id"]): one["body"] for one in said.get("records", ())},
        roles=tuple(said.get("requester", {}).get("roles", ())),
    )


def faults_of(samples: Sequence[Mapping[str, Json]], steps: Sequence[Mapping[str, Json]]) -> Iterator[Fault]:
    """Names are unique, and every step a sample speaks of is one.

    Args:
        steps: as the document writes them.
    """
    names: dict[str, int] = {}
    around, kinds = sample_keys.enclosing(steps), sample_keys.kinds(steps)
    known = f"steps are {', '.join(around)}"
    for index, one in enumerate(samples):
        where = f"/spec/samples/{index}"
        if one["name"] in names:
            what = f"{one['name']!r} is already the name of sample {names[one['name']] + 1}"
            yield Fault(f"{where}/name", what, "give every sample a name of its own")
        names.setdefault(one["name"], index)
        for place in ("answers", "decisions", "fails"):
            for key in one.get(place, {}):
                if what := sample_keys.fault_of(key, around, kinds):
                    yield Fault(f"{where}/{place}/{key.replace('/', '~1')}", what, known)
        for position, step in enumerate(one.get("expect", {}).get("path", ())):
            if step not in around:
                yield Fault(f"{where}/expect/path/{position}", f"there is no step {step!r}", known)
