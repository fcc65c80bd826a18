"""The event types of AEGIS: each with its sentence for people, its fields and its erasure rule. Pure.

An app declares its types in an `events` module and registers them from `AppConfig.ready()`; a type that is not registered
cannot be written (`audit.chain.seal` refuses it). A release never changes the meaning of a type: a new meaning is a new
`version` of the same name, and every version stays registered, because the journal still holds its lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from aegis.core.canonical import Json
from aegis.core.errors import Fault, Invalid

Lane = Literal["handoffs", "routing", "contracts", "agents", "gates", "effects", "governance", "access", "system"]
Tone = Literal["grey", "blue", "green", "amber", "red", "violet"]
# What empties a payload: "personal" goes when a person is erased or its retention ends; "business" only when retention ends.
Erasure = Literal["personal", "business"]

LANES: tuple[str, ...] = get_args(Lane)
# Names a sentence may use beside `data.<field>`.
NAMES = frozenset({"actor", "on_behalf", "subject", "run", "step", "agent", "capability", "outcome", "scope"})
MAX_VALUE_CHARS = 80

_TYPE_NAME = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
_PLACE = re.compile(r"\{([a-z_]+(?:\.[a-z0-9_]+)?)\}")


class UnknownEventType(Invalid):
    """An event of a type nobody registered. A fault of the program, never of a person."""

    code, http_status, title = "unknown_event_type", 500, "This event type is not registered"


class UndeclaredContent(Invalid):
    """An event carries a field or payload its type does not declare, or lacks one that it requires."""

    code, http_status, title = "undeclared_content", 500, "The event does not match its registered type"


@dataclass(frozen=True, slots=True)
class EventType:
    """One kind of event.

    Attributes:
        name: noun and verb in the past tense ("gate.opened").
        sentence: for people; `{actor}`, `{on_behalf}`, `{subject}`, `{run}`, `{step}`, `{agent}`, `{capability}`, `{outcome}`,
            `{scope}` and `{data.<field>}` are replaced by plain look-up. The row already says when and on whose behalf.
        lane: where the run page draws it.
        fields: names in `data`; a trailing "?" marks one that may be missing ("code?").
        payloads: names of payloads that may come with it, each with its erasure rule; a bare tuple means "personal".
        tone: colour of its tag when the event has no outcome of its own.
        searchable: payloads whose text the audit search reads; None = all of them.
        version: raised when the meaning changes.
        unless: (field, value, sentence): the sentence instead when `data.<field>` is exactly that value; None = has none.
    """

    name: str
    sentence: str
    lane: Lane
    fields: tuple[str, ...] = ()
    payloads: Mapping[str, Erasure] | tuple[str, ...] = ()
    tone: Tone = "grey"
    searchable: tuple[str, ...] | None = None
    version: int = 1
    unless: tuple[str, str | None, str] | None = None
    allowed: frozenset[str] = field(init=False, repr=False, compare=False)
    required: frozenset[str] = field(init=False, repr=False, compare=False)
    erasure: Mapping[str, Erasure] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not _TYPE_NAME.fullmatch(self.name):
            raise ValueError(f"event type {self.name!r}: not of the form noun.verb_past")
        if self.lane not in LANES:
            raise ValueError(f"event type {self.name!r}: no lane {self.lane!r}")
        rules = self.payloads if isinstance(self.payloads, Mapping) else dict.fromkeys(self.payloads, "personal")
        object.__setattr__(self, "allowed", frozenset(name.removesuffix("?") for name in self.fields))
        object.__setattr__(self, "required", frozenset(name for name in self.fields if not name.endswith("?")))
        object.__setattr__(self, "erasure", rules)
        if self.unless is not None and self.unless[0] not in self.allowed:
            raise ValueError(f"event type {self.name!r}: {self.unless[0]!r} is no field of it")
        for sentence in (self.sentence, *([self.unless[2]] if self.unless else ())):
            for place in _PLACE.findall(sentence):
                if place not in NAMES and place.removeprefix("data.") not in self.allowed:
                    raise ValueError(f"event type {self.name!r}: its sentence uses {{{place}}}, which is no field of it")
            if _PLACE.sub("", sentence).strip("{}") != _PLACE.sub("", sentence):
                raise ValueError(f"event type {self.name!r}: stray brace in its sentence")

    def sentence_for(self, data: Mapping[str, Json]) -> str:
        return self.unless[2] if self.unless and data.get(self.unless[0]) == self.unless[1] else self.sentence


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a rendered sentence; `is_value` pieces are looked-up (hostile) text that templates escape and emphasise."""

    text: str
    is_value: bool = False


_types: dict[tuple[str, int], EventType] = {}
_current: dict[str, EventType] = {}


def register(*types: EventType) -> None:
    """Make types writable. Called at start-up; registering an equal type again is harmless.

    Raises:
        ValueError: another type of that name and version is registered already.
    """
    for kind in types:
        known = _types.get((kind.name, kind.version))
        if known is not None and known != kind:
            raise ValueError(f"event type {kind.name!r} version {kind.version} is registered twice, differently")
        _types[(kind.name, kind.version)] = kind
        if kind.name not in _current or _current[kind.name].version <= kind.version:
            _current[kind.name] = kind


def get(name: str, version: int | None = None) -> EventType:
    """The registered type; its newest version unless one is named.

    Raises:
        UnknownEventType
    """
    kind = _current.get(name) if version is None else _types.get((name, version))
    if kind is None:
        raise UnknownEventType(f"Event type {name!r} is not registered" + (f" in version {version}" if version else ""))
    return kind


def all_types() -> list[EventType]:
    """The newest version of every type, by name."""
    return [_current[name] for name in sorted(_current)]


def in_lane(lane: str) -> list[str]:
    """Names of the types drawn in a lane."""
    return [kind.name for kind in all_types() if kind.lane == lane]


def check(kind: EventType, data: Mapping[str, Json], payloads: Iterable[str]) -> None:
    """Refuse content the type does not declare.

    Raises:
        UndeclaredContent: names every field and payload that is too many or missing.
    """
    names = set(payloads)
    if data.keys() <= kind.allowed and kind.required <= data.keys() and names <= kind.erasure.keys():
        return
    faults = [
        *(Fault(f"/data/{name}", f"{kind.name} does not declare this field") for name in sorted(data.keys() - kind.allowed)),
        *(Fault(f"/data/{name}", f"{kind.name} requires this field") for name in sorted(kind.required - data.keys())),
        *(
            Fault(f"/payload/{name}", f"{kind.name} does not declare this payload")
            for name in sorted(names - kind.erasure.keys())
        ),
    ]
    raise UndeclaredContent("; ".join(str(fault) for fault in faults), faults=faults)


def parts(kind: EventType, names: Mapping[str, str], data: Mapping[str, Json]) -> list[Part]:
    """The sentence of an event in pieces.

    Values come from the two flat mappings by plain look-up: no attribute access, no indexing, no format specification, and a
    value that itself contains braces is not looked at again. What is missing reads "?".
    """
    result: list[Part] = []
    end = 0
    sentence = kind.sentence_for(data)
    for match in _PLACE.finditer(sentence):
        if match.start() > end:
            result.append(Part(sentence[end : match.start()]))
        place = match[1]
        value = data.get(place[5:]) if place.startswith("data.") else names.get(place)
        result.append(Part(as_words(value), is_value=True))
        end = match.end()
    if end < len(sentence):
        result.append(Part(sentence[end:]))
    return result


def sentence(kind: EventType, names: Mapping[str, str], data: Mapping[str, Json]) -> str:
    """The sentence of an event as one text, for API, log and command line."""
    return "".join(part.text for part in parts(kind, names, data))


def as_words(value: Json) -> str:
    """A scalar, or a list of scalars, as short text for people."""
    if value is None or value == "":
        return "?"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str | int):
        text = str(value)
    elif isinstance(value, list | tuple) and all(isinstance(item, str | int) for item in value):
        text = ", ".join(str(item) for item in value) or "none"
    else:
        text = "…"
    return text if len(text) <= MAX_VALUE_CHARS else text[: MAX_VALUE_CHARS - 1] + "…"
