"""What breaks a kind's JSON Schema, each place with a remedy that names a field, an allowed value or a form. Pure.

The library says which rule broke; what could stand there instead is read from the schema itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import Any, Final

import jsonschema_rs

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.errors import Fault

CODE: Final = "schema"
MAX_FAULTS: Final = 20
_MAX_CHARS: Final = 200
_WORDS: Final = {
    "array": "a list", "boolean": "true or false", "integer": "a whole number", "null": "null", "number": "a number",
    "object": "an object", "string": "text",
}  # fmt: skip

_validators: dict[str, tuple[Json, Any]] = {}


def faults_of(kind: str, schema: Json, document: Json) -> tuple[Fault, ...]:
    """At most `MAX_FAULTS`, as the library finds them; empty if the document keeps the schema.

    Args:
        kind: under which the compiled schema is kept, for as long as the kind keeps that schema.
    """
    known = _validators.get(kind)
    if known is None or known[0] is not schema:
        known = (schema, jsonschema_rs.validator_for(schema, validate_formats=True, offline=True))
        _validators[kind] = known
    found = (fault for error in known[1].iter_errors(document) for fault in _explained(error, schema))
    return tuple(islice(found, MAX_FAULTS))


def _explained(error: Any, schema: Json) -> Iterator[Fault]:
    path, keyword, kind = list(error.instance_path), error.kind.name, error.kind
    parent = _at(schema, error.schema_path[:-1])
    match keyword:
        case "required":
            where = _pointer([*path, kind.property])
            wanted = parent.get("properties", {}).get(kind.property, {})
            yield _fault(where, "is missing", f"add {kind.property}: {_form(wanted)}")
        case "additionalProperties" | "unevaluatedProperties":
            known = sorted(parent.get("properties", {}))
            for name in kind.unexpected:
                yield _fault(_pointer([*path, name]), "is not a field here", _instead(str(name), known, "fields"))
        case "enum":
            allowed = [_literal(option) for option in kind.options]
            yield _fault(_pointer(path), "is not an allowed value", _instead(_literal(error.instance), allowed, "allowed"))
        case "const":
            yield _fault(_pointer(path), "is not the allowed value", f"write {_literal(kind.expected_value)}")
        case "type":
            what = f"must be {' or '.join(sorted(_WORDS.get(name, name) for name in kind.types))}"
            yield _fault(_pointer(path), what, f"write {_form(parent)}")
        case _:
            yield _fault(_pointer(path), str(error.message), f"write {_form(parent)}")


def _fault(where: str, what: str, remedy: str) -> Fault:
    return Fault(where, _short(what), _short(remedy), CODE)


def _at(schema: Json, path: Sequence[str | int]) -> Mapping[str, Json]:
    """The subschema that holds the rule; {} where it is none. References are followed in the path already."""
    node = schema
    for part in path:
        try:
            node = node[part]
        except (KeyError, IndexError, TypeError):
            return {}
    return node if isinstance(node, Mapping) else {}


def _form(schema: Json) -> str:
    """What may stand there, in as many words as the schema gives."""
    if not isinstance(schema, Mapping):
        return "a value"
    if "enum" in schema:
        return f"one of {', '.join(_literal(option) for option in schema['enum'])}"
    if "const" in schema:
        return _literal(schema["const"])
    kinds = schema.get("type", "")
    words = " or ".join(_WORDS.get(name, name) for name in ([kinds] if isinstance(kinds, str) else kinds)) or "a value"
    if "pattern" in schema and "description" not in schema:
        words += f" of the form {schema['pattern']}"
    if fields := schema.get("required"):
        words += f" with {', '.join(map(str, fields))}"
    said = str(schema.get("description", "")).rstrip(".")
    return f"{words}: {said}" if said else words


def _instead(given: str, known: Sequence[str], word: str) -> str:
    close = get_close_matches(given, known, n=1)
    if close:
        return f"did you mean {close[0]}? {word} are {', '.join(known)}"
    return f"{word} are {', '.join(known)}" if known else f"no {word} are known here"


def _literal(value: Json) -> str:
    return value if isinstance(value, str) else canonical.dump(value).decode()


def _pointer(path: Sequence[str | int]) -> str:
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


def _short(text: str) -> str:
    return text if len(text) <= _MAX_CHARS else text[: _MAX_CHARS - 1] + "…"
