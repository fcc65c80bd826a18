"""The JSON Schemas of configuration, as editors take them: one for each kind, and one for any document."""

from __future__ import annotations

import json

from aegis.core.canonical import Json
from aegis.core.kinds import all_kinds


def of_any_document() -> Json:
    """A schema that takes a document of any kind: told apart by `kind`, so that an editor needs one association only."""
    kinds = all_kinds()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "AEGIS document",
        "type": "object",
        "required": ["apiVersion", "kind"],
        "properties": {"kind": {"enum": [kind.name for kind in kinds]}},
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": kind.name}}, "required": ["kind"]},
                "then": {"$ref": f"#/$defs/{kind.name}"},
            }
            for kind in kinds
        ],
        # Each keeps its own references ("#/$defs/step"): an `$id` makes them start at the kind, not here.
        "$defs": {kind.name: {"$id": f"urn:aegis:schema:{kind.name}", **kind.schema} for kind in kinds},
    }


def as_text(schema: Json) -> str:
    """The same text for the same schema."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
