"""The JSON Schema (2020-12) of a Workflow document, exported for editors. Pure.

Step kinds stand in one table, `STEP_KINDS`; a new kind is an entry there, a dataclass in `definition` and a builder in `parse`.
Steps are told apart with if/then rather than oneOf, so that a fault names the place and not "fits none of the allowed forms".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aegis.core import durations
from aegis.core.canonical import Json
from aegis.core.expressions import MAX_SOURCE_CHARS
from aegis.core.kinds import envelope
from orchestration.workflows.definition import FAILURE_CODES

MAX_STEPS: Final = 200
MAX_ATTEMPTS: Final = 20
MAX_VISITS: Final = 100

STEP_ID: Final[Json] = {
    "type": "string",
    "pattern": "^[a-z][a-z0-9_-]{0,62}$",
    "description": 'Name of the step. In expressions, an id with a hyphen is written steps["sign-off"].',
}
NAME: Final[Json] = {"type": "string", "minLength": 1, "maxLength": 80}
CONTRACT: Final[Json] = {
    "type": "string",
    "pattern": "^[a-z][a-z0-9-]{0,60}@[1-9][0-9]{0,3}$",
    "description": "A contract version, such as classification@1.",
}
_EXPRESSION: Final[Json] = {"type": "string", "minLength": 1, "maxLength": MAX_SOURCE_CHARS}
_MAPPING_NAME: Final[Json] = {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,62}$"}


def _expression(description: str) -> Json:
    return {**_EXPRESSION, "description": description}


def _object(required: list[str], properties: Mapping[str, Json], **more: Json) -> Json:
    return {"type": "object", "additionalProperties": False, "required": required, "properties": dict(properties), **more}


_QUEUE: Final[Json] = _object(["queue"], {"queue": {**NAME, "description": "A review queue."}})

_ON_FAILURE: Final[Json] = {
    "description": (
        "Where a step goes that gives up: fail, compensate (undo what was done, then fail), queue (the workflow's fallback),"
        " {queue: NAME} or {step: ID}."
    ),
    "type": ["string", "object"],
    "if": {"type": "string"},
    "then": {"enum": ["fail", "compensate", "queue"]},
    "else": _object([], {"queue": NAME, "step": STEP_ID}, minProperties=1, maxProperties=1),
}

_RETRY: Final[Json] = _object(
    ["attempts"],
    {
        "attempts": {"type": "integer", "minimum": 1, "maximum": MAX_ATTEMPTS, "description": "The first try counts."},
        "backoff": {**durations.SCHEMA, "description": "Wait before the second try."},
        "factor": {"type": "number", "minimum": 1, "maximum": 10, "description": "Each wait is this many times longer."},
        "cap": {**durations.SCHEMA, "description": "No wait is longer."},
        "jitter": {"type": "boolean", "description": "Wait a random part of it, so that many do not come back at once."},
    },
)
_TIMEOUT: Final[Json] = {**durations.SCHEMA, "description": "How long one attempt may take, such as 30s."}

_MAPPING: Final[Json] = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": 100,
    "propertyNames": _MAPPING_NAME,
    "additionalProperties": _EXPRESSION,
}

_COMMON: Final[Mapping[str, Json]] = {
    "id": STEP_ID,
    "title": {"type": "string", "minLength": 1, "maxLength": 120},
    "on_failure": {
        "type": "object",
        "additionalProperties": False,
        "properties": {code: {"$ref": "#/$defs/on_failure"} for code in FAILURE_CODES},
    },
    "max_visits": {"type": "integer", "minimum": 1, "maximum": MAX_VISITS},
    "requires": {"type": "array", "items": STEP_ID, "uniqueItems": True, "maxItems": 50},
}
_NEXT: Final[Mapping[str, Json]] = {"next": {**STEP_ID, "description": "The step after this one, if not the one below it."}}
_TRIES: Final[Mapping[str, Json]] = {"timeout": {"$ref": "#/$defs/timeout"}, "retry": {"$ref": "#/$defs/retry"}}

#: Step kind (the word that names it in a document) -> the properties it has beside the common ones, and those it must have.
STEP_KINDS: Final[Mapping[str, tuple[Mapping[str, Json], tuple[str, ...]]]] = {
    "agent": (
        {
            **_NEXT,
            **_TRIES,
            "agent": {**NAME, "description": "The agent that is asked."},
            "output": CONTRACT,
            "input": {**_MAPPING, "description": "What the agent gets. Left out: the whole input and every output so far."},
            "confidence_below": _object(
                ["value", "queue"], {"value": {"type": "number", "exclusiveMinimum": 0, "maximum": 1}, "queue": NAME}
            ),
            "abstain_queue": {**NAME, "description": "Where 'I do not know' goes, if not to the fallback queue."},
        },
        ("output",),
    ),
    "act": (
        {
            **_NEXT,
            **_TRIES,
            "act": _expression("Place of a proposal: steps.<agent step>.output.<field>."),
            "compensate": {
                "type": "boolean",
                "description": "Undone, by the capability's compensation, when the run gives up into that or is cancelled.",
            },
        },
        (),
    ),
    "route": (
        {
            "route": {**NAME, "description": "The routing table that is asked."},
            "facts": {**_MAPPING, "description": "Input of the table -> expression."},
            "cases": {
                "type": "object",
                "minProperties": 1,
                "maxProperties": 200,
                "propertyNames": {"type": "string", "minLength": 1, "maxLength": 80},
                "additionalProperties": {
                    "description": "A step, or {queue: NAME} to ask a person which case it is.",
                    "type": ["string", "object"],
                    "if": {"type": "string"},
                    "then": STEP_ID,
                    "else": _QUEUE,
                },
            },
        },
        ("facts", "cases"),
    ),
    "gate": (
        {
            **_NEXT,
            "gate": {**NAME, "description": "The approval policy that says who decides."},
            "proposal": _expression("What they judge."),
            "risk": {"enum": ["low", "medium", "high"]},
        },
        (),
    ),
    "review": (
        {**_NEXT, "review": {**NAME, "description": "The review queue whose people make the output."}, "output": CONTRACT},
        ("output",),
    ),
    "set": ({**_NEXT, "set": {**_MAPPING, "description": "Name -> expression; the object of all is the step's output."}}, ()),
    "finish": (
        {"finish": {"type": "string", "pattern": "^[a-z][a-z0-9_-]{0,39}$", "description": "The outcome the run ends with."}},
        (),
    ),
}


def _step() -> Json:
    """Any step: told apart by the one key that names its kind."""
    return {
        "type": "object",
        "required": ["id"],
        "allOf": [
            {"if": {"required": [kind]}, "then": {"$ref": f"#/$defs/{kind}_step"}} for kind in STEP_KINDS
        ],
        "oneOf": [{"required": [kind]} for kind in STEP_KINDS],
    }  # fmt: skip


def _spec() -> Json:
    return _object(
        ["input", "business_key", "fallback", "steps"],
        {
            "input": CONTRACT,
            "business_key": _expression("What a run is about, such as input.id. Must be text."),
            "priority": {
                "description": "Tier 1 (first) to 5, or an expression over input that gives one.",
                "type": ["integer", "string"],
                "minimum": 1,
                "maximum": 5,
                "minLength": 1,
                "maxLength": MAX_SOURCE_CHARS,
            },
            "success": _expression("When a finished run counts as a success."),
            "fallback": {**_QUEUE, "description": "Where a run waits for a person when nothing else was said."},
            "steps": {"type": "array", "minItems": 1, "maxItems": MAX_STEPS, "items": {"$ref": "#/$defs/step"}},
        },
    )


def _document() -> Json:
    owner = {"type": "string", "minLength": 1, "maxLength": 150, "description": "The group that owns the workflow."}
    document: dict[str, Json] = envelope("Workflow", _spec(), metadata={"owner": owner}, required=["owner"])
    document["$defs"] = {
        "on_failure": _ON_FAILURE,
        "retry": _RETRY,
        "timeout": _TIMEOUT,
        "step": _step(),
        **{
            f"{kind}_step": _object(["id", kind, *required], {**_COMMON, **properties})
            for kind, (properties, required) in STEP_KINDS.items()
        },
    }
    return document


SCHEMA: Final[Json] = _document()
