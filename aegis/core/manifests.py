"""Manifests: documents as YAML or JSON files, read strictly and written deterministically. Pure but for `read_paths`.

What two readers could understand differently is refused, never guessed: duplicate keys, anchors and aliases, tags, directives,
scalars that YAML 1.1 and 1.2 read differently (`yes`, `0o17`, `12:30`), keys that are no text. Every error names file, line and
column; so do faults found later, because a `Manifest` knows the place of each value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.errors import Fault, Invalid, Malformed, NotFound, TooLarge
from aegis.core.kinds import API_VERSION, Key

MAX_FILE_BYTES = 4 * 1024 * 1024
MAX_DOCUMENTS = 1_000  # in one file
SUFFIXES = (".yaml", ".yml", ".json")

Place = tuple[int, int]  # line and column, from 1

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's parser does not recurse and is 20 times as fast
_BREAK = re.compile(r"\r\n|[\r\n\x85\u2028\u2029]")
_INDENT = re.compile(r"^( *)[^ \n]", re.MULTILINE)
_INNER = re.compile(r"([0-9]{1,6}):([0-9]{1,6})")
_INT = re.compile(r"-?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_OCTAL = re.compile(r"0o[0-7]+")  # a number to YAML 1.2, text to YAML 1.1
_CONSTANT = re.compile(r'"(?:[^"\\]|\\.)*"|NaN|-?Infinity', re.DOTALL)
_PAIR = re.compile(r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|.)", re.DOTALL)
_WORDS: Mapping[str, Json] = {"": None, "~": None, "null": None, "true": True, "false": False}
# Plain scalars that a YAML 1.1 reader takes for something else than text, and a JSON reader would not.
_AMBIGUOUS_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("bool", "int", "float", "null", "merge", "value")}
_FIRST_KEYS = ("apiVersion", "kind", "metadata", "spec", "id", "name", "title", "description")


@dataclass(frozen=True, slots=True)
class Manifest:
    """One document and where it was written.

    Attributes:
        source: file name, as given.
        places: JSON pointer -> line and column of the value.
        insides: JSON pointer -> line and column of the first character of a text, where its lines stand in the file as they
            are read (unquoted or quoted on one line, or a literal block).
    """

    key: Key
    document: Json
    source: str
    places: Mapping[str, Place] = field(default_factory=dict, repr=False)
    insides: Mapping[str, Place] = field(default_factory=dict, repr=False)

    def place(self, pointer: str) -> Place:
        """Line and column of a value, or of the nearest one above it. "/spec/when 1:5" is the place inside that text, if its
        characters stand in the file as they are read; else where the text begins."""
        path, _, inner = pointer.partition(" ")
        while path not in self.places and path:
            path, inner = path.rpartition("/")[0], ""
        start = self.places.get(path, (1, 1))
        found = _INNER.fullmatch(inner)
        if not found or path not in self.insides:
            return start
        (line, column), row, character = self.insides[path], int(found[1]), int(found[2])
        if row > 1 and line == start[0]:  # an escaped line break in a quoted text
            return start
        return line + row - 1, column + character - 1

    def at(self, pointer: str) -> str:
        """ "file:line:column" of a place, see `place`."""
        line, column = self.place(pointer)
        return f"{self.source}:{line}:{column}"

    def locate(self, fault: Fault) -> Fault:
        """The same fault with its place in the file before its pointer."""
        where = f"{self.at(fault.where)}: {fault.where}" if fault.where else self.at("")
        return replace(fault, where=where)


def read(raw: bytes | str, source: str) -> list[Manifest]:
    """Every document of one file.

    Args:
        source: named in errors; a name that ends in ".json" is held to strict JSON.

    Raises:
        TooLarge, Malformed: cannot be read. Invalid: no envelope. Each fault's `where` is "file:line:column".
    """
    text = _text(raw, source)
    is_json = source.endswith(".json")
    if is_json:
        value = _strict_json(text, source)
        # The places come from the YAML parser, to which tabs and paired escapes are foreign; lengths stay what they are.
        text = _PAIR.sub(lambda found: "x" * len(found[0]) if len(found[0]) > 2 else found[0], text.replace("\t", " "))
    manifests: list[Manifest] = []
    for document in _documents(text, source):
        if is_json:
            document.value = value
        if document.value is not None:  # a file may end with `---`
            manifests.append(_manifest(document))
    return manifests


def read_paths(paths: Iterable[Path | str]) -> list[Manifest]:
    """Every document of files and folders (searched through, in order of name).

    Raises:
        NotFound: no such file, or a folder without manifests. Invalid: a document that appears twice. Else as `read`.
    """
    found: dict[Key, Manifest] = {}
    for path in _files(paths):
        for manifest in read(_bytes(path), str(path)):
            if manifest.key in found:
                what = f"{manifest.key} stands already at {found[manifest.key].at('')}"
                raise Invalid(what, faults=[Fault(manifest.at(""), what)])
            found[manifest.key] = manifest
    return list(found.values())


def dump(documents: Iterable[Json]) -> str:
    """Documents as YAML, always the same text for the same documents. `read` gives them back equal."""
    return "".join(
        "---\n" + yaml.dump(_ordered(document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
        for document in documents
    )


def read_value(raw: bytes | str, source: str) -> Json:
    """One value as YAML (or JSON, which is YAML), without an envelope; None for an empty text.

    Raises:
        TooLarge, Malformed: cannot be read, or holds more than one document.
    """
    found = [document.value for document in _documents(_text(raw, source), source)]
    if len(found) > 1:
        raise _malformed(source, (1, 1), f"{len(found)} documents; one value is expected")
    return found[0] if found else None


def dump_value(value: Json) -> str:
    """Any value as YAML; `read_value` gives it back equal."""
    return yaml.dump(_ordered(value), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110).removesuffix("...\n")


def _text(raw: bytes | str, source: str) -> str:
    data = raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else raw
    if len(data) > MAX_FILE_BYTES:
        what = f"{len(data):,} bytes; at most {MAX_FILE_BYTES:,} are accepted"
        raise TooLarge(f"{source}:1:1: {what}", faults=[Fault(f"{source}:1:1", what)])
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        place = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
        raise _malformed(source, place, "not UTF-8") from None
    text = text.removeprefix("\ufeff")
    if (index := text.find("\x00")) >= 0:
        raise _malformed(source, _place_of(text, index), "a NUL character")
    return text


def _strict_json(text: str, source: str) -> Json:
    try:
        return canonical.parse(text, max_bytes=MAX_FILE_BYTES)
    except Malformed as error:
        fault = error.faults[0] if error.faults else Fault("", error.detail)
        if numbers := re.fullmatch(r"line (\d+), column (\d+)", fault.where):
            raise _malformed(source, (int(numbers[1]), int(numbers[2])), fault.what) from None
        for found in _CONSTANT.finditer(text):
            if not found[0].startswith('"'):
                raise _malformed(source, _place_of(text, found.start()), f"{found[0]} is not JSON") from None
        # A duplicate key, a number, the depth, a character: the YAML reader meets it too, and knows its place.
        for _ in _documents(text.replace("\t", " "), source):
            pass
        raise _malformed(source, (1, 1), f"{fault.where} {fault.what}".strip()) from None


@dataclass(slots=True)
class _Document:
    source: str
    value: Json
    places: dict[str, Place]
    insides: dict[str, Place]


@dataclass(frozen=True, slots=True)
class _Written:
    """The text itself, and where each of its lines ends."""

    text: str
    line_ends: list[int]


def _documents(text: str, source: str) -> Iterator[_Document]:
    """Build values from the parser's events: no node graph, no constructors, nothing a document could call."""
    events = _events(text, source)
    written = _Written(text, [found.end() for found in _BREAK.finditer(text)])
    count = 0
    for event in events:
        if not isinstance(event, yaml.DocumentStartEvent):
            continue
        count += 1
        if count > MAX_DOCUMENTS:
            raise _malformed(source, _mark(event), f"more than {MAX_DOCUMENTS:,} documents in one file")
        if event.version or event.tags:
            raise _malformed(source, _mark(event), "directives are not accepted", "leave it out")
        document = _Document(source, None, {}, {})
        document.value = _build(next(events), events, written, document, "", 0)
        yield document


def _events(text: str, source: str) -> Iterator[Any]:
    try:
        yield from yaml.parse(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise _malformed(source, place, error.problem or error.context or "not YAML") from None
    except yaml.reader.ReaderError as error:
        raise _malformed(
            source, _place_of_byte(text, error.position), f"a character that is not allowed ({error.reason})"
        ) from None


def _build(event: Any, events: Iterator[Any], written: _Written, into: _Document, pointer: str, depth: int) -> Json:
    """The value that begins with `event`, its places noted in `into`."""
    source = into.source
    if depth > canonical.MAX_DEPTH:
        raise _malformed(source, _mark(event), f"nested deeper than {canonical.MAX_DEPTH} levels")
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
        raise _malformed(source, _mark(event), "anchors and aliases are not accepted; write it out")
    if getattr(event, "tag", None) is not None:
        raise _malformed(source, _mark(event), f"tags are not accepted ({event.tag})", "write the value alone")
    into.places[pointer] = _mark(event)
    if isinstance(event, yaml.ScalarEvent):
        if (inside := _inside(event, written)) is not None:
            into.insides[pointer] = inside
        return _scalar(event, source)
    if isinstance(event, yaml.SequenceStartEvent):
        items: list[Json] = []
        while not isinstance(item := next(events), yaml.SequenceEndEvent):
            items.append(_build(item, events, written, into, f"{pointer}/{len(items)}", depth + 1))
        return items
    result: dict[str, Json] = {}
    while not isinstance(key_event := next(events), yaml.MappingEndEvent):
        key = _build(key_event, events, written, _Document(source, None, {}, {}), pointer, depth + 1)
        if not isinstance(key, str):
            raise _malformed(source, _mark(key_event), "a key must be text; put it in quotes")
        if key in result:
            raise _malformed(source, _mark(key_event), f"the key {key[:60]!r} appears twice", "keep one of them")
        below = f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
        result[key] = _build(next(events), events, written, into, below, depth + 1)
    return result


def _inside(event: Any, written: _Written) -> Place | None:
    """Where the first character of a text stands; None where what is read is not what is written (folded over lines)."""
    (line, column), style = _mark(event), event.style or ""
    if style == "|":
        block = _INDENT.search(written.text, written.line_ends[line - 1]) if line <= len(written.line_ends) else None
        return (line + 1, len(block[1]) + 1) if block else None
    if event.end_mark.line != event.start_mark.line or style == ">":
        return None
    return line, column + len(style)


def _scalar(event: Any, source: str) -> Json:
    text: str = event.value
    try:
        if not event.implicit[0]:  # quoted, or a block
            canonical.check_value(text)
            return text
        value = _plain(text)
        canonical.check_value(value)
    except Malformed as error:
        raise _malformed(source, _mark(event), error.faults[0].what) from None
    except _Ambiguous:
        what = (
            f"{text[:60]!r} means different things to different readers; quote it, or write true, false, null or a plain number"
        )
        raise _malformed(source, _mark(event), what) from None
    return value


class _Ambiguous(ValueError):
    pass


def _plain(text: str) -> Json:
    """An unquoted scalar: null, true, false, a JSON number, or text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text) if len(text) <= 20 else float("inf")  # check_value refuses it; int() of a long text is slow
    if _FLOAT.fullmatch(text):
        return float(text)
    if _OCTAL.fullmatch(text) or _resolver.resolve(yaml.ScalarNode, text, (True, False)) in _AMBIGUOUS_TAGS:
        raise _Ambiguous
    return text


def _manifest(document: _Document) -> Manifest:
    """The document with its key.

    Raises:
        Invalid: it has no envelope.
    """
    value = document.value
    manifest = Manifest(Key("", ""), value, document.source, document.places, document.insides)
    if not isinstance(value, dict):
        raise _invalid(manifest, "", f"a document is an object with apiVersion {API_VERSION}, kind, metadata and spec")
    if value.get("apiVersion") != API_VERSION:
        raise _invalid(manifest, "/apiVersion", f"apiVersion must be {API_VERSION}")
    kind, metadata = value.get("kind"), value.get("metadata")
    if not isinstance(kind, str) or not kind:
        raise _invalid(manifest, "/kind", "kind must be text")
    if not isinstance(metadata, dict):
        raise _invalid(manifest, "/metadata", "metadata must be an object")
    name = metadata.get("name")
    if not isinstance(name, str) or not name:
        raise _invalid(manifest, "/metadata/name", "metadata.name must be text")
    return Manifest(Key(kind, name), value, document.source, document.places, document.insides)


def _files(paths: Iterable[Path | str]) -> Iterator[Path]:
    for given in paths:
        path = Path(given)
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file())
            if not inside:
                raise NotFound(f"{path} holds no manifest (*.yaml, *.yml, *.json)")
            yield from inside
        elif path.is_file():
            yield path
        else:
            raise NotFound(f"There is no file {path}")


def _bytes(path: Path) -> bytes:
    """At most one byte more than is accepted, so that a huge file costs no memory."""
    with path.open("rb") as file:
        return file.read(MAX_FILE_BYTES + 1)


def _ordered(value: Json) -> Json:
    """Keys in the order people expect: what names a thing first, the rest by alphabet."""
    if isinstance(value, dict):
        first = [key for key in _FIRST_KEYS if key in value]
        return {key: _ordered(value[key]) for key in [*first, *sorted(value.keys() - set(first))]}
    if isinstance(value, list):
        return [_ordered(item) for item in value]
    return value


class _Dumper(yaml.SafeDumper):
    """Block style, no aliases, long texts as blocks; quotes whatever any reader could take for something else than text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
        return super().increase_indent(flow, False)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> Any:
    style = None
    if re.search("[\x85\u2028\u2029\ufeff]", text):
        style = '"'  # line breaks to a YAML reader: escaped
    elif "\n" in text and not re.search(r"[^\S\n ]| \n|^\s", text):
        style = "|"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)
# `1e5` is text to YAML 1.1 and a number to everybody else: quote it.
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(rf"^(?:{_FLOAT.pattern})$"), list("-0123456789"))
_Dumper.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(rf"^(?:{_OCTAL.pattern})$"), ["0"])
_resolver: Any = yaml.resolver.Resolver()


def _mark(event: Any) -> Place:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _place_of(text: str, index: int) -> Place:
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)


def _place_of_byte(text: str, position: int) -> Place:
    """libyaml counts bytes of the UTF-8 text, the Python parser characters; equal as long as the text before is ASCII."""
    if _Loader is not yaml.SafeLoader:
        position = len(text.encode()[:position].decode("utf-8", "ignore"))
    return _place_of(text, position)


def _malformed(source: str, place: Place, what: str, remedy: str = "") -> Malformed:
    fault = Fault(f"{source}:{place[0]}:{place[1]}", what, remedy)
    return Malformed(str(fault), faults=[fault])


def _invalid(manifest: Manifest, pointer: str, what: str) -> Invalid:
    fault = Fault(manifest.at(pointer), what)
    return Invalid(str(fault), faults=[fault])
