"""The JSON Schema (2020-12) of a Workflow document, exported for editors. Pure.

Step kinds stand in one table, `STEP_KINDS`; a new kind is an entry there, a dataclass in `definition` and a builder in `parse`.
Steps are told apart with if/then rather than oneOf, so that a fault names the place and not "fits none of the allowed forms".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from aegis.core import durations
from aegis.core.canonical import Json
from aegis.core.expressions import MAX_SOURCE_CHARS
from aegis.core.kinds import envelope
from orchestration.workflows import samples
from orchestration.workflows.definition import FAILURE_CODES

MAX_STEPS: Final = 200
MAX_ATTEMPTS: Final = 20
MAX_VISITS: Final = 100
MAX_BRANCHES: Final = 20
MAX_ITEMS: Final = 500
MAX_AT_ONCE: Final = 50
MAX_DEPTH: Final = 3  # blocks inside blocks

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


_FAILURES: Final[Json] = {
    "description": "Error code -> where the step goes that gives up with it; * for the codes not named.",
    "type": "object",
    "additionalProperties": False,
    "properties": {code: {"$ref": "#/$defs/on_failure"} for code in FAILURE_CODES},
}

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

#: A requirement that names an event type of the run.
_EVENT: Final = r"^event:[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$"

_WAIT: Final[Json] = _object(
    [],
    {
        "for": {**durations.SCHEMA, "description": "How long to wait, such as 15m."},
        "until": _expression("The moment, as RFC 3339 text."),
        "message": {
            "type": "string",
            "pattern": "^[a-z][a-z0-9-]{0,60}$",
            "description": "Name of the message that ends the wait.",
        },
        "key": _expression("What the message is about: text that the sender names too."),
        "output": CONTRACT,
        "within": {**durations.SCHEMA, "description": "How long to wait for the message; then the step ends with no_message."},
    },
)

_COMMON: Final[Mapping[str, Json]] = {
    "id": STEP_ID,
    "title": {"type": "string", "minLength": 1, "maxLength": 120},
    "on_failure": True,  # `_step` says it for every kind at once: a table of so many codes must not be counted per kind
    "max_visits": {"type": "integer", "minimum": 1, "maximum": MAX_VISITS},
    "requires": {
        "type": "array",
        "items": {"type": "string", "pattern": f"{STEP_ID['pattern']}|{_EVENT}"},
        "uniqueItems": True,
        "maxItems": 50,
        "description": "Steps, or events such as event:gate.settled, that must be on record before it begins.",
    },
    "skill": {**NAME, "description": "What a person must know who works on its review items; the queue says who does."},
    "deadline": {**durations.SCHEMA, "description": "How long one visit may take, waiting included. Then it gives up."},
}
BRANCH: Final[Json] = {"type": "string", "pattern": "^[a-z][a-z0-9_-]{0,39}$", "description": "Name of a branch."}
# Contracts have no recursive references, so bodies are written out level by level: `_levels` puts the level below in here.
_INNER_STEPS: Final[Json] = {"type": "array", "minItems": 1, "maxItems": MAX_STEPS, "items": {"$ref": "#/$defs/step"}}
_BODY_OUTPUT: Final[Json] = _expression("What the parent gets of it. Left out: every output by step.")
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
    "wait": ({**_NEXT, "wait": {**_WAIT, "description": "for: a while; until: a moment; or message, key and output."}}, ()),
    "parallel": (
        {
            **_NEXT,
            "parallel": {
                "description": "Branch -> its steps; the branches are walked side by side.",
                "type": "object",
                "minProperties": 1,
                "maxProperties": MAX_BRANCHES,
                "propertyNames": BRANCH,
                "additionalProperties": _object(["steps"], {"steps": _INNER_STEPS, "output": _BODY_OUTPUT}),
            },
            "join": {
                "description": "How many branches must be well: all, any (one), or {at_least: N}. The others are cancelled.",
                "type": ["string", "object"],
                "if": {"type": "string"},
                "then": {"enum": ["all", "any"]},
                "else": _object(["at_least"], {"at_least": {"type": "integer", "minimum": 1, "maximum": MAX_BRANCHES}}),
            },
        },
        (),
    ),
    "map": (
        {
            **_NEXT,
            "map": _expression("The list whose items are walked; the steps see item and index."),
            "steps": _INNER_STEPS,
            "output": _BODY_OUTPUT,
            "at_once": {"type": "integer", "minimum": 1, "maximum": MAX_AT_ONCE, "description": "Items at a time; 5."},
            "max_items": {"type": "integer", "minimum": 1, "maximum": MAX_ITEMS, "description": "A longer list fails; 100."},
            "on_item_failure": {
                "enum": ["fail", "collect"],
                "description": "fail: the step gives up with branch_failed. collect: null in its place, and it is listed.",
            },
        },
        ("steps",),
    ),
    "run": (
        {
            **_NEXT,
            "run": {**NAME, "description": "The workflow that is run. Its release is pinned with this one."},
            "input": {**_MAPPING, "description": "What it gets. Left out: the whole input."},
        },
        (),
    ),
    "finish": (
        {"finish": {"type": "string", "pattern": "^[a-z][a-z0-9_-]{0,39}$", "description": "The outcome the run ends with."}},
        (),
    ),
}


#: Kinds that hold steps.
BLOCK_KINDS: Final = ("parallel", "map")


def _step(level: int) -> Json:
    """Any step: told apart by the one key that names its kind."""
    kinds = [kind for kind in STEP_KINDS if level < MAX_DEPTH or kind not in BLOCK_KINDS]
    return {
        "type": "object",
        "required": ["id"],
        "properties": {"on_failure": _FAILURES},
        "allOf": [
            {"if": {"required": [kind]}, "then": {"$ref": f"#/$defs/{_name(kind, level)}"}} for kind in kinds
        ],
        "oneOf": [{"required": [kind]} for kind in kinds],
    }  # fmt: skip


def _name(kind: str, level: int) -> str:
    return f"{kind}_step{_suffix(level) if kind in BLOCK_KINDS else ''}"


def _suffix(level: int) -> str:
    return f"_in_{level}" if level else ""


def _levels() -> Iterator[tuple[str, Json]]:
    """Every kind of step; the blocks once for each level they may stand on, with the steps of the next inside."""
    for level in range(MAX_DEPTH + 1):
        yield f"step{_suffix(level)}", _step(level)
    for kind, (properties, required) in STEP_KINDS.items():
        form = _object(["id", kind, *required], {**_COMMON, **properties})
        for level in range(MAX_DEPTH if kind in BLOCK_KINDS else 1):
            yield _name(kind, level), _deeper(form, level) if kind in BLOCK_KINDS else form


def _deeper(form: Json, level: int) -> Json:
    match form:
        case {"$ref": "#/$defs/step"}:
            return {"$ref": f"#/$defs/step{_suffix(level + 1)}"}
        case dict():
            return {key: _deeper(value, level) for key, value in form.items()}
        case _:
            return form


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
            "output": _object(
                ["contract", "value"],
                {"contract": CONTRACT, "value": _expression("What it computes, over input and steps.")},
                description="What a run leaves behind: the output of a step that runs this workflow.",
            ),
            "fallback": {**_QUEUE, "description": "Where a run waits for a person when nothing else was said."},
            "deadline": {**durations.SCHEMA, "description": "How long a run may take, from its submission."},
            "on_deadline": {
                "description": "What becomes of a run that took too long: fail, compensate, queue or {queue: NAME}.",
                "type": ["string", "object"],
                "if": {"type": "string"},
                "then": {"enum": ["fail", "compensate", "queue"]},
                "else": _QUEUE,
            },
            "resource": _object(
                ["key"],
                {
                    "key": _expression("What no two runs may act on at once, such as 'service/' + input.service."),
                    "hold": {"enum": ["until_end", "while_running"]},
                    "wait": {**durations.SCHEMA, "description": "How long a run waits for it."},
                },
            ),
            "rollback": _object(
                ["gate"], {"gate": {**NAME, "description": "The approval policy that lets a finished run be rolled back."}}
            ),
            "steps": {"type": "array", "minItems": 1, "maxItems": MAX_STEPS, "items": {"$ref": "#/$defs/step"}},
            "samples": samples.SCHEMA,
        },
    )


def _document() -> Json:
    owner = {"type": "string", "minLength": 1, "maxLength": 150, "description": "The group that owns the workflow."}
    document: dict[str, Json] = envelope("Workflow", _spec(), metadata={"owner": owner}, required=["owner"])
    document["$defs"] = {
        "on_failure": _ON_FAILURE,
        "retry": _RETRY,
        "timeout": _TIMEOUT,
        **dict(_levels()),
    }
    return document


SCHEMA: Final[Json] = _document()
