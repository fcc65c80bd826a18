"""The JSON Schema of the kind `ApprovalPolicy`: what editors and change control hold a document to. Pure."""

from __future__ import annotations

from typing import Final

from aegis.core import durations
from aegis.core.canonical import Json
from aegis.core.kinds import envelope

RISKS: Final = ("low", "medium", "high")
MAX_STAGES: Final = 5
MAX_QUORUM: Final = 20
MAX_GROUPS: Final = 20
MAX_ESCALATIONS: Final = 5
MAX_REMINDERS: Final = 5

_GROUPS: Final[Json] = {
    "type": "array",
    "minItems": 1,
    "maxItems": MAX_GROUPS,
    "uniqueItems": True,
    "items": {"type": "string", "minLength": 1, "maxLength": 150},
}

_ESCALATION: Final[Json] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["after", "groups"],
    "properties": {
        "after": {**durations.SCHEMA, "description": "From the moment the stage is asked, such as 4h."},
        "groups": {**_GROUPS, "description": "From then on these groups may decide in this stage, too."},
        "instead": {
            "type": "boolean",
            "default": False,
            "description": "They alone are asked; votes given before still count.",
        },
    },
}

_STAGE: Final[Json] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["groups"],
    "properties": {
        "title": {"type": "string", "minLength": 1, "maxLength": 80},
        "groups": {**_GROUPS, "description": "Any of these groups may decide in this stage."},
        "quorum": {
            "type": ["integer", "string"],
            "minimum": 1,
            "maximum": MAX_QUORUM,
            "pattern": "^all$",
            "default": 1,
            "description": "How many different people, or `all`: everybody in these groups who may decide.",
        },
        "at_least": {
            "type": "integer",
            "minimum": 1,
            "maximum": MAX_QUORUM,
            "default": 1,
            "description": "With quorum `all`: fewer people than this are never enough, however small the groups are.",
        },
        "escalate": {
            "type": "array",
            "maxItems": MAX_ESCALATIONS,
            "items": _ESCALATION,
            "description": "Who is asked when the stage stays undecided, each later than the one before.",
        },
    },
}

SCHEMA: Final[Json] = envelope(
    "ApprovalPolicy",
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["stages", "deadline"],
        "properties": {
            "stages": {
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_STAGES,
                "description": "Asked in this order; a person counts once in all of them.",
                "items": _STAGE,
            },
            "distinct_groups": {
                "type": "boolean",
                "default": False,
                "description": "Every approval, over all stages, stands for a group of its own; who is in two counts for one.",
            },
            "deadline": {**durations.SCHEMA, "description": "From opening, such as 30m, 24h, 7d. Then the request expires."},
            "reminders": {
                "type": "array",
                "maxItems": MAX_REMINDERS,
                "items": durations.SCHEMA,
                "description": "How long before the deadline those who may decide are reminded, such as 4h, 1h.",
            },
            "fallback": {
                "type": "object",
                "additionalProperties": False,
                "required": ["queue"],
                "properties": {"queue": {"type": "string", "minLength": 1, "maxLength": 80}},
                "description": "The review queue that an expired request goes to; left out, the workflow says. Never a yes.",
            },
            "reason": {
                "enum": ["always", "on_reject", "by_risk"],
                "default": "on_reject",
                "description": "Who must say why. A rejection always needs a reason.",
            },
            "reason_from": {
                "enum": ["medium", "high"],
                "default": "high",
                "description": "With reason `by_risk`: from this risk on an approval needs a reason, too.",
            },
            "step_up": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "from": {"enum": [*RISKS, "never"], "default": "high"},
                    "within": {**durations.SCHEMA, "default": "15m", "description": "How old a sign-in may be."},
                },
                "description": "From this risk on, who approves has just proved who he is.",
            },
            "fast_path": {
                "type": "string",
                "maxLength": 2000,
                "description": "CEL over capability, parameters, record, requester, risk. Where true, no vote is asked.",
            },
            "risk": {"enum": list(RISKS), "default": "low", "description": "Requests are shown with at least this risk."},
        },
    },
)
