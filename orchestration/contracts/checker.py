"""Does a message keep its contract? Pure: JSON Schema 2020-12 over jsonschema-rs, offline.

Patterns run on a linear-time engine (no look-around, no back-references), references stay inside the schema and may not
recurse, and the expanded size is bounded: so a check costs a bounded number of steps per byte, whatever an agent sends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any, Final

import jsonschema_rs
import orjson

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.errors import AegisError, Fault, Invalid
from aegis.core.shape import target_of
from orchestration.contracts.wording import pointer, sentence_of

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
MAX_SCHEMA_BYTES: Final = 64 * 1024
MAX_EXPANDED_NODES: Final = 20_000  # subschemas after following every reference
MAX_FAULTS: Final = 20

# Keywords that would move or multiply what a reference means; nobody needs them in a self-contained contract.
_REFUSED_KEYWORDS: Final = frozenset({"$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$vocabulary"})
_ONE_SCHEMA: Final = frozenset(
    {"additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then", "unevaluatedItems",
     "unevaluatedProperties"}
)  # fmt: skip
_LIST_OF_SCHEMAS: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_MAP_OF_SCHEMAS: Final = frozenset({"$defs", "dependentSchemas", "patternProperties", "properties"})


class SchemaInvalid(Invalid):
    """Refused at save: not a JSON Schema 2020-12 that can be checked offline in bounded time."""

    code, title = "schema_invalid", "The schema cannot be used"


class ContractBroken(Invalid):
    """A message that does not keep its contract. `faults` holds a JSON pointer for each place."""

    code, title = "contract", "The message breaks its contract"


@dataclass(frozen=True, slots=True)
class Checker:
    """A compiled contract. Safe to share between threads."""

    digest: str
    schema: Mapping[str, Json] = field(compare=False)
    _validator: Any = field(compare=False)

    def accepts(self, value: Json) -> bool:
        """Does a JSON value (one that `canonical.check_value` lets pass) keep the contract? False for most of what is none."""
        try:
            return bool(self._validator.is_valid(value))
        except Exception:  # the binding raises assorted types for Python values that are not JSON
            return False

    def faults(self, value: Json) -> list[Fault]:
        """What is wrong, at most `MAX_FAULTS`, in document order as the library finds it. Empty: the contract is kept.

        Messages name places and rules, never the value found there: it may be secret, hostile or huge. Never raises.
        """
        if self.accepts(value):
            return []
        try:
            canonical.check_value(value)
            found = list(islice(_faults(self._validator.iter_errors(value)), MAX_FAULTS + 1))
        except AegisError as error:
            return list(error.faults)
        except Exception:  # as above
            found = []
        if len(found) > MAX_FAULTS:
            return [*found[: MAX_FAULTS - 1], Fault("", "and more faults, not listed")]
        return found or [Fault("", "is not a value this contract can describe")]

    def require(self, value: Json, *, what: str = "The message") -> None:
        """Pass, or refuse naming every place.

        Raises:
            ContractBroken: see `faults`.
        """
        if found := self.faults(value):
            raise ContractBroken(f"{what} breaks its contract: {found[0]}", faults=found)


def compile_schema(schema: Json) -> Checker:
    """Check and compile a schema; the same schema is compiled once per process.

    Raises:
        SchemaInvalid: `faults` point into the schema.
    """
    if not isinstance(schema, Mapping):
        raise _invalid("", "a schema is an object")
    try:
        canonical.check_value(schema)
    except Invalid as error:
        raise SchemaInvalid(str(error), faults=error.faults) from None
    raw = canonical.dump(schema)
    if len(raw) > MAX_SCHEMA_BYTES:
        raise _invalid("", f"{len(raw):,} bytes; a schema has at most {MAX_SCHEMA_BYTES:,}")
    return _compiled(raw)


def schema_faults(schema: Json) -> list[Fault]:
    """What speaks against a schema; empty if it can be used."""
    try:
        compile_schema(schema)
    except SchemaInvalid as error:
        return list(error.faults)
    return []


@lru_cache(maxsize=512)
def _compiled(raw: bytes) -> Checker:
    schema = orjson.loads(raw)
    _check_structure(schema)
    try:
        validator = jsonschema_rs.Draft202012Validator(
            schema,
            offline=True,
            validate_formats=True,
            ignore_unknown_formats=False,
            pattern_options=jsonschema_rs.RegexOptions(size_limit=1 << 20, dfa_size_limit=1 << 22),
        )
    except jsonschema_rs.ValidationError as error:
        where = pointer(error.instance_path)
        remedy = _REMEDIES.get(where.rpartition("/")[2], "see JSON Schema 2020-12")
        raise _invalid(where, _first_line(error.message), remedy) from None
    except Exception as error:
        raise _invalid("", _first_line(str(error))) from None
    return Checker(digest=canonical.digest(raw), schema=schema, _validator=validator)


def _faults(errors: Iterator[Any]) -> Iterator[Fault]:
    for error in errors:
        yield from sentence_of(error)


def _check_structure(schema: Mapping[str, Json]) -> None:
    """Refuse what the library would accept but we could not bound: see the module's first lines."""
    if schema.get("$schema", DIALECT) != DIALECT:
        raise _invalid("/$schema", f"the dialect is {DIALECT}")
    sizes: dict[str, int] = {}
    _expanded(schema, schema, "", sizes, ())


def _expanded(root: Json, node: Json, where: str, sizes: dict[str, int], open_refs: tuple[str, ...]) -> int:
    """Subschemas that checking against `node` may visit, references followed.

    Raises:
        SchemaInvalid: a keyword or reference we refuse, a recursion, or more than `MAX_EXPANDED_NODES`.
    """
    if not isinstance(node, Mapping):
        return 1
    total = 1
    for keyword in sorted(_REFUSED_KEYWORDS & node.keys()):
        raise _invalid(f"{where}/{keyword}", f"{keyword} is not supported", "refer by JSON pointer: {$ref: '#/$defs/NAME'}")
    if "$ref" in node:
        total += _referred(root, node["$ref"], where, sizes, open_refs)
    for place, child in _children(node):
        size = _expanded(root, child, f"{where}/{place}", sizes, open_refs)
        total += 0 if place.startswith("$defs/") else size
        if total > MAX_EXPANDED_NODES:
            raise _invalid(where, f"expands to more than {MAX_EXPANDED_NODES:,} subschemas")
    return total


def _referred(root: Json, ref: Json, where: str, sizes: dict[str, int], open_refs: tuple[str, ...]) -> int:
    if not (isinstance(ref, str) and ref.startswith("#/")):
        raise _invalid(f"{where}/$ref", "a reference is a JSON pointer into the same schema", "write {$ref: '#/$defs/NAME'}")
    if ref in open_refs:
        raise _invalid(f"{where}/$ref", "is recursive; a message has a depth known from its contract")
    if ref not in sizes:
        target = target_of(root, ref)
        if target is None:
            raise _invalid(f"{where}/$ref", "points to nothing in this schema", "add it under $defs")
        sizes[ref] = _expanded(root, target, ref[1:], sizes, (*open_refs, ref))
    return sizes[ref]


def _children(node: Mapping[str, Json]) -> Iterator[tuple[str, Json]]:
    for keyword, value in node.items():
        if keyword in _ONE_SCHEMA:
            yield keyword, value
        elif keyword in _LIST_OF_SCHEMAS and isinstance(value, list):
            yield from ((f"{keyword}/{index}", child) for index, child in enumerate(value))
        elif keyword in _MAP_OF_SCHEMAS and isinstance(value, Mapping):
            yield from ((f"{keyword}{pointer([name])}", child) for name, child in value.items())


def _first_line(text: str) -> str:
    line = text.strip().splitlines()[0] if text.strip() else "is not a valid schema"
    return line if len(line) <= 200 else f"{line[:197]}..."


#: Last part of a place in a schema -> what may stand there.
_REMEDIES: Final[Mapping[str, str]] = {
    "pattern": "patterns have no look-around and no back-references",
    "type": "types are array, boolean, integer, null, number, object, string",
    "enum": "write a list of the values allowed",
    "required": "write a list of field names",
    "properties": "write name: schema for each field",
    "format": "formats are date, date-time, duration, email, hostname, ipv4, ipv6, regex, time, uri, uuid",
    **dict.fromkeys(
        ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), "write a whole number, 0 or more"
    ),
}


def _invalid(where: str, what: str, remedy: str = "") -> SchemaInvalid:
    fault = Fault(where, what, remedy)
    return SchemaInvalid(f"The schema cannot be used: {fault}", faults=[fault])
