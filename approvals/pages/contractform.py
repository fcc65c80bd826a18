"""A form made from a contract: JSON Schema in, fields out; posted text in, JSON and faults out. Pure.

Drawn as inputs: text, enumerations, whole numbers, numbers, yes/no, and lists of these. Whatever else a schema may say
(nested objects, alternatives) becomes a JSON box for that field, and a schema that is no plain object one JSON box for all.
The contract itself is checked by the verb; what is refused here is only text that cannot be read as the type asked for.
Nothing typed is ever lost: every field keeps its text as it was sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.diffs import field_label, pretty
from aegis.core.errors import Fault, Malformed
from aegis.core.shape import named_in, resolved, type_of

Widget = Literal["line", "text", "choice", "choices", "integer", "number", "boolean", "lines", "json", "fixed"]
_SCALARS = ("string", "integer", "number", "boolean")
_LONG_TEXT = 160  # characters from which a text gets several rows
_PLAIN_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
NOT_GIVEN = object()


class Posted(Protocol):
    """The part of Django's QueryDict used here."""

    def getlist(self, key: str) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Option:
    value: str
    label: str
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """One input.

    Attributes:
        pointer: JSON pointer of the value it makes ("" = the whole output).
        input: name and id of the control: from the key, or from its position where the key is no plain word.
        items: scalar type of a list's entries.
        texts: what is shown: one text, or the chosen entries of `choices`.
        faults: what is wrong at this place, in words.
    """

    pointer: str
    key: str
    input: str
    label: str
    hint: str
    widget: Widget
    required: bool
    type: str = "string"
    items: str = "string"
    nullable: bool = False
    options: tuple[Option, ...] = ()
    rows: int = 3
    texts: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    fixed: Json = None

    @property
    def text(self) -> str:
        return self.texts[0] if self.texts else ""

    @property
    def shown(self) -> tuple[Option, ...]:
        """The options with those chosen marked."""
        return tuple(replace(option, chosen=option.value in self.texts) for option in self.options)

    @property
    def described_by(self) -> str:
        """Ids of hint and fault, for aria-describedby."""
        ids = [f"{self.input}-hint"] if self.hint else []
        return " ".join([*ids, f"{self.input}-fault"] if self.faults else ids)


@dataclass(frozen=True, slots=True)
class ContractForm:
    """The form of one contract, empty, filled in, or sent back with faults."""

    fields: tuple[Field, ...]
    faults: tuple[str, ...] = field(default=())  # that belong to no field

    @property
    def is_whole(self) -> bool:
        """One JSON box for the whole output."""
        return len(self.fields) == 1 and self.fields[0].pointer == ""

    def filled(self, value: Json) -> ContractForm:
        """With the values of `value` where it has them."""
        return replace(self, fields=tuple(_fill(item, value) for item in self.fields))

    def posted(self, data: Posted) -> ContractForm:
        """With exactly what was sent."""
        return replace(self, fields=tuple(replace(item, texts=_sent(item, data)) for item in self.fields))

    def value(self) -> tuple[Json, list[Fault]]:
        """The JSON these texts mean, and a fault for each text that cannot be read. An empty optional field is left out."""
        if self.is_whole:
            return _read_json(self.fields[0])
        result: dict[str, Json] = {}
        faults: list[Fault] = []
        for item in self.fields:
            value, wrong = _read(item)
            faults.extend(wrong)
            if value is not NOT_GIVEN:
                result[item.key] = value
        return result, faults

    def with_faults(self, faults: Sequence[Fault]) -> ContractForm:
        """Each fault at the field its pointer lies in; the rest above the form."""
        if self.is_whole:
            texts = tuple(str(fault) for fault in faults)
            return replace(self, fields=(replace(self.fields[0], faults=texts),))
        at: dict[str, list[str]] = {item.pointer: [] for item in self.fields}
        rest: list[str] = []
        for fault in faults:
            home = next((place for place in at if fault.where == place or fault.where.startswith(f"{place}/")), None)
            if home is None:
                rest.append(str(fault))
                continue
            inside = fault.where[len(home) :]
            what = f"{inside}: {fault.what}" if inside else fault.what
            at[home].append(f"{what} ({fault.remedy})" if fault.remedy else what)
        fields = tuple(replace(item, faults=tuple(at[item.pointer])) for item in self.fields)
        return replace(self, fields=fields, faults=tuple(rest))


def build(schema: Json) -> ContractForm:
    """The empty form of a contract. Total: every schema gives a form."""
    root = resolved(schema, schema)
    properties = root.get("properties") if isinstance(root, Mapping) else None
    if not isinstance(properties, Mapping) or not properties or root.get("type", "object") != "object":
        return ContractForm((_json_field("", "", "f-0", "Output", "The whole output as JSON.", required=True, rows=12),))
    required = set(root.get("required", ()))
    return ContractForm(
        tuple(
            _field(schema, key, properties[key], _input_name(key, number), required=key in required)
            for number, key in enumerate(named_in(root))
        )
    )


def _input_name(key: str, number: int) -> str:
    return f"f-{key if _PLAIN_KEY.fullmatch(key) else number}"


def _field(schema: Json, key: str, node: Json, name: str, *, required: bool) -> Field:
    spec = resolved(schema, node)
    label = str(spec.get("title") or field_label(key))
    description = str(spec.get("description", ""))
    pointer = "/" + key.replace("~", "~0").replace("/", "~1")
    type_, nullable = type_of(spec)
    base = Field(pointer, key, name, label, description, "line", required, nullable=nullable)
    if "const" in spec:
        return replace(base, widget="fixed", fixed=spec["const"], texts=(_text_of(spec["const"]),))
    if options := _options(spec):
        return replace(base, widget="choice", type="enum", options=options)
    if any(word in spec for word in ("anyOf", "oneOf", "allOf", "not", "if")):
        return _json_field(pointer, key, name, label, description, required=required)
    hint = " ".join(part for part in (description, _limits(spec)) if part)
    match type_:
        case "string":
            long = int(spec.get("maxLength", 0)) > _LONG_TEXT
            return replace(base, hint=hint, widget="text" if long else "line", rows=5 if long else 1)
        case "integer":
            return replace(base, hint=hint, widget="integer", type="integer")
        case "number":
            return replace(base, hint=hint, widget="number", type="number")
        case "boolean":
            return replace(
                base, hint=hint, widget="boolean", type="boolean", options=(Option("true", "Yes"), Option("false", "No"))
            )
        case "array":
            return _list_field(schema, spec, base, hint)
        case _:
            return _json_field(pointer, key, name, label, hint, required=required)


def _list_field(schema: Json, spec: Mapping[str, Json], base: Field, hint: str) -> Field:
    items = resolved(schema, spec.get("items"))
    type_, nullable = type_of(items)
    if spec.get("uniqueItems") and (options := _options(items)):
        return replace(base, hint=hint, widget="choices", type="array", items="enum", options=options)
    simple = type_ in _SCALARS and type_ != "boolean" and not nullable and "enum" not in items
    if "prefixItems" in spec or not simple:
        return _json_field(base.pointer, base.key, base.input, base.label, hint, required=base.required)
    return replace(
        base, hint=" ".join(part for part in (hint, "One entry per line.") if part), widget="lines", type="array",
        items=type_, rows=4,
    )  # fmt: skip


def _json_field(pointer: str, key: str, name: str, label: str, hint: str, *, required: bool, rows: int = 6) -> Field:
    hint = " ".join(part for part in (hint, "" if pointer == "" else "As JSON.") if part)
    return Field(pointer, key, name, label, hint, "json", required, type="json", rows=rows)


def _options(spec: Mapping[str, Json]) -> tuple[Option, ...]:
    values = spec.get("enum")
    if not isinstance(values, list) or not all(isinstance(item, str | int | float | bool) or item is None for item in values):
        return ()
    return tuple(Option(canonical.dump(item).decode(), item if isinstance(item, str) else _text_of(item)) for item in values)


def _limits(spec: Mapping[str, Json]) -> str:
    """The bounds of a value in words. They are said, not enforced by the browser: a cut-off text would be a lost one."""
    said = []
    for word, form in (
        ("minimum", "at least {}"), ("maximum", "at most {}"),
        ("exclusiveMinimum", "above {}"), ("exclusiveMaximum", "below {}"),
        ("minLength", "at least {} characters"), ("maxLength", "at most {:,} characters"),
        ("minItems", "at least {} entries"), ("maxItems", "at most {} entries"),
    ):  # fmt: skip
        if word in spec and not (word == "minLength" and spec[word] <= 1):
            said.append(form.format(spec[word]))
    if isinstance(spec.get("format"), str):
        said.append({"date": "a date like 2026-11-23", "email": "an e-mail address"}.get(spec["format"], str(spec["format"])))
    text = ", ".join(said)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _text_of(value: Json) -> str:
    if value is None:
        return "null"
    return value if isinstance(value, str) else canonical.dump(value).decode()


def _fill(item: Field, value: Json) -> Field:
    if item.widget == "fixed":
        return item
    if item.pointer:
        if not isinstance(value, Mapping) or item.key not in value or value[item.key] is None:
            return item
        value = value[item.key]
    match item.widget:
        case "json":
            text = pretty(value)
            return replace(
                item, texts=(text,), rows=min(max(item.rows, 3), text.count("\n") + 2) if item.pointer else item.rows
            )
        case "choice" | "boolean":
            return replace(item, texts=(canonical.dump(value).decode(),))
        case "choices" if isinstance(value, list):
            return replace(item, texts=tuple(canonical.dump(entry).decode() for entry in value))
        case "lines" if isinstance(value, list):
            return replace(item, texts=("\n".join(_text_of(entry) for entry in value),))
        case _:
            text = _text_of(value)
            is_long = item.widget == "line" and (len(text) > _LONG_TEXT // 2 or "\n" in text)
            return replace(item, texts=(text,), widget="text" if is_long else item.widget, rows=5 if is_long else item.rows)


def _sent(item: Field, data: Posted) -> tuple[str, ...]:
    if item.widget == "fixed":
        return item.texts
    if item.widget == "choices":
        return tuple(data.getlist(item.input))
    text = "".join(data.getlist(item.input)[:1]).replace("\r\n", "\n")
    return (text,) if text else ()


def _read(item: Field) -> tuple[Json, list[Fault]]:
    """The value of one field, NOT_GIVEN if it is empty (a required list or null is still given)."""
    if item.widget == "fixed":
        return item.fixed, []
    if item.widget == "choices":
        return _read_choices(item)
    text = item.text
    if not text.strip():
        if item.required and item.nullable:
            return None, []
        return ([] if item.required and item.widget == "lines" else NOT_GIVEN), []
    match item.widget:
        case "json":
            return _read_json(item)
        case "choice" | "boolean":
            known = any(option.value == text for option in item.options)
            return (canonical.parse(text), []) if known else (NOT_GIVEN, [Fault(item.pointer, "is none of the choices")])
        case "lines":
            return _read_lines(item)
        case _:
            return _scalar(item.type, text, item.pointer)


def _read_choices(item: Field) -> tuple[Json, list[Fault]]:
    known = {option.value for option in item.options}
    if any(text not in known for text in item.texts):
        return NOT_GIVEN, [Fault(item.pointer, "has an entry that is none of the choices")]
    return ([canonical.parse(text) for text in item.texts] if item.texts or item.required else NOT_GIVEN), []


def _read_lines(item: Field) -> tuple[Json, list[Fault]]:
    values: list[Json] = []
    faults: list[Fault] = []
    for number, line in enumerate(line.strip() for line in item.text.split("\n") if line.strip()):
        value, wrong = _scalar(item.items, line, f"{item.pointer}/{number}")
        values.append(value)
        faults.extend(wrong)
    return (NOT_GIVEN, faults) if faults else (values, [])


def _scalar(type_: str, text: str, pointer: str) -> tuple[Json, list[Fault]]:
    if type_ == "string":
        if "\x00" in text:
            return NOT_GIVEN, [Fault(pointer, "holds a NUL character")]
        return text, []
    plain = text.strip()
    try:
        value = canonical.parse(plain)
    except Malformed:
        value = None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if type_ == "integer" and not (is_number and isinstance(value, int)):
        return NOT_GIVEN, [Fault(pointer, "is no whole number", "write it with digits alone, as in 1200")]
    if not is_number:
        return NOT_GIVEN, [Fault(pointer, "is no number", "write it as in 12.5")]
    return value, []


def _read_json(item: Field) -> tuple[Json, list[Fault]]:
    try:
        return canonical.parse(item.text), []
    except Malformed as error:
        found = error.faults[0] if error.faults else Fault("", str(error))
        where = found.where if found.where.startswith("/") else ""
        what = found.what if where else f"cannot be read as JSON: {found}"
        return NOT_GIVEN, [Fault(f"{item.pointer}{where.rstrip('/')}", what)]
