"""The kind `RoutingTable`. Its stored tests run at every lint: a table with a failing one is not published."""

from __future__ import annotations

from aegis.core.canonical import Json
from aegis.core.errors import Fault
from aegis.core.kinds import Change, Overlay, envelope
from approvals.governed import DocumentKind
from orchestration.routing.cells import MAX_CHARS
from orchestration.routing.hits import AGGREGATIONS, POLICIES
from orchestration.routing.models import RoutingTable
from orchestration.routing.publishing import faults_of
from orchestration.routing.reading import MAX_RULES
from orchestration.routing.values import TYPES

_NAME: Json = {"type": "string", "pattern": "^[a-z_][a-zA-Z0-9_]*$", "maxLength": 60}
_TYPES: Json = {"enum": list(TYPES)}
_VALUES: Json = {"type": "object", "maxProperties": 50}
_CASE: Json = {"type": "string", "minLength": 1, "maxLength": 60}
_OUTPUT: Json = {**_VALUES, "properties": {"case": _CASE}}
_CELL: Json = {"type": ["string", "number", "boolean"], "maxLength": MAX_CHARS}
_INPUT: Json = {
    "anyOf": [
        _TYPES,
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["type"],
            "properties": {
                "type": _TYPES,
                "label": {"type": "string", "maxLength": 120},
                "values": {"type": "array", "minItems": 1, "maxItems": 500, "description": "The only ones there are."},
                "min": {"description": "Inclusive."},
                "max": {"description": "Inclusive."},
                "optional": {"type": "boolean", "description": "May be absent or null; only - and null match that."},
            },
        },
    ]
}
_RANKING: Json = {
    "type": "object",
    "additionalProperties": False,
    "required": ["output", "order"],
    "properties": {"output": {"type": "string"}, "order": {"type": "array", "minItems": 1, "maxItems": 200}},
}
_BAND: Json = {
    "type": "object",
    "additionalProperties": False,
    "required": ["when", "case"],
    "properties": {"when": _CELL, "case": _CASE},
}


class RoutingTableKind(DocumentKind):
    name = "RoutingTable"
    title = "Routing tables"
    area = "routing"
    order = 20
    model = RoutingTable
    schema = envelope(
        "RoutingTable",
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["inputs", "outputs", "rules"],
            "properties": {
                "inputs": {
                    "type": "object", "propertyNames": _NAME, "additionalProperties": _INPUT, "maxProperties": 50,
                    "description": "Facts the conditions may use, with their types.",
                },
                "outputs": {
                    "type": "object", "propertyNames": _NAME, "additionalProperties": _TYPES, "maxProperties": 50,
                    "description": "What every row gives beside its case.",
                },
                "hit_policy": {"enum": list(POLICIES), "default": "First"},
                "priority": {
                    "type": "array", "maxItems": 10, "items": _RANKING,
                    "description": "Priority and Output order: after the tier, which value of which output is the better one.",
                },
                "aggregation": {"enum": list(AGGREGATIONS), "description": "Collect: what becomes of the hits."},
                "of": {"type": "string", "description": "Collect: the output that sum, min or max is taken of."},
                "cases": {
                    "type": "array", "minItems": 1, "maxItems": 50, "items": _BAND,
                    "description": "Collect: the case that follows from what was collected; the first that holds.",
                },
                "rules": {
                    "type": "array",
                    "maxItems": MAX_RULES,
                    "description": "Under First tried by tier, then in this order; the first true condition wins.",
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["id", "when", "then"],
                        "properties": {
                            "id": {"type": "string", "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]*$", "maxLength": 60},
                            "title": {"type": "string", "maxLength": 200},
                            "tier": {"type": "integer", "minimum": 1, "maximum": 99},
                            "when": {
                                "type": ["string", "object"], "minLength": 1, "maxLength": 2000, "maxProperties": 50,
                                "additionalProperties": _CELL,
                                "description": "CEL over inputs; or a cell for each input that counts.",
                            },
                            "then": _OUTPUT,
                        },
                    },
                },
                "default": {**_OUTPUT, "description": "When no rule matches, and when something cannot be judged."},
                "tests": {
                    "type": "array",
                    "maxItems": 500,
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["name", "given", "expect"],
                        "properties": {
                            "name": {"type": "string", "minLength": 1, "maxLength": 120},
                            "given": _VALUES,
                            "expect": _VALUES,
                            "rule": {
                                "type": "string", "maxLength": 1300,
                                "description": "Who must decide; several hits joined by commas; empty = default.",
                            },
                        },
                    },
                },
            },
        },
    )  # fmt: skip

    def lint(self, change: Change, overlay: Overlay) -> list[Fault]:
        if change.new is None:
            return self.removal_faults(change)
        return faults_of(change.new)
