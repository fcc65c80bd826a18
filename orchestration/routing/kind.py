"""The kind `RoutingTable`. Its stored tests run at every lint: a table with a failing one is not published."""

from __future__ import annotations

from aegis.core.canonical import Json
from aegis.core.errors import Fault
from aegis.core.kinds import Change, Overlay, envelope
from approvals.governed import DocumentKind
from orchestration.routing.models import RoutingTable
from orchestration.routing.tables import MAX_RULES, faults_of

_NAME: Json = {"type": "string", "pattern": "^[a-z_][a-zA-Z0-9_]*$", "maxLength": 60}
_TYPES: Json = {"enum": ["string", "int", "number", "bool", "list", "map", "any"]}
_VALUES: Json = {"type": "object", "maxProperties": 50}
_OUTPUT: Json = {**_VALUES, "required": ["case"], "properties": {"case": {"type": "string", "minLength": 1, "maxLength": 60}}}


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
            "required": ["inputs", "outputs", "rules", "default"],
            "properties": {
                "inputs": {
                    "type": "object", "propertyNames": _NAME, "additionalProperties": _TYPES, "maxProperties": 50,
                    "description": "Facts the conditions may use, with their types.",
                },
                "outputs": {
                    "type": "object", "propertyNames": _NAME, "additionalProperties": _TYPES, "maxProperties": 50,
                    "description": "What every row gives beside its case.",
                },
                "hit_policy": {"const": "First", "default": "First"},
                "rules": {
                    "type": "array",
                    "maxItems": MAX_RULES,
                    "description": "Tried by tier, then in this order; the first true condition wins.",
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["id", "when", "then"],
                        "properties": {
                            "id": {"type": "string", "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]*$", "maxLength": 60},
                            "title": {"type": "string", "maxLength": 200},
                            "tier": {"type": "integer", "minimum": 1, "maximum": 99},
                            "when": {"type": "string", "minLength": 1, "maxLength": 2000, "description": "CEL over inputs."},
                            "then": _OUTPUT,
                        },
                    },
                },
                "default": {**_OUTPUT, "description": "When no rule matches, and when a condition cannot be judged."},
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
                            "rule": {"type": "string", "maxLength": 60, "description": "Who must decide; empty = default."},
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
