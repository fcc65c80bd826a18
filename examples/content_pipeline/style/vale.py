"""Rules written for the linter Vale, as rules of ours: each translated whole, or refused by name.

A rule is translated only if every word of it that decides about findings has a meaning here. What would be read and quietly
ignored, such as a scope or an option unknown to us, refuses the rule instead. Of actions only `replace` is taken over;
the others offer an edit to a writer, and change no finding.

Source: the documentation of Vale's styles (existence, substitution, occurrence, conditional, capitalization).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from examples.common.documents import checker_of

from .rules import Rule, RuleSet, RulesRefused, compile_rule

Document = Mapping[str, Any]

# Where Vale stands to a rule's place: its text and paragraph are our blocks.
_SCOPES: Final = {"text": "text", "paragraph": "text", "heading": "heading", "sentence": "sentence"}
_LEVELS: Final = frozenset({"error", "warning", "suggestion"})
_COMMON: Final = frozenset({"id", "extends", "message", "level", "link", "scope", "description", "action"})
_PERCENT: Final = 80  # of a heading's words, as Vale has it


class NotTranslated(ValueError):
    """Why a rule has no counterpart here, for people."""


def translate(rules: Sequence[Document], *, name: str = "imported") -> tuple[RuleSet, dict[str, str]]:
    """The rules that can be had, and id -> reason of the refused ones. Every rule is in one of the two."""
    accepted: list[Rule] = []
    refused: dict[str, str] = {}
    for number, one in enumerate(rules):
        id_ = str(one.get("id") or f"rule {number + 1}")
        try:
            document = rule_of(one)
            if faults := checker_of("content_pipeline", "style-rules@1").faults({"name": name, "rules": [document]}):
                raise NotTranslated(str(faults[0]))
            accepted.append(compile_rule(document))
        except (NotTranslated, RulesRefused) as error:
            refused[id_] = str(error)
    return RuleSet(name, tuple(accepted)), refused


def rule_of(rule: Document) -> dict[str, Any]:
    """One rule in the form of `style-rules@1`.

    Raises:
        NotTranslated: it asks for something that the engine does not have.
    """
    kind = str(rule.get("extends"))
    if kind not in _KINDS:
        raise NotTranslated(f"extends {kind!r}; known are {', '.join(sorted(_KINDS))}")
    build, words = _KINDS[kind]
    if unknown := sorted(set(rule) - _COMMON - words):
        raise NotTranslated(f"has {', '.join(unknown)}, which {kind} rules have no meaning for here")
    scope, level = rule.get("scope", "text"), rule.get("level", "warning")
    if scope not in _SCOPES:
        raise NotTranslated(f"scope {scope!r} is not known; known are {', '.join(_SCOPES)}")
    if level not in _LEVELS:
        raise NotTranslated(f"level {level!r} is not known")
    return {
        "id": rule["id"],
        "severity": level,
        "scope": _SCOPES[scope],
        "ignore_case": bool(rule.get("ignorecase", False)),
        **build(rule),
    }


def _existence(rule: Document) -> Document:
    tokens, raw = [token for token in rule.get("tokens", ()) if token.strip()], "".join(rule.get("raw", ()))
    if not tokens:
        if not raw:
            raise NotTranslated("has neither tokens nor raw")
        return {"message": _message(rule, "{found}"), "find": {"any_of": [raw]}}
    find = {"any_of": tokens, "whole_words": not rule.get("nonword", False), **({"after": raw} if raw else {})}
    return {"message": _message(rule, "{found}"), "find": find}


def _substitution(rule: Document) -> Document:
    swap = rule.get("swap") or {}
    if not swap:
        raise NotTranslated("has no swap")
    if several := [words for words, instead in swap.items() if "|" in instead]:
        raise NotTranslated(f"offers more than one word for {several[0]!r}")
    is_mended = rule.get("action", {}).get("name") == "replace"
    return {
        "message": _message(rule, "{suggestion}", "{found}"),
        "replace": {"by": dict(swap), "whole_words": not rule.get("nonword", False)},
        **({"mend": "suggestion"} if is_mended else {}),
    }


def _occurrence(rule: Document) -> Document:
    if not rule.get("max") or rule.get("min"):
        raise NotTranslated("counts something else than a most (max)")
    return {"message": _message(rule), "at_most": {"count": rule["max"], "of": f"(?:{rule['token']})"}}


def _conditional(rule: Document) -> Document:
    spec = {"use": rule["first"], "by": rule["second"], "except": list(rule.get("exceptions", ()))}
    return {"message": _message(rule, "{found}"), "defined": spec}


def _capitalization(rule: Document) -> Document:
    if rule.get("match") != "$sentence":
        raise NotTranslated(f"match {rule.get('match')!r} is not known; known is $sentence")
    return {
        "message": _message(rule, "{found}"),
        "sentence_case": {
            "except": list(rule.get("exceptions", ())),
            "indicators": list(rule.get("indicators", ())),
            "percent": _PERCENT,
        },
    }


def _message(rule: Document, *names: str) -> str:
    """The message with what its `%s` stand for, in order; braces of its own would be read as such and are refused."""
    message = str(rule.get("message", ""))
    if "{" in message or message.count("%s") > len(names):
        raise NotTranslated(f"the message {message!r} asks for more than a finding has")
    for name in names:
        message = message.replace("%s", name, 1)
    return message


_KINDS: Final[Mapping[str, tuple[Callable[[Document], Document], frozenset[str]]]] = {
    "existence": (_existence, frozenset({"ignorecase", "nonword", "raw", "tokens"})),
    "substitution": (_substitution, frozenset({"ignorecase", "nonword", "swap"})),
    "occurrence": (_occurrence, frozenset({"ignorecase", "max", "min", "token"})),
    "conditional": (_conditional, frozenset({"ignorecase", "first", "second", "exceptions"})),
    "capitalization": (_capitalization, frozenset({"match", "indicators", "exceptions"})),
}
