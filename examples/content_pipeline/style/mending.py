"""Mend what needs no judgement: the findings for which a rule says how. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .engine import Finding, check
from .rules import RuleSet

MAX_ROUNDS: Final = 5


@dataclass(frozen=True, slots=True)
class Mended:
    """
    Attributes:
        text: after mending.
        done: what was mended, places as they were when it happened.
        left: what the rules still say about the text.
    """

    text: str
    done: tuple[Finding, ...]
    left: tuple[Finding, ...]


def mend(text: str, rules: RuleSet) -> Mended:
    """Mend until nothing mechanical is left, or for `MAX_ROUNDS`: two rules may undo one another, and then a person decides.

    Of findings that overlap the first is mended, and the text is read again.
    """
    done: list[Finding] = []
    for _ in range(MAX_ROUNDS):
        findings = check(text, rules)
        chosen = _apart([one for one in findings if one.mended is not None and one.mended != text[one.start : one.end]])
        if not chosen:
            break
        for one in reversed(chosen):
            text = text[: one.start] + (one.mended or "") + text[one.end :]
        done += chosen
    return Mended(text, tuple(done), tuple(check(text, rules)))


def _apart(findings: list[Finding]) -> list[Finding]:
    chosen: list[Finding] = []
    for one in findings:
        if not chosen or one.start >= chosen[-1].end:
            chosen.append(one)
    return chosen
