"""What a text is told by a set of style rules. Pure; the same text and rules give the same findings in the same order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from .rules import AtMost, Defined, Find, Rule, RuleSet, SentenceCase, Severity
from .text import Block, Places, blocks, in_scope

_WORD: Final = re.compile(r"[^\W_]\S*")
_MAX_QUOTED: Final = 200  # characters of the text that a finding repeats


@dataclass(frozen=True, slots=True)
class Finding:
    """One place that a rule speaks about.

    Attributes:
        line, column: from 1.
        start, end: offsets of the words, [start, end).
        suggestion: what to write instead; "" if the rule knows nothing better.
        mended: what a machine may put there; None: that is for a person.
    """

    rule: str
    severity: Severity
    line: int
    column: int
    start: int
    end: int
    message: str
    suggestion: str = ""
    mended: str | None = None


def check(text: str, rules: RuleSet) -> list[Finding]:
    """Every finding, by place, and by rule at one place."""
    places, found = Places(text), blocks(text)
    scoped = {scope: in_scope(found, scope) for scope in {rule.scope for rule in rules.rules}}
    findings = (_finding(rule, *hit, places) for rule in rules.rules for hit in _hits(rule, scoped[rule.scope]))
    return sorted(findings, key=lambda one: (one.start, one.end, one.rule))


def of_severity(findings: Iterable[Finding], severity: Severity) -> list[Finding]:
    return [finding for finding in findings if finding.severity == severity]


def _hits(rule: Rule, scoped: Sequence[Block]) -> Iterator[tuple[int, str, str]]:
    """Start in the text, the words, what to say instead."""
    if isinstance(rule.check, Defined):
        yield from _undefined(rule.check, scoped)
        return
    for block in scoped:
        match rule.check:
            case Find(pattern, suggestions):
                for found in pattern.finditer(block.text):
                    if found.group() and (hit := _hit(found, suggestions)) is not None:
                        yield block.start + hit[0], hit[1], hit[2]
            case AtMost(pattern, count):
                matches = list(pattern.finditer(block.text))
                if len(matches) > count:
                    yield block.start + matches[0].start(), matches[0].group(), ""
            case SentenceCase():
                if not _is_sentence_case(block.text, rule.check):
                    yield block.start, block.text, ""


def _hit(found: re.Match[str], suggestions: tuple[str, ...]) -> tuple[int, str, str] | None:
    if not suggestions:
        return found.start(), found.group(), ""
    number = next(number for number, caught in enumerate(found.groups(), start=1) if caught is not None)
    words = found.group(number)
    suggestion = suggestions[number - 1]
    if words == suggestion:
        return None  # the pattern also matches what it asks for ("gb" -> "GB", letters of any case)
    return found.start(number), words.strip(), _as_capital(suggestion, like=words)


def _as_capital(suggestion: str, *, like: str) -> str:
    """What begins a sentence goes on beginning it: "Do not" becomes "Don't"."""
    begins = like[:1].isupper() and not like.isupper()
    return suggestion[:1].upper() + suggestion[1:] if begins else suggestion


def _undefined(check_: Defined, scoped: Sequence[Block]) -> Iterator[tuple[int, str, str]]:
    known = set(check_.exceptions)
    for block in scoped:
        known |= {caught for match in check_.by.finditer(block.text) for caught in match.groups() if caught}
        for match in check_.use.finditer(block.text):
            if match.group() and match.group() not in known:
                yield block.start + match.start(), match.group(), ""


def _is_sentence_case(text: str, check_: SentenceCase) -> bool:
    """A word is right if it is small; the first one, and one after an indicator, if only its first letter is a capital."""
    right, words, begins = 0, 0, True
    for word in _WORD.findall(text.rstrip("?!.:")):
        plain = re.split(r"[-'’]", word.rstrip(",;:.?!"))[0]
        words += 1
        if plain in check_.exceptions or not any(char.isalpha() for char in plain):
            right += 1  # after a number the sentence has not begun yet
        else:
            right += plain[:1].isupper() and plain[1:] == plain[1:].lower() if begins else plain == plain.lower()
            begins = False
        begins = begins or (bool(check_.indicators) and word.endswith(check_.indicators))
    return words == 0 or 100 * right > check_.percent * words


def _finding(rule: Rule, start: int, words: str, suggestion: str, places: Places) -> Finding:
    line, column = places.of(start)
    mended = rule.mend.of(words, suggestion) if rule.mend else None
    message = rule.said(words[:_MAX_QUOTED], suggestion)
    return Finding(rule.id, rule.severity, line, column, start, start + len(words), message, suggestion, mended)
