"""CEL conditions and mappings: the only module that knows the library. Pure.

cel-cpp returns errors as *values* (and they are truthy), so nothing outside may touch its results. A condition has three
outcomes: true, false, error. What an error means is the caller's rule (DESIGN promise 10: it never widens).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from cel_expr_python import cel

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.errors import Fault, Invalid, Malformed

VariableType = Literal["string", "int", "number", "bool", "list", "map", "any"]

MAX_SOURCE_CHARS = 2_000
MAX_GROWTH = 1_000  # how many times as large as what it reads a value may become through `map`

_TYPES: dict[str, Any] = {
    "string": cel.Type.STRING,
    "int": cel.Type.INT,
    "number": cel.Type.DOUBLE,
    "bool": cel.Type.BOOL,
    "list": cel.Type.List(cel.Type.DYN),
    "map": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
    "any": cel.Type.DYN,
}
_PATH = re.compile(r"[a-zA-Z_]\w*(\.[a-zA-Z_]\w*)*", re.ASCII)
_OPEN = object()
_QUOTED = re.compile(
    r"""
    \b[bB]?[rR](?:\"{3}.*?\"{3}|'{3}.*?'{3}|"[^"\n]*"|'[^'\n]*')  # raw: a backslash is one
  | \"{3}(?:[^\\]|\\.)*?\"{3} | '{3}(?:[^\\]|\\.)*?'{3} | "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*'
  | //[^\n]*
    """,
    re.VERBOSE | re.DOTALL,
)
_MAP = re.compile(r"\.\s*map\s*\(\s*([A-Za-z_]\w*)\s*,", re.ASCII)
_PLACE = re.compile(r"<input>:(\d+):(\d+): ?(.*)")


class ExpressionInvalid(Invalid):
    """Refused at save: syntax, unknown name or type, with line:column."""

    code = "expression_invalid"


@dataclass(frozen=True, slots=True)
class Failed:
    """The third outcome of an evaluation: no value, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Bound:
    """Facts made ready once for many expressions over the same variables. Build with `bind`."""

    _activation: Any


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked expression over declared variables. Build with `compile_condition` or `compile_value`."""

    source: str
    _compiled: Any
    _env: Any
    _path: tuple[str, ...] = ()  # the keys, when all it does is to look something up ("steps.plan.output")

    def value(self, facts: Mapping[str, Json] | Bound) -> Json | Failed:
        """Evaluate to plain JSON, or `Failed`. Never raises for any facts.

        What is found by its path is not asked of the library, which would read in all facts to tell the same: a look-up takes
        1 us instead of 11. Whatever is not so simple is its business, and so is every error.
        """
        if self._path and not isinstance(facts, Bound) and (found := _found(facts, self._path)) is not _OPEN:
            return found
        try:
            activation = facts._activation if isinstance(facts, Bound) else self._env.Activation(dict(facts))
            result = self._compiled.eval(activation)
            if result.type() == cel.Type.ERROR:
                return Failed(str(result.plain_value()))
            return _plain(result.plain_value())
        except Exception as error:  # the binding raises assorted types for facts it cannot convert
            return Failed(f"{type(error).__name__}: {error}")

    def test(self, facts: Mapping[str, Json] | Bound) -> bool | Failed:
        """Evaluate a condition. Anything but a true boolean result is False or `Failed`."""
        result = self.value(facts)
        if isinstance(result, bool | Failed):
            return result
        return Failed(f"not a truth value but {type(result).__name__}")


def bind(facts: Mapping[str, Json], variables: Mapping[str, VariableType]) -> Bound:
    """Make facts ready for expressions compiled with the same `variables`: several times faster than giving each the facts.

    Never raises; facts that cannot be made ready are an error of every expression that gets them.
    """
    try:
        return Bound(_environment(tuple(sorted(variables.items()))).Activation(dict(facts)))
    except Exception:  # as in `Expression.value`; evaluating over None then ends in `Failed`
        return Bound(None)


@lru_cache(maxsize=256)
def _environment(variables: tuple[tuple[str, str], ...]) -> Any:
    return cel.NewEnv(variables={name: _TYPES[kind] for name, kind in variables})


@lru_cache(maxsize=4096)
def _compile(source: str, variables: tuple[tuple[str, str], ...]) -> Expression:
    if len(source) > MAX_SOURCE_CHARS:
        raise ExpressionInvalid(f"expression longer than {MAX_SOURCE_CHARS} characters")
    try:
        canonical.check_value(source)
    except Malformed as error:
        raise ExpressionInvalid(f"expression: {error.faults[0].what}", faults=[Fault("", error.faults[0].what)]) from None
    _refuse_growth(source)
    env = _environment(variables)
    try:
        compiled = env.compile(source)
    except (RuntimeError, ValueError, UnicodeError) as error:
        found = _PLACE.search(str(error))
        where, what = (f"{found[1]}:{found[2]}", found[3]) if found else ("", str(error))
        raise ExpressionInvalid(f"{source!r} at {where}: {what}", faults=[Fault(where, what)]) from None
    path = tuple(source.split(".")) if _PATH.fullmatch(source) else ()
    return Expression(source, compiled, env, path if path and dict(variables).get(path[0]) == "map" else ())


def _refuse_growth(source: str) -> None:
    """Refuse what doubles and doubles: `['a'].map(x, x + x).map(x, x + x)...` fills the memory with few iterations.

    The library bounds iterations, not sizes. `map` alone makes new values, as often as its body mentions what it goes through;
    the mentions of all of them, multiplied, bound how much larger a value can become.
    """
    text = _QUOTED.sub(lambda found: " " * len(found[0]), source)
    growth = 1
    for found in _MAP.finditer(text):
        mentions = re.findall(rf"\b{found[1]}\b", text[found.end() : _closing(text, found.end())])
        growth *= max(1, len(mentions))
        if growth > MAX_GROWTH:
            line = text.count("\n", 0, found.start()) + 1
            where = f"{line}:{found.start() - text.rfind(chr(10), 0, found.start())}"
            what = f"with this map a value could become more than {MAX_GROWTH:,} times as large"
            raise ExpressionInvalid(f"{source!r} at {where}: {what}", faults=[Fault(where, what, "map in fewer steps")])


def _closing(text: str, start: int) -> int:
    """Index of the bracket that closes the one before `start`; the end of the text if none does."""
    depth = 1
    for index in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[index], 0)
        if depth == 0:
            return index
    return len(text)


def compile_value(source: str, variables: Mapping[str, VariableType]) -> Expression:
    """Check an expression of any type.

    Args:
        variables: name -> declared type; an undeclared name is an error.

    Raises:
        ExpressionInvalid: with a fault whose `where` is "line:column".
    """
    return _compile(source, tuple(sorted(variables.items())))


def compile_condition(source: str, variables: Mapping[str, VariableType]) -> Expression:
    """Check an expression that must be a truth value (or dynamic, judged when evaluated).

    Raises:
        ExpressionInvalid: also when its type can never be a truth value.
    """
    expression = compile_value(source, variables)
    try:
        kind = expression._compiled.return_type()
    except RuntimeError as error:  # `{string: 1}`: it compiles, and has no type that the library could name
        raise ExpressionInvalid(f"{source!r}: {error}", faults=[Fault("1:1", str(error))]) from None
    if kind not in (cel.Type.BOOL, cel.Type.DYN):
        what = f"a condition must be true or false, this is {kind.name()}"
        raise ExpressionInvalid(f"{source!r}: {what}", faults=[Fault("1:1", what)])
    return expression


def _found(facts: Mapping[str, Json], path: tuple[str, ...]) -> Any:
    """What stands at a path of plain dicts, as a copy of its own; `_OPEN` where the library has to say."""
    item: Any = facts
    for key in path:
        if type(item) is not dict or key not in item:
            return _OPEN
        item = item[key]
    if type(item) is str or type(item) is bool:
        return item
    try:
        return canonical.load(canonical.dump_checked(item))
    except Malformed:
        return _OPEN


def _plain(value: Any) -> Json:
    """CEL results as JSON; text keys only."""
    if isinstance(value, Mapping):
        return {str(key): _plain(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(child) for child in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{type(value).__name__} is not a JSON value")
