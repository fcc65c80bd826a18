"""A set of style rules: what a document says, checked and compiled. Pure.

The form of the document is the contract `style-rules@1` (contracts/style-rules@1.json). Patterns are regular expressions of
Python; they come from the owner of the rules, by way of change control, and never from a text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

from aegis.core.errors import Fault, Invalid
from examples.common.documents import checker_of

from .text import Scope

Severity = Literal["error", "warning", "suggestion"]
SEVERITIES: Final[tuple[Severity, ...]] = ("error", "warning", "suggestion")
_NAMED: Final = re.compile(r"\{(found|suggestion)\}")


class RulesRefused(Invalid):
    """A set of rules that cannot be used; each fault names its rule."""

    code, title = "style_rules_refused", "The style rules cannot be used"


@dataclass(frozen=True, slots=True)
class Find:
    """What matches is a finding, or its suggestion where there is one.

    Attributes:
        suggestions: what to say instead, by the number of the group that matched; empty: there is no suggestion.
    """

    pattern: re.Pattern[str]
    suggestions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AtMost:
    """More than `count` matches in one place are a finding, at the first of them."""

    pattern: re.Pattern[str]
    count: int


@dataclass(frozen=True, slots=True)
class Defined:
    """What `use` matches is a finding unless a group of `by` caught the same words, here or earlier in the text."""

    use: re.Pattern[str]
    by: re.Pattern[str]
    exceptions: frozenset[str]


@dataclass(frozen=True, slots=True)
class SentenceCase:
    """The first word begins with a capital and the others do not, but for exceptions and what follows an indicator.

    Attributes:
        percent: how many of the words must be right, more than this.
    """

    exceptions: frozenset[str]
    indicators: tuple[str, ...]
    percent: int


Check = Find | AtMost | Defined | SentenceCase


@dataclass(frozen=True, slots=True)
class Mend:
    """What a machine may put in place of a finding: its suggestion, or the words with `pattern` replaced by `by`."""

    pattern: re.Pattern[str] | None = None
    by: str = ""

    def of(self, found: str, suggestion: str) -> str:
        return suggestion if self.pattern is None else self.pattern.sub(self.by, found)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `message` may name `{found}` and `{suggestion}`."""

    id: str
    severity: Severity
    scope: Scope
    message: str
    check: Check
    mend: Mend | None = None

    def said(self, found: str, suggestion: str) -> str:
        """The message of a finding. Words of the text are filled in once and never read as placeholders."""
        values = {"found": found, "suggestion": suggestion}
        return _NAMED.sub(lambda match: values[match[1]], self.message)


@dataclass(frozen=True, slots=True)
class RuleSet:
    name: str
    rules: tuple[Rule, ...]


def load(document: Any) -> RuleSet:
    """Read a document of style rules: all of it, or nothing.

    Raises:
        RulesRefused: it breaks its contract, repeats an id, or has a rule that cannot be compiled; names each.
    """
    if faults := checker_of("content_pipeline", "style-rules@1").faults(document):
        raise RulesRefused(f"The style rules cannot be used: {faults[0]}", faults=faults)
    rules: list[Rule] = []
    for number, one in enumerate(document["rules"]):
        try:
            rules.append(compile_rule(one))
        except RulesRefused as error:
            faults += [Fault(f"/rules/{number}{fault.where}", fault.what, fault.remedy) for fault in error.faults]
        if one["id"] in {earlier["id"] for earlier in document["rules"][:number]}:
            faults.append(
                Fault(f"/rules/{number}/id", f"{one['id']} is the id of an earlier rule", "give every rule one of its own")
            )
    if faults:
        raise RulesRefused(f"The style rules cannot be used: {faults[0]}", faults=faults)
    return RuleSet(document["name"], tuple(rules))


def compile_rule(document: Mapping[str, Any]) -> Rule:
    """One rule that keeps the contract.

    Raises:
        RulesRefused: a pattern of it cannot be compiled, or it promises a suggestion that it cannot make.
    """
    kind = next(name for name in _CHECKS if name in document)
    ignore_case = document.get("ignore_case", False)
    check = _CHECKS[kind](document["id"], document[kind], ignore_case)
    mend = None
    if "mend" in document:
        has_suggestion = isinstance(check, Find) and bool(check.suggestions)
        if document["mend"] == "suggestion" and not has_suggestion:
            raise _refused(document["id"], "/mend", "has no suggestion to mend with", "use replace, or mend: {pattern, by}")
        mend = (
            Mend()
            if document["mend"] == "suggestion"
            else Mend(
                _compiled(document["id"], "/mend/pattern", document["mend"]["pattern"], ignore_case), document["mend"]["by"]
            )
        )
    return Rule(document["id"], document["severity"], document.get("scope", "text"), document["message"], check, mend)


def _find(rule: str, spec: Mapping[str, Any], ignore_case: bool) -> Find:
    joined = "|".join(spec["any_of"])
    if spec.get("whole_words"):
        joined = rf"\b(?:{joined})\b"
    return Find(_compiled(rule, "/find", f"{spec.get('after', '')}(?:{joined})", ignore_case))


def _replace(rule: str, spec: Mapping[str, Any], ignore_case: bool) -> Find:
    # Longer patterns first: of two that match at one place the one that says more counts, whatever the order of the document.
    ordered = sorted(spec["by"].items(), key=lambda pair: (-len(pair[0]), pair[0]))
    for pattern, _ in ordered:
        if _compiled(rule, "/replace/by", pattern, ignore_case).groups:
            raise _refused(rule, "/replace/by", f"{pattern!r} has a group that catches", "write (?:...) for a group")
    joined = "|".join(f"({pattern})" for pattern, _ in ordered)
    joined = rf"\b(?:{joined})\b" if spec.get("whole_words") else joined
    return Find(_compiled(rule, "/replace", joined, ignore_case), tuple(suggestion for _, suggestion in ordered))


def _at_most(rule: str, spec: Mapping[str, Any], ignore_case: bool) -> AtMost:
    return AtMost(_compiled(rule, "/at_most/of", spec["of"], ignore_case), spec["count"])


def _defined(rule: str, spec: Mapping[str, Any], ignore_case: bool) -> Defined:
    by = _compiled(rule, "/defined/by", spec["by"], ignore_case)
    if not by.groups:
        raise _refused(rule, "/defined/by", "catches no words in a group", "put what is defined into ( )")
    return Defined(_compiled(rule, "/defined/use", spec["use"], ignore_case), by, frozenset(spec.get("except", ())))


def _sentence_case(rule: str, spec: Mapping[str, Any], ignore_case: bool) -> SentenceCase:
    return SentenceCase(frozenset(spec.get("except", ())), tuple(spec.get("indicators", ())), spec.get("percent", 99))


_CHECKS: Final[Mapping[str, Callable[[str, Any, bool], Check]]] = {
    "find": _find,
    "replace": _replace,
    "at_most": _at_most,
    "defined": _defined,
    "sentence_case": _sentence_case,
}


@cache
def _compile(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    return re.compile(pattern, re.MULTILINE | (re.IGNORECASE if ignore_case else re.NOFLAG))


def _compiled(rule: str, where: str, pattern: str, ignore_case: bool) -> re.Pattern[str]:
    try:
        return _compile(pattern, ignore_case)
    except (re.error, OverflowError, RecursionError) as error:
        raise _refused(rule, where, f"{error}", "write a regular expression of Python") from None


def _refused(rule: str, where: str, what: str, remedy: str) -> RulesRefused:
    return RulesRefused(f"{rule}: {what}", faults=[Fault(where, f"{rule}: {what}", remedy)])
