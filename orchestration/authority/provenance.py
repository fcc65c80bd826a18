"""From where the values of a proposal are known: the requester, a record, outside, an agent. Pure (docs/adr/0027).

For each leaf of the parameters the set of places in which the same value stands. Same means equal as a whole once both are
brought into the form the parameter declares (money, email, IBAN, id, date; else text without regard to spaces and case); in
free text, as whole words. It is evidence, not proof. What it promises: nothing that an agent alone brought up reads as
`requester` or `record`, and what is marked `x-aegis-source: outside` never counts as the requester's, whoever forwarded it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Final, Literal

from aegis.core.canonical import Json
from orchestration.contracts.marks import FORMAT, SENSITIVE, SOURCE, applied_below

VERSION: Final = 1
Place = Literal["requester", "record", "outside", "agent"]
PLACES: Final[tuple[Place, ...]] = ("requester", "record", "outside", "agent")

MAX_LEAVES: Final = 2_000  # of one source, and of the parameters; beyond, nothing is known: that never reads as the requester
MAX_TEXT: Final = 20_000  # characters of a free text that are looked through
MAX_WORDS: Final = 12  # of a value that is looked for in free text
MAX_FIELDS: Final = 5  # from outside, that are named for one leaf
_EDGES: Final = ".,;:!?\"'()[]{}<>«»„“”‚‘’"
_MONEY: Final = re.compile(r"[-+]?[0-9][0-9.,' ]*")
_DAY: Final = re.compile(r"([0-9]{1,2})[./]([0-9]{1,2})[./]([0-9]{4})")


@dataclass(frozen=True, slots=True)
class Source:
    """Something a value may be known from.

    Attributes:
        base: what an unmarked field of it counts as.
        schema: its contract; a field marked `outside` in it is outside, whatever the base. No other mark is believed.
    """

    base: Place
    value: Json
    schema: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class _Mark:
    """Where a value of a source stands. `source`: its number; `field`: named for what is from outside only."""

    place: Place
    source: int
    field: str = ""


def trace(parameters: Json, schema: Mapping[str, Json], sources: Sequence[Source] | Known) -> dict[str, list[str]]:
    """Path of each leaf ("payee.iban", "lines[0].amount") -> where its value is known from, in the order of `PLACES`.

    Truth values, null, and what the contract lists (enum, const) have no provenance and are left out. A value known from
    nowhere is the agent's own.

    Args:
        parameters: of the proposal; schema: the contract of the capability's parameters.
    """
    found: dict[str, list[str]] = {}
    for path, marks in _marked(parameters, schema, sources):
        places = {mark.place for mark in marks} or {"agent"}
        found[path] = [place for place in PLACES if place in places]
    return found


def quotes(parameters: Json, schema: Mapping[str, Json], sources: Sequence[Source] | Known) -> dict[str, list[list[int | str]]]:
    """Path of each leaf that stands in a field from outside -> [number of the source, the field as its contract names it].

    For people who judge it: the first `MAX_FIELDS`, in the order of the sources. A field is named as far as the contract
    names it and hides nothing: keys of open objects are data, and what is below a masked field is not told. "" is the whole.
    """
    found: dict[str, list[list[int | str]]] = {}
    for path, marks in _marked(parameters, schema, sources):
        fields = sorted({(mark.source, mark.field) for mark in marks if mark.place == "outside"})
        if fields:
            found[path] = [[source, field] for source, field in fields[:MAX_FIELDS]]
    return found


def _marked(
    parameters: Json, schema: Mapping[str, Json], sources: Sequence[Source] | Known
) -> Iterator[tuple[str, set[_Mark]]]:
    known = sources if isinstance(sources, Known) else Known(sources)
    for path, value, nodes in _leaves(parameters, [schema], schema, (), [MAX_LEAVES]):
        if value is None or isinstance(value, bool) or any("enum" in node or "const" in node for node in nodes):
            continue
        yield written(path), known.marks(value, _format(nodes))


def written(path: Sequence[str | int]) -> str:
    """A path as conditions write it. Keys are escaped, so that two paths never read the same."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            key = part.replace("~", "~0").replace(".", "~1").replace("[", "~2")
            text += f".{key}" if text else key
    return text


def normal(value: Json, form: str) -> str:
    """A value as it is compared; "" for what equals nothing."""
    if isinstance(value, bool) or value is None or isinstance(value, Mapping | list):
        return ""
    if isinstance(value, int | float):
        return _number(str(value))
    text = " ".join(unicodedata.normalize("NFKC", str(value)).split())
    match form:
        case "money":
            return _money(text)
        case "number":
            return _number(text)
        case "email":
            return text.casefold()
        case "iban":
            return re.sub(r"[\s-]", "", text).upper()
        case "id":
            return text
        case "date":
            return _date(text)
        case _:
            return text.casefold()


class Known:
    """The leaves of all sources, looked up by form."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._leaves: list[tuple[Json, _Mark]] = []
        self._words: list[tuple[list[str], _Mark]] = []
        self._index: dict[str, dict[str, set[_Mark]]] = {}
        self._said: dict[tuple[str, int], dict[str, set[_Mark]]] = {}
        for number, source in enumerate(sources):
            self._take(source, number)

    def marks(self, value: Json, form: str) -> set[_Mark]:
        """Where the same value stands."""
        form = form or ("number" if isinstance(value, int | float) else "")
        wanted = normal(value, form)
        if not wanted:
            return set()
        return set(self._by_form(form).get(wanted, ())) | self._in_texts(value, wanted, form)

    def _take(self, source: Source, number: int) -> None:
        for path, value, nodes in _leaves(source.value, [source.schema], source.schema, (), [MAX_LEAVES], inherit=True):
            place: Place = "outside" if any(node.get(SOURCE) == "outside" for node in nodes) else source.base
            mark = _Mark(place, number, _field(source.schema, path) if place == "outside" else "")
            self._leaves.append((value, mark))
            if isinstance(value, str) and place in ("requester", "outside"):
                self._words.append((_words(value), mark))

    def _by_form(self, form: str) -> dict[str, set[_Mark]]:
        if form not in self._index:
            index: dict[str, set[_Mark]] = {}
            for value, mark in self._leaves:
                if key := normal(value, form):
                    index.setdefault(key, set()).add(mark)
            self._index[form] = index
        return self._index[form]

    def _in_texts(self, value: Json, wanted: str, form: str) -> set[_Mark]:
        """Free texts that hold it as whole words. An IBAN is written in any number of them."""
        words = _words(str(value))
        if not 0 < len(words) <= MAX_WORDS:
            return set()
        lengths = range(1, MAX_WORDS + 1) if form == "iban" else (len(words),)
        target = wanted if form else " ".join(words).casefold()
        return {mark for length in lengths for mark in self._stretches(form, length).get(target, ())}

    def _stretches(self, form: str, length: int) -> dict[str, set[_Mark]]:
        """Every stretch of so many words in the free texts. Made once: a proposal may have many leaves."""
        if (form, length) not in self._said:
            found: dict[str, set[_Mark]] = {}
            for words, mark in self._words:
                for start in range(len(words) - length + 1):
                    joined = " ".join(words[start : start + length])
                    found.setdefault(normal(joined, form) if form else joined.casefold(), set()).add(mark)
            self._said[form, length] = found
        return self._said[form, length]


def _words(text: str) -> list[str]:
    """Words without the marks around them. An amount loses its currency sign by its form, not here."""
    found = (word.strip(_EDGES) for word in unicodedata.normalize("NFKC", text[:MAX_TEXT]).split())
    return [word for word in found if word]


def _leaves(
    value: Json,
    nodes: list[Json],
    root: Mapping[str, Json],
    path: tuple[str | int, ...],
    left: list[int],
    *,
    inherit: bool = False,
    above: tuple[Mapping[str, Json], ...] = (),
) -> Iterator[tuple[tuple[str | int, ...], Json, tuple[Mapping[str, Json], ...]]]:
    """Every scalar with its path and the parts of the schema that may apply to it.

    Args:
        inherit: with the parts that apply to what it stands in, too: a mark counts for all below it.
    """
    applied, below = applied_below(root, nodes)
    parts = (*above, *applied) if inherit else tuple(applied)
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _leaves(item, below(name), root, (*path, name), left, inherit=inherit, above=parts)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, below(index), root, (*path, index), left, inherit=inherit, above=parts)
    elif left[0] > 0:
        left[0] -= 1
        yield path, value, parts


def _field(schema: Mapping[str, Json], path: Sequence[str | int]) -> str:
    """A path as far as the schema names it and hides nothing."""
    nodes: list[Json] = [schema]
    told: list[str | int] = []
    for part in path:
        applied, below = applied_below(schema, nodes)
        is_named = isinstance(part, int) or any(part in node.get("properties", ()) for node in applied)
        if not is_named or any(SENSITIVE in node for node in applied):
            break
        told.append(part)
        nodes = below(part)
    return written(told)


def _format(nodes: Iterable[Mapping[str, Json]]) -> str:
    for node in nodes:
        if form := node.get(FORMAT) or (node.get("format") if node.get("format") in ("email", "date") else ""):
            return str(form)
    return ""


def _number(text: str) -> str:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return ""
    return f"={number.normalize():f}" if number.is_finite() and abs(number.adjusted()) < 40 else ""


def _money(text: str) -> str:
    """ "€ 1.200,50" and "1,200.50 EUR" are one amount: the last sign is decimal if it stands once, before 1 or 2 digits."""
    found = _MONEY.findall(text)
    if len(found) != 1:
        return ""
    digits = found[0].replace("'", "").replace(" ", "").rstrip(".,")
    last = max(digits.rfind("."), digits.rfind(","))
    if last >= 0:
        sign, behind = digits[last], len(digits) - last - 1
        is_decimal = digits.count(sign) == 1 and behind in (1, 2)
        whole = digits[:last] if is_decimal else digits
        digits = re.sub(r"[.,]", "", whole) + (f".{digits[last + 1 :]}" if is_decimal else "")
    return _number(digits)


def _date(text: str) -> str:
    day = _DAY.fullmatch(text)
    try:
        return (date(int(day[3]), int(day[2]), int(day[1])) if day else date.fromisoformat(text)).isoformat()
    except ValueError:
        return ""
