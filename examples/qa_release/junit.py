"""JUnit XML, read safely. Pure.

A report comes from outside: there is no document type in it, so no entity that could grow or read a file, and its size, depth
and number of tests are bounded. What is refused is refused with line and column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NoReturn
from xml.parsers import expat

from aegis.core.errors import Fault, Invalid

MAX_BYTES: Final = 1024 * 1024
MAX_DEPTH: Final = 40
MAX_CASES: Final = 20_000
MAX_TEXT: Final = 8_000  # characters kept of one message or stack
MAX_NAME: Final = 400

Outcome = Literal["error", "failure", "success", "skipped"]
#: Worst first: a test that ran several times counts once, as its worst.
OUTCOMES: Final[tuple[Outcome, ...]] = ("error", "failure", "success", "skipped")

_RESULTS: Final[Mapping[str, Outcome]] = {"error": "error", "failure": "failure", "skipped": "skipped"}
_STATES_THAT_SKIP: Final = frozenset({"disabled", "skipped", "ignored", "notrun"})


class ReportRefused(Invalid):
    """Not a report that can be read; the fault's place is line:column."""

    code, title = "report_refused", "The report cannot be read"


@dataclass(slots=True)
class Result:
    """One `failure`, `error` or `skipped` of a case: what it says, cut at MAX_TEXT characters."""

    outcome: Outcome
    kind: str = ""
    message: str = ""
    text: str = ""


@dataclass(slots=True)
class Case:
    """One execution of a test. `name` is "" when the report gives none."""

    file: str
    classname: str
    name: str
    seconds: float
    state: str = ""
    results: list[Result] = field(default_factory=list)

    @property
    def outcome(self) -> Outcome:
        if self.results:
            return min((result.outcome for result in self.results), key=OUTCOMES.index)
        return "skipped" if self.state in _STATES_THAT_SKIP else "success"

    @property
    def worst(self) -> Result | None:
        return min(self.results, key=lambda result: OUTCOMES.index(result.outcome), default=None)

    @property
    def title(self) -> str:
        return ".".join(part for part in (self.classname, self.name) if part) or "(a test without a name)"


@dataclass(slots=True)
class Suite:
    """A `testsuite`, with the seconds it states (None: it states none) and what stands in it."""

    seconds: float | None
    cases: list[Case] = field(default_factory=list)
    suites: list[Suite] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Report:
    """Every suite on the highest level, and every case of all, in document order."""

    suites: tuple[Suite, ...]
    cases: tuple[Case, ...]


def read_report(raw: bytes | str) -> Report:
    """The report in a JUnit XML document.

    Raises:
        ReportRefused: too large, not well-formed, with a document type, too deep, with too many tests, or no JUnit at all.
    """
    content = raw.encode() if isinstance(raw, str) else raw
    if len(content) > MAX_BYTES:
        raise _refused("", f"is larger than {MAX_BYTES:,} bytes", "send a smaller report, for example one per suite")
    if isinstance(raw, str):
        content = _without_encoding(content)
    return _Reader().read(content)


class _Reader:
    """Walks the document once; holds what is open."""

    def __init__(self) -> None:
        self._parser = expat.ParserCreate()
        self._parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._no_doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._names: list[str] = []
        self._open: list[Suite] = []
        self._case: Case | None = None
        self._result: Result | None = None
        self._suites: list[Suite] = []
        self._cases: list[Case] = []

    def read(self, content: bytes) -> Report:
        try:
            self._parser.Parse(content, True)
        except expat.ExpatError as error:
            place = f"{error.lineno}:{error.offset + 1}"
            raise _refused(place, f"is not well-formed XML: {expat.ErrorString(error.code)}", "") from None
        except (ValueError, LookupError) as error:  # an encoding that nobody knows
            raise _refused("1:1", f"cannot be decoded ({error})", "write it in UTF-8") from None
        return Report(tuple(self._suites), tuple(self._cases))

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._names and name not in ("testsuites", "testsuite"):
            self._refuse(f"begins with <{name[:40]}>, not with <testsuites> or <testsuite>", "send JUnit XML")
        if len(self._names) >= MAX_DEPTH:
            self._refuse(f"is nested deeper than {MAX_DEPTH} elements", "")
        self._names.append(name)
        if name == "testsuite":
            self._start_suite(attributes)
        elif name == "testcase":
            self._start_case(attributes)
        elif self._case is not None and self._result is None and name in _RESULTS:
            self._result = Result(
                _RESULTS[name], attributes.get("type", "")[:MAX_NAME], attributes.get("message", "")[:MAX_TEXT]
            )
            self._case.results.append(self._result)

    def _start_suite(self, attributes: Mapping[str, str]) -> None:
        suite = Suite(self._seconds(attributes) if "time" in attributes else None)
        (self._open[-1].suites if self._open else self._suites).append(suite)
        self._open.append(suite)

    def _start_case(self, attributes: Mapping[str, str]) -> None:
        if not self._open:
            self._refuse("has a <testcase> outside of every <testsuite>", "")
        if self._case is not None:
            self._refuse("has a <testcase> inside a <testcase>", "")
        if len(self._cases) >= MAX_CASES:
            self._refuse(f"has more than {MAX_CASES:,} tests", "split it")
        file, classname, name, state = (attributes.get(key, "")[:MAX_NAME] for key in ("file", "classname", "name", "status"))
        self._case = Case(file, classname, name, self._seconds(attributes), state.lower())
        self._open[-1].cases.append(self._case)
        self._cases.append(self._case)

    def _end(self, name: str) -> None:
        self._names.pop()
        if name == "testsuite":
            self._open.pop()
        elif name == "testcase":
            self._case = None
        elif name in _RESULTS and self._names[-1:] == ["testcase"]:
            self._result = None

    def _characters(self, text: str) -> None:
        if self._result is not None and len(self._result.text) < MAX_TEXT:
            self._result.text = (self._result.text + text)[:MAX_TEXT]

    def _seconds(self, attributes: Mapping[str, str]) -> float:
        """What is no number, or none that a duration can be, counts as no time: other tools write "" and "NaN"."""
        try:
            seconds = float(attributes.get("time", "0").replace(",", ""))
        except ValueError:
            return 0.0
        return seconds if 0 <= seconds < 1e9 else 0.0

    def _no_doctype(self, *_: object) -> None:
        self._refuse("declares a document type", "remove <!DOCTYPE ...>; a report needs no entities")

    def _refuse(self, what: str, remedy: str) -> NoReturn:
        raise _refused(f"{self._parser.CurrentLineNumber}:{self._parser.CurrentColumnNumber + 1}", what, remedy)


def _without_encoding(content: bytes) -> bytes:
    """Text is UTF-8 whatever its first line says: it was decoded already."""
    if not content.startswith(b"<?xml"):
        return content
    end = content.find(b"?>")
    return b'<?xml version="1.0" encoding="utf-8"?>' + content[end + 2 :] if end >= 0 else content


def _refused(where: str, what: str, remedy: str) -> ReportRefused:
    fault = Fault(where, what, remedy)
    return ReportRefused(f"The report {what}" + (f" (line {where})" if where else ""), faults=[fault])
