"""JSON at the edge: strict reading, canonical writing, digests. Pure.

Reading refuses what two readers could understand differently: duplicate keys, NaN and Infinity, NUL,
lone surrogates, numbers beyond a double, nesting over `MAX_DEPTH`, size over the caller's limit.

Writing is RFC 8785 inside the domain where orjson with sorted keys equals it (ASCII keys; strings, booleans, null,
integers below 2^53). Event lines must stay in that domain (`dump_line` enforces it); payloads may also hold
finite floats, and what is hashed is always the bytes as made once here, never a re-serialisation.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from aegis.core.errors import Fault, Malformed, TooLarge

Json = Any  # None | bool | int | float | str | list[Json] | dict[str, Json]

MAX_DEPTH = 64
MAX_PAYLOAD_BYTES = 256 * 1024
MAX_SAFE_INTEGER = 2**53 - 1

# A string (or what there is of one that never closes), or a bracket outside strings. A string that began always matches:
# giving up on one would begin again at each quote inside it, and time would grow with the square of the text.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)

_SCALARS: Final = frozenset({str, int, bool, type(None)})

_Place = Any  # where a value stands: (place of its parent, key or index), None for the whole; or a pointer as text


class _Pairs(list[tuple[str, Any]]):
    """An object with a duplicate key, kept as pairs until its place is known."""


def parse(raw: bytes | str, *, max_bytes: int = MAX_PAYLOAD_BYTES) -> Json:
    """Read JSON strictly.

    Args:
        max_bytes: size limit of the UTF-8 text.

    Raises:
        TooLarge: more than `max_bytes`.
        Malformed: with a fault naming the JSON pointer, or line and column where the text breaks off.
    """
    data = raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else raw
    if len(data) > max_bytes:
        raise TooLarge(f"{len(data):,} bytes; at most {max_bytes:,} are accepted")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("not UTF-8", faults=[Fault(f"byte {error.start}", "not valid UTF-8")]) from None
    _refuse_deep(text)
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        fault = Fault(f"line {error.lineno}, column {error.colno}", error.msg)
        raise Malformed(f"not JSON at {fault}", faults=[fault]) from None
    except (ValueError, RecursionError) as error:
        raise Malformed(str(error), faults=[Fault("", str(error))]) from None
    check_value(value)
    return value


def check_value(value: Json, *, max_depth: int = MAX_DEPTH) -> None:
    """Refuse a Python value that is no plain, unambiguous JSON value.

    Raises:
        Malformed: naming the JSON pointer of the first fault.
    """
    if _dump_plain(value, floats=True, max_depth=max_depth) is None:
        _check_value(value, max_depth)


def _check_value(value: Json, max_depth: int) -> None:
    # Places are kept as links and spelled only for a fault: below one long key, spelled places would fill the memory.
    stack: list[tuple[_Place, Any, int]] = [(None, value, 0)]
    while stack:
        place, item, depth = stack.pop()
        if isinstance(item, str):
            _check_text(place, item)
        elif item is None or isinstance(item, bool):
            continue
        elif isinstance(item, int):
            if abs(item) > MAX_SAFE_INTEGER:
                raise _malformed(place, "integer beyond 2^53-1; send it as text")
        elif isinstance(item, float):
            if not math.isfinite(item):
                raise _malformed(place, "number is not finite")
        elif depth >= max_depth:
            raise _malformed(place, f"nested deeper than {max_depth} levels")
        elif isinstance(item, _Pairs):
            seen: set[str] = set()
            for key, _ in item:
                _check_text(place, key)
                if key in seen:
                    raise _malformed((place, key), "key appears twice in one object")
                seen.add(key)
        elif isinstance(item, dict):
            for key, child in item.items():
                if not isinstance(key, str):
                    raise _malformed(place, "object key is not text")
                _check_text(place, key)
                stack.append(((place, key), child, depth + 1))
        elif isinstance(item, list):
            stack.extend(((place, index), child, depth + 1) for index, child in enumerate(item))
        else:
            raise _malformed(place, f"{type(item).__name__} is not a JSON value")


def dump(value: Json) -> bytes:
    """The bytes of a payload or document: sorted keys, no white space. Made once, hashed and stored as made."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def dump_checked(value: Json) -> bytes:
    """`check_value` and `dump` in one, for less than either of them.

    Raises:
        Malformed: naming the JSON pointer of the first fault.
    """
    raw = _dump_plain(value, floats=True, max_depth=MAX_DEPTH)
    if raw is None:
        _check_value(value, MAX_DEPTH)
        raw = dump(value)
    return raw


def load(raw: bytes | str) -> Json:
    """Read back what `dump` made of a value that `check_value` passed. Trusts it, and costs a tenth of `parse`.

    Raises:
        Malformed: it is no JSON any more.
    """
    try:
        return orjson.loads(raw)
    except ValueError as error:
        raise Malformed(f"not JSON: {error}") from None


def dump_line(value: Mapping[str, Json]) -> bytes:
    """The canonical bytes of an event line (RFC 8785 within our domain).

    Raises:
        Malformed: a float, a large integer, or a key that is not ASCII.
    """
    raw = _dump_plain(value, floats=False, max_depth=MAX_DEPTH)
    if raw is None or not raw.isascii():  # which of its texts is a key is for the exact check to find out
        _check_line(value, "")
        raw = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return raw


def digest(data: bytes) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(data).hexdigest()


def digest_of(value: Json) -> str:
    """Hex SHA-256 of the canonical bytes of a value."""
    return digest(dump(value))


def _object(pairs: list[tuple[str, Any]]) -> Any:
    result = dict(pairs)
    return result if len(result) == len(pairs) else _Pairs(pairs)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _refuse_deep(text: str) -> None:
    """Count brackets outside strings before the recursive parser sees them."""
    depth = 0
    for token in _TOKEN.finditer(text):
        first = text[token.start()]
        if first == '"':
            continue
        depth += 1 if first in "[{" else -1
        if depth > MAX_DEPTH:
            raise Malformed(
                f"nested deeper than {MAX_DEPTH} levels", faults=[Fault("", f"nested deeper than {MAX_DEPTH} levels")]
            )


def _check_text(where: _Place, text: str) -> None:
    if "\x00" in text:
        raise _malformed(where, "text holds a NUL character")
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise _malformed(where, "text holds half a surrogate pair")


def _check_line(value: Json, where: str) -> None:
    if isinstance(value, Mapping):
        for key, child in value.items():
            if not (isinstance(key, str) and key.isascii()):
                raise _malformed(where, f"key {key!r} of an event line is not ASCII text")
            _check_line(child, f"{where}/{key}")
    elif isinstance(value, list | tuple):
        for index, child in enumerate(value):
            _check_line(child, f"{where}/{index}")
    elif isinstance(value, float):
        raise _malformed(where, "an event line holds no floats")
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int):
        if abs(value) > MAX_SAFE_INTEGER:
            raise _malformed(where, "integer beyond 2^53-1")
    elif isinstance(value, str):
        _check_text(where, value)
    else:
        raise _malformed(where, f"{type(value).__name__} in an event line")


def _dump_plain(value: Json, *, floats: bool, max_depth: int) -> bytes | None:
    """The canonical bytes of what nearly every value is; None says no more than that it needs the exact check.

    The types are looked at here; the library refuses large integers, half surrogate pairs and keys that are no text, and its
    bytes tell whether any text holds a NUL.
    """
    if not _is_plain(value, floats, max_depth):
        return None
    try:
        raw = orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER)
    except TypeError:
        return None
    return None if b"\\" in raw and b"\\u0000" in raw else raw  # one letter is found faster than six


def _is_plain(value: Json, floats: bool, depth_left: int) -> bool:
    """Is it made of dicts, lists, text, integers, finite floats, booleans and null alone, by their exact types?"""
    kind = type(value)
    if kind is dict:
        children = value.values()
    elif kind is list:
        children = value
    else:
        return kind in _SCALARS or (kind is float and floats and math.isfinite(value))
    if depth_left <= 0:
        return False
    if _SCALARS.issuperset(map(type, children)):
        return True
    for child in children:  # noqa: SIM110 - twice as fast as all(...) over a generator; every event of the engine passes here
        if type(child) not in _SCALARS and not _is_plain(child, floats, depth_left - 1):
            return False
    return True


def _escape(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _pointer(place: _Place) -> str:
    if isinstance(place, str):
        return place
    tokens = []
    while place is not None:
        place, token = place
        tokens.append("/" + _escape(str(token)))
    return "".join(reversed(tokens))


def _malformed(where: _Place, what: str) -> Malformed:
    fault = Fault(_pointer(where) or "/", what)
    return Malformed(str(fault), faults=[fault])
