"""A small evaluator of CEL for conditions: it answers true, false or error, and refuses what it cannot judge.

Written from the language definition of CEL, for the subset that conditions and fast paths use: literals, names, fields,
indexes, `! - * / % + < <= > >= == != in && || ?:`, lists, `has`, `size`, `startsWith`, `endsWith`, `contains`, `exists`, `all`.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

INT_MIN, INT_MAX = -(2**63), 2**63 - 1
DEEPEST = 60


class CannotJudge(Exception):
    """The documents, or this evaluator, do not say what the answer is. Never to be read as a yes or a no."""


class ConditionError(Exception):
    """The condition ends in CEL's error: a field that is not there, an overload that does not exist, an overflow."""


class Partial(dict[str, Any]):
    """An object of which the documents fix only some fields: asking for another one is not judged."""


class Absent:
    """A record that does not exist: the documents do not say whether conditions see null or an empty object."""


TOKEN = re.compile(
    r"""\s*(?:(?P<number>\d+\.\d+|\d+)|(?P<name>[A-Za-z_]\w*)|(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')"""
    r"""|(?P<sign>&&|\|\||==|!=|<=|>=|[-!*/%+<>?:.,()\[\]]))"""
)
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}
CONSTANTS = {"true": True, "false": False, "null": None}
RELATIONS = ("<=", ">=", "<", ">", "==", "!=", "in")


def evaluate(text: str, facts: Mapping[str, Any]) -> bool:
    """Return whether the condition holds.

    Args:
        text: CEL, such as `parameters.amount > 500`.
        facts: name -> JSON value, `Partial` or `Absent`.

    Raises:
        ConditionError: it ends in an error, or in something else than true or false.
        CannotJudge: it leaves the subset, or asks for what no document fixes.
    """
    value = _run(_Parser(text).whole(), facts)
    if not isinstance(value, bool):
        raise ConditionError("the condition is no boolean")
    return value


class _Parser:
    """Recursive descent; the tree is nested tuples whose first member names the node."""

    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        self.at = self.depth = 0
        place = 0
        while place < len(text.rstrip()):
            found = TOKEN.match(text, place)
            if not found or found.lastgroup is None:
                raise CannotJudge(f"cannot read the condition at {place}: {text!r}")
            self.tokens.append((found.lastgroup, found.group(found.lastgroup)))
            place = found.end()

    def whole(self) -> tuple[Any, ...]:
        tree = self.choice()
        if self.at != len(self.tokens):
            raise CannotJudge(f"cannot read the condition from token {self.at} on")
        return tree

    def peek(self) -> str:
        if self.at < len(self.tokens) and self.tokens[self.at][0] != "text":
            return self.tokens[self.at][1]
        return ""

    def take(self, *wanted: str) -> str:
        if self.peek() in wanted and self.peek():
            self.at += 1
            return self.tokens[self.at - 1][1]
        return ""

    def must(self, wanted: str) -> None:
        if not self.take(wanted):
            raise CannotJudge(f"expected {wanted!r} at token {self.at}")

    def choice(self) -> tuple[Any, ...]:
        self.depth += 1
        if self.depth > DEEPEST:
            raise CannotJudge("the condition is too deep")
        tree = self.junction("||", lambda: self.junction("&&", self.relation))
        if self.take("?"):
            yes = self.junction("||", lambda: self.junction("&&", self.relation))
            self.must(":")
            tree = ("choice", tree, yes, self.choice())
        self.depth -= 1
        return tree

    def junction(self, sign: str, part: Callable[[], tuple[Any, ...]]) -> tuple[Any, ...]:
        tree = part()
        while self.take(sign):
            tree = (sign, tree, part())
        return tree

    def relation(self) -> tuple[Any, ...]:
        tree = self.sums()
        while sign := self.take(*RELATIONS):
            tree = ("binary", sign, tree, self.sums())
        return tree

    def sums(self) -> tuple[Any, ...]:
        tree = self.products()
        while sign := self.take("+", "-"):
            tree = ("binary", sign, tree, self.products())
        return tree

    def products(self) -> tuple[Any, ...]:
        tree = self.unary()
        while sign := self.take("*", "/", "%"):
            tree = ("binary", sign, tree, self.unary())
        return tree

    def unary(self) -> tuple[Any, ...]:
        if self.take("!"):
            return ("not", self.unary())
        if self.take("-"):
            return ("minus", self.unary())
        return self.member()

    def member(self) -> tuple[Any, ...]:
        tree = self.primary()
        while sign := self.take(".", "["):
            if sign == "[":
                tree = ("index", tree, self.choice())
                self.must("]")
                continue
            name = self.name()
            tree = ("method", name, tree, self.arguments()) if self.take("(") else ("field", tree, name)
        return tree

    def name(self) -> str:
        if self.at >= len(self.tokens) or self.tokens[self.at][0] != "name":
            raise CannotJudge(f"expected a name at token {self.at}")
        self.at += 1
        return self.tokens[self.at - 1][1]

    def arguments(self, closing: str = ")") -> tuple[tuple[Any, ...], ...]:
        found: list[tuple[Any, ...]] = []
        while not self.take(closing):
            if found:
                self.must(",")
            found.append(self.choice())
        return tuple(found)

    def primary(self) -> tuple[Any, ...]:
        if self.take("("):
            tree = self.choice()
            self.must(")")
            return tree
        if self.take("["):
            return ("list", self.arguments("]"))
        if self.at >= len(self.tokens):
            raise CannotJudge("the condition ends early")
        kind, text = self.tokens[self.at]
        self.at += 1
        if kind == "number":
            return ("value", float(text) if "." in text else int(text))
        if kind == "text":
            return ("value", _unquoted(text))
        if kind != "name" or text == "in":
            raise CannotJudge(f"did not expect {text!r}")
        if text in CONSTANTS:
            return ("value", CONSTANTS[text])
        return ("call", text, self.arguments()) if self.take("(") else ("name", text)


def _unquoted(text: str) -> str:
    def one(found: re.Match[str]) -> str:
        if found.group(1) not in ESCAPES:
            raise CannotJudge(f"escape {found.group(0)!r} is not in the subset")
        return ESCAPES[found.group(1)]

    return re.sub(r"\\(.)", one, text[1:-1])


def _run(tree: tuple[Any, ...], facts: Mapping[str, Any]) -> Any:
    match tree:
        case ("value", value):
            return value
        case ("name", name):
            if name not in facts:
                raise CannotJudge(f"no document declares the fact {name!r}")
            return facts[name]
        case ("list", parts):
            return [_run(part, facts) for part in parts]
        case ("field", of, name):
            return _field(_run(of, facts), name)
        case ("index", of, key):
            return _index(_run(of, facts), _run(key, facts))
        case ("not", of):
            return not _boolean(_run(of, facts))
        case ("minus", of):
            return _number(-_numeric(_run(of, facts)))
        case ("choice", test, yes, no):
            return _run(yes if _boolean(_run(test, facts)) else no, facts)
        case ("&&", left, right):
            return _junction(left, right, facts, decides=False)
        case ("||", left, right):
            return _junction(left, right, facts, decides=True)
        case ("binary", sign, left, right):
            return _binary(sign, _run(left, facts), _run(right, facts))
        case ("call", "has", (("field", of, name),)):
            return _has(_run(of, facts), name)
        case ("call", "size", (of,)):
            return _size(_run(of, facts))
        case ("method", "size", of, ()):
            return _size(_run(of, facts))
        case ("method", ("startsWith" | "endsWith" | "contains") as name, of, (part,)):
            return _text_test(name, _run(of, facts), _run(part, facts))
        case ("method", ("exists" | "all") as name, of, (("name", each), test)):
            return _quantified(name, _run(of, facts), each, test, facts)
    raise CannotJudge(f"{tree[:2]} is not in the subset")


def _junction(left: tuple[Any, ...], right: tuple[Any, ...], facts: Mapping[str, Any], *, decides: bool) -> bool:
    """`&&` and `||` are commutative: a side that decides counts even where the other one is an error."""
    failure: ConditionError | None = None
    for side in (left, right):
        try:
            if _boolean(_run(side, facts)) is decides:
                return decides
        except ConditionError as error:
            failure = error
    if failure:
        raise failure
    return not decides


def _quantified(name: str, items: Any, each: str, test: tuple[Any, ...], facts: Mapping[str, Any]) -> bool:
    _known(items)
    if not isinstance(items, list | dict):
        raise ConditionError(f"{name} of what is no list")
    decides = name == "exists"
    failure: ConditionError | None = None
    for item in items:
        try:
            if _boolean(_run(test, {**facts, each: item})) is decides:
                return decides
        except ConditionError as error:
            failure = error
    if failure:
        raise failure
    return not decides


def _known(*values: Any) -> None:
    if any(isinstance(value, Partial | Absent) for value in values):
        raise CannotJudge("no document fixes the whole of this object")


def _boolean(value: Any) -> bool:
    _known(value)
    if not isinstance(value, bool):
        raise ConditionError("no boolean")
    return value


def _numeric(value: Any) -> int | float:
    _known(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConditionError("no number")
    return value


def _number(value: int | float) -> int | float:
    if isinstance(value, int) and not INT_MIN <= value <= INT_MAX:
        raise ConditionError("integer overflow")
    return value


def _field(value: Any, name: str) -> Any:
    if isinstance(value, Absent):
        raise ConditionError("there is no record")
    if not isinstance(value, dict):
        raise ConditionError(f"no field {name}")
    if name not in value:
        raise (
            CannotJudge(f"no document fixes the field {name!r}")
            if isinstance(value, Partial)
            else ConditionError(f"no field {name}")
        )
    return value[name]


def _has(value: Any, name: str) -> bool:
    _known(*([value] if isinstance(value, Absent) or (isinstance(value, Partial) and name not in value) else []))
    if not isinstance(value, dict):
        raise ConditionError("has() of what is no object")
    return name in value


def _index(value: Any, key: Any) -> Any:
    _known(value, key)
    if isinstance(value, dict) and isinstance(key, str) and key in value:
        return value[key]
    if isinstance(value, list) and isinstance(key, int) and not isinstance(key, bool) and 0 <= key < len(value):
        return value[key]
    raise ConditionError("no such member")


def _size(value: Any) -> int:
    _known(value)
    if isinstance(value, str | list | dict):
        return len(value)
    raise ConditionError("no size")


def _text_test(name: str, value: Any, part: Any) -> bool:
    _known(value, part)
    if not isinstance(value, str) or not isinstance(part, str):
        raise ConditionError(f"{name} is for text")
    return {"startsWith": value.startswith, "endsWith": value.endswith}[name](part) if name != "contains" else part in value


def _equal(left: Any, right: Any) -> bool:
    """Heterogeneous equality: other types are unequal, except that numbers compare by value. A bool is no number."""
    _known(left, right)
    if isinstance(left, bool) or isinstance(right, bool):
        return isinstance(left, bool) and isinstance(right, bool) and left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(_equal(one, other) for one, other in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(left[key], right[key]) for key in left)
    return bool(left == right)


def _binary(sign: str, left: Any, right: Any) -> Any:
    _known(left, right)
    if sign in ("==", "!="):
        return _equal(left, right) is (sign == "==")
    if sign == "in":
        if isinstance(right, dict):
            if left is None or isinstance(left, list | dict):
                raise ConditionError("no key of an object")
            return isinstance(left, str) and left in right
        if isinstance(right, list):
            return any(_equal(left, item) for item in right)
        raise ConditionError("`in` of what is no list")
    if isinstance(left, str) and isinstance(right, str) and sign in ("<", "<=", ">", ">=", "+"):
        return left + right if sign == "+" else _ordered(sign, left, right)
    if sign == "+" and isinstance(left, list) and isinstance(right, list):
        return left + right
    if isinstance(left, bool) and isinstance(right, bool) and sign in ("<", "<=", ">", ">="):
        return _ordered(sign, left, right)
    one, other = _numeric(left), _numeric(right)
    if sign in ("<", "<=", ">", ">="):
        return _ordered(sign, one, other)
    return _arithmetic(sign, one, other)


def _ordered(sign: str, left: Any, right: Any) -> bool:
    return bool({"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[sign])


def _arithmetic(sign: str, left: int | float, right: int | float) -> int | float:
    if isinstance(left, int) is not isinstance(right, int):
        raise ConditionError("no arithmetic between int and double")
    if sign == "+":
        return _number(left + right)
    if sign == "-":
        return _number(left - right)
    if sign == "*":
        return _number(left * right)
    if isinstance(left, float) or isinstance(right, float):
        raise CannotJudge("division of doubles is not in the subset")
    if right == 0:
        raise ConditionError("division by zero")
    quotient = abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
    return _number(quotient if sign == "/" else left - right * quotient)
