"""Random expressions: grown from the grammar of CEL, and mutated out of it. The same seed gives the same expressions."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

#: What every one of them is evaluated over: each type of JSON, nesting, long texts, lists, names that look like something.
FACTS = {
    "input": {
        "a": 1, "b": -7, "big": 2**53, "half": 0.5, "text": "abc" * 50, "no": None, "yes": True,
        "list": [1, 2, 3, "x", None, {"k": [1]}], "deep": {"d": {"d": {"d": {"e": 1}}}}, "ünï": "é\u202e",
        "__class__": "x", "import": 1, "many": list(range(200)),
    },
    "steps": {"one": {"output": {"n": 5, "ok": False}, "case": "low"}, "two-b": {"output": []}},
}  # fmt: skip

_ATOMS = (
    "input", "steps", "input.a", "input.b", "input.text", "input.list", "input.many", "input.deep.d.d", "input.gone",
    "input.no",
    "steps.one.output.n", "steps.one.case", 'steps["two-b"].output', "true", "false", "null", "0", "1", "-1",
    "9223372036854775807",
    "18446744073709551615u", "1e308", "0.1", "''", "'x'", '"\\u00e9"', "b'x'", "r'\\d+'", "'''long'''", "[]", "{}", "x", "_",
    "self",
    "__import__", "os", "eval", "open", "type", "int", "string",
)  # fmt: skip
_BINARY = ("+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "&&", "||", "in")
_METHODS = (
    "size()", "contains('a')", "startsWith(input.text)", "endsWith('c')", "matches('(a+)+$')", "matches('[')", "a", "gone",
    "output",
    "getFullYear()", "getSeconds('Europe/Paris')", "__class__", "map(x, x)", "filter(x, x > 1)", "all(x, x != null)",
    "exists(x, x == 1)", "exists_one(x, x == 1)", "map(x, x + x)", "map(x, [x, x])", "map(x, x in input.list, x)",
)  # fmt: skip
_FUNCTIONS = (
    "size", "int", "uint", "double", "string", "bool", "bytes", "type", "dyn", "duration", "timestamp", "has", "matches",
    "getattr", "exec", "open", "__import__", "google.protobuf.Struct", "print",
)  # fmt: skip
_JUNK = (
    "\x00", "\\", "'", '"', "`", ";", "\n", "\t", "\u202e", "\ufeff", "\ud800", "(", ")", "[", "]", "{", "}", ".", "?", ":",
    ",", "//", "&&", "0x", "1e999", "..", "%", "@", "$", "lambda", "import", "é", "\U0001f600", "((((((((", "))))))))",
    "!!!!!!!!", "--------",
)  # fmt: skip


def expressions(seed: int, count: int) -> Iterator[str]:
    """`count` expressions; about half of them are grown, the others grown and then broken."""
    rng = random.Random(seed)
    for _ in range(count):
        text = _grown(rng, rng.randint(0, 6))
        for _ in range(rng.choice((0, 0, 0, 1, 2, 5))):
            text = _broken(rng, text)
        yield text[: rng.choice((2_000, 2_000, 2_000, 2_100, 60))]


def _grown(rng: random.Random, depth: int) -> str:
    if depth <= 0:
        return rng.choice(_ATOMS)
    below: Callable[[], str] = lambda: _grown(rng, depth - rng.randint(1, 3))  # noqa: E731 - shared by every branch
    match rng.randint(0, 10):
        case 0 | 1:
            return f"{below()} {rng.choice(_BINARY)} {below()}"
        case 2:
            return f"({below()})"
        case 3:
            return f"{below()} ? {below()} : {below()}"
        case 4 | 5:
            return f"{below()}.{rng.choice(_METHODS)}"
        case 6:
            return f"{rng.choice(_FUNCTIONS)}({below()})"
        case 7:
            return f"[{', '.join(below() for _ in range(rng.randint(0, 4)))}]"
        case 8:
            return f"{{{', '.join(f'{below()}: {below()}' for _ in range(rng.randint(0, 3)))}}}"
        case 9:
            return f"{below()}[{below()}]"
        case _:
            macro = rng.choice(("map", "filter", "all", "exists", "exists_one"))
            return f"{rng.choice(('input.list', 'input.many', below()))}.{macro}({rng.choice('xyz')}, {below()})"


def _broken(rng: random.Random, text: str) -> str:
    at = rng.randint(0, len(text))
    match rng.randint(0, 6):
        case 0:
            return text[:at] + rng.choice(_JUNK) + text[at:]
        case 1:
            return text[:at] + text[at + rng.randint(1, 5) :]
        case 2:
            return text[at:] + text[:at]
        case 3:
            return text[:at] + chr(rng.choice((rng.randint(0, 127), rng.randint(0, 0x10FFFF)))) + text[at:]
        case 4:
            return text + rng.choice(_METHODS) * rng.randint(1, 30)
        case 5:
            return rng.choice("(![-") * rng.randint(1, 400) + text
        case _:
            return f"{text}.{rng.choice(_METHODS)}" * rng.randint(1, 12)
