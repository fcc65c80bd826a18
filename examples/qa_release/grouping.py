"""Which failures belong together: the same root message, or the same place at the bottom of the stack. Pure.

The root message is what went wrong first: of a Java stack the last "Caused by", of a chained Python traceback the first error.
Whatever differs from run to run (numbers, addresses, paths, quoted values) is taken out before messages are compared.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from .junit import Case, Result

MAX_TITLE: Final = 160

_PYTHON_ERROR: Final = re.compile(r"^(?:E\s+)?((?:[A-Za-z_]\w{0,80}\.){0,8}[A-Za-z_]\w{0,80})(?:: (.{0,400}))?$")
_PYTHON_FRAME: Final = re.compile(r'^\s*File "([^"]{1,300})", line \d+, in (\S{1,120})')
_JAVA_CAUSE: Final = re.compile(r"^Caused by: ([\w.$]{1,200})(?:: (.{0,400}))?$")
_JAVA_FRAME: Final = re.compile(r"^\s*at ([\w.$]{1,200})\(([^():]{1,120})")
_CHAINED: Final = ("The above exception was the direct cause", "During handling of the above exception")
_TRACEBACK: Final = "Traceback (most recent call last):"

_LETTERS: Final = re.compile(r"[^\W\d_]{3}")
_PLACEHOLDER: Final = re.compile(r"<\w+>")
_VARIABLE: Final = (
    (re.compile(r"0x[0-9a-fA-F]+"), "<address>"),
    (re.compile(r"(?:[A-Za-z]:)?(?:[\\/][\w.@-]+){2,}"), "<path>"),
    (re.compile(r"\"[^\"]{0,200}\"|'[^']{0,200}'|`[^`]{0,200}`"), "<value>"),
    (re.compile(r"[-+]?\d+(?:[.,]\d+)*"), "<number>"),
    (re.compile(r"\s+"), " "),
)


@dataclass(frozen=True, slots=True)
class Root:
    """What is behind one failure. `kind`: the type of the error; `frame`: "file function" at the bottom of the stack, or ""."""

    kind: str
    message: str
    frame: str

    @property
    def pattern(self) -> str:
        """The message without what differs from run to run; "" when there is nothing to compare."""
        text = self.message
        for expression, word in _VARIABLE:
            text = expression.sub(word, text)
        says_something = _LETTERS.search(_PLACEHOLDER.sub("", text))  # "1 != 2" is said by tests that have nothing in common
        return f"{self.kind}: {text.strip()}" if says_something else ""


@dataclass(frozen=True, slots=True)
class Failure:
    """One test that failed or could not run."""

    test: str
    outcome: str
    root: Root


@dataclass(frozen=True, slots=True)
class Group:
    """Failures with one cause, as far as they tell.

    Attributes:
        signature: 12 hex digits, the same for the same cause in every report.
    """

    signature: str
    title: str
    kind: str
    frame: str
    failures: tuple[Failure, ...]


def failures_of(cases: Iterable[Case]) -> list[Failure]:
    """Of these cases the failed and broken ones, in order."""
    return [Failure(case.title, case.outcome, root_of(case)) for case in cases if case.outcome in ("failure", "error")]


def root_of(case: Case) -> Root:
    """From what the report says about a failed case; parts that it does not tell are ""."""
    result = case.worst or Result(case.outcome)
    lines = result.text.splitlines()
    kind, message = _root_error(lines)
    stated = (result.message or (lines[0] if lines else "")).strip()
    if not kind:
        kind, message = result.kind, stated
    return Root(kind=kind or case.outcome, message=message or stated, frame=_root_frame(lines))


def group_failures(failures: Sequence[Failure]) -> list[Group]:
    """Groups of these failures, largest first, then by title."""
    together: dict[int, list[Failure]] = {}
    for failure, leader in zip(failures, _leaders([one.root for one in failures]), strict=True):
        together.setdefault(leader, []).append(failure)
    return sorted(map(_group, together.values()), key=lambda group: (-len(group.failures), group.title, group.signature))


def _leaders(roots: Sequence[Root]) -> list[int]:
    """For each failure the first one it belongs with: union-find over equal patterns and equal frames."""
    parents = list(range(len(roots)))

    def leader(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    first: dict[tuple[str, str], int] = {}
    for index, root in enumerate(roots):
        for key in (("message", root.pattern), ("frame", root.frame)):
            if not key[1]:
                continue
            other = first.setdefault(key, index)
            low, high = sorted((leader(other), leader(index)))
            parents[high] = low
    return [leader(index) for index in range(len(roots))]


def _group(failures: Sequence[Failure]) -> Group:
    """Named after the pattern that comes first in the alphabet, so that the order of tests does not rename a group."""
    chosen = min(failures, key=lambda one: (one.root.pattern or "~", one.root.frame, one.test))
    root = chosen.root
    title = root.pattern or root.message or f"{chosen.test} does not say why"
    return Group(
        signature=hashlib.sha256((root.pattern or root.frame or chosen.test).encode()).hexdigest()[:12],
        title=title if len(title) <= MAX_TITLE else title[: MAX_TITLE - 1] + "\u2026",
        kind=root.kind[:80],
        frame=root.frame[:200],
        failures=tuple(failures),
    )


def _root_error(lines: Sequence[str]) -> tuple[str, str]:
    """(type, message) of the first cause; ("", "") when the text is no stack that we know."""
    causes = [found for line in lines if (found := _JAVA_CAUSE.match(line))]
    if causes:
        return causes[-1][1].rsplit(".", 1)[-1], causes[-1][2] or ""
    if not any(line.strip() == _TRACEBACK for line in lines):
        return "", ""
    for line in reversed(_first_traceback(lines)):
        if line and not line[0].isspace() and (found := _PYTHON_ERROR.match(line)):
            return found[1].rsplit(".", 1)[-1], found[2] or ""
    return "", ""


def _root_frame(lines: Sequence[str]) -> str:
    """Where it happened: the deepest Python frame of the first traceback, or the first Java frame below the last cause."""
    frames = [found for line in _first_traceback(lines) if (found := _PYTHON_FRAME.match(line))]
    own = [frame for frame in frames if not _is_of_the_framework(frame[1])]
    if own:  # the test itself is no cause that tests share, nor is a helper of theirs
        file = _file(own[-1][1])
        return "" if file.startswith(("test_", "conftest")) or own[-1][2].startswith("test") else f"{file} {own[-1][2]}"
    last = max((index for index, line in enumerate(lines) if _JAVA_CAUSE.match(line)), default=0)
    for line in lines[last:]:
        if found := _JAVA_FRAME.match(line):
            return f"{found[2]} {found[1].rsplit('.', 1)[-1]}"
    return ""


def _first_traceback(lines: Sequence[str]) -> list[str]:
    """Up to where Python says that another error came of it."""
    for index, line in enumerate(lines):
        if line.startswith(_CHAINED):
            return [one for one in lines[:index] if one.strip()]
    return list(lines)


def _is_of_the_framework(path: str) -> bool:
    return "unittest" in path.replace("\\", "/").split("/") or "_pytest" in path


def _file(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[-1]
