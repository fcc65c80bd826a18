"""The routing table of the workflow, made from a written policy (policy.csv, or one with other intents). Pure.

Two rows per intent: one for requests that need a lawyer's eye, one for the rest. An intent that the policy does not know is no
rule's business: the default asks a person.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from .policy import Line

Document = dict[str, Any]

NAME: Final = "support-routing"
LEGAL_TIER, PLAIN_TIER = 1, 2  # legal rows are tried first
UNKNOWN: Final = "unknown"
SPECIALIST: Final = "specialist"
DEFAULT_QUEUE: Final = "general"

_CASES: Final = {"L1": "l1", "L2": "l2", "SPECIALIST": SPECIALIST}
_TIERS: Final = {case: tier for tier, case in _CASES.items()}
_MAX_ID: Final = 50


def routing_table(policy: Mapping[str, Line], *, name: str = NAME) -> Document:
    """The RoutingTable document of a policy: same policy, same document, rows in the policy's order."""
    ids = _ids(policy)
    lines = list(policy.values())
    legal = [_legal_rule(ids[line.intent], line) for line in lines if line.tier != "SPECIALIST"]
    plain = [_plain_rule(ids[line.intent], line) for line in lines]
    return {
        "apiVersion": "aegis/v1",
        "kind": "RoutingTable",
        "metadata": {
            "name": name,
            "title": "Support routing",
            "description": "Where a request goes, by intent. Made from the written policy; change that and make it again.",
        },
        "spec": {
            "inputs": {"intent": "string", "legal_review": "bool"},
            "outputs": {"queue": "string", "tier": "string", "urgency": "string", "legal_review": "bool",
                        "auto_reply_allowed": "bool"},
            "hit_policy": "First",
            "rules": [*legal, *plain],
            "default": _then(UNKNOWN, DEFAULT_QUEUE, urgency="P3", legal=False, auto_reply=False),
            "tests": _tests(lines, ids),
        },
    }  # fmt: skip


def _plain_rule(rule_id: str, line: Line) -> Document:
    then = _then(
        _CASES[line.tier],
        line.queue,
        urgency=line.urgency,
        legal=line.legal_review,
        auto_reply=line.auto_reply_allowed and not line.legal_review,
    )
    return {"id": rule_id, "tier": PLAIN_TIER, "when": f"intent == {_quoted(line.intent)}", "then": then}


def _legal_rule(rule_id: str, line: Line) -> Document:
    """The same queue, but a specialist there, and no reply without a person."""
    then = _then(SPECIALIST, line.queue, urgency=line.urgency, legal=True, auto_reply=False)
    when = f"legal_review && intent == {_quoted(line.intent)}"
    return {"id": f"{rule_id}.legal", "tier": LEGAL_TIER, "when": when, "then": then}


def _then(case: str, queue: str, *, urgency: str, legal: bool, auto_reply: bool) -> Document:
    return {
        "case": case,
        "queue": queue,
        "tier": _TIERS.get(case, "L1"),
        "urgency": urgency,
        "legal_review": legal,
        "auto_reply_allowed": auto_reply,
    }


def _tests(lines: list[Line], ids: Mapping[str, str]) -> list[Document]:
    """One example per tier, one legal, one unknown: enough to see that the table is this policy's."""
    tests: list[Document] = []
    for tier, case in _CASES.items():
        line = next((one for one in lines if one.tier == tier), None)
        if line is not None:
            given: Document = {"intent": line.intent, "legal_review": False}
            expect: Document = {"case": case, "queue": line.queue, "urgency": line.urgency}
            tests.append({"name": f"{tier}: {line.intent}"[:120], "given": given, "expect": expect, "rule": ids[line.intent]})
    line = next((one for one in lines if one.tier != "SPECIALIST"), None)
    if line is not None:
        given = {"intent": line.intent, "legal_review": True}
        expect = {"case": SPECIALIST, "queue": line.queue, "legal_review": True, "auto_reply_allowed": False}
        rule = f"{ids[line.intent]}.legal"
        tests.append({"name": f"a lawyer's eye: {line.intent}"[:120], "given": given, "expect": expect, "rule": rule})
    unknown = {"intent": "no such intent", "legal_review": False}
    tests.append({"name": "an intent nobody wrote a rule for", "given": unknown, "expect": {"case": UNKNOWN}, "rule": ""})
    return tests


def _ids(policy: Mapping[str, Line]) -> dict[str, str]:
    """Intent -> id of its rule. An intent may hold characters that an id may not, so two could fall together: numbered then."""
    ids: dict[str, str] = {}
    taken: set[str] = set()
    for intent in policy:
        plain = re.sub(r"[^A-Za-z0-9_-]", "-", intent)[:_MAX_ID]
        number, candidate = 2, plain
        while candidate in taken:
            candidate, number = f"{plain}-{number}", number + 1
        taken.add(candidate)
        ids[intent] = candidate
    return ids


def _quoted(text: str) -> str:
    """A CEL text literal. Intents are plain (policy.INTENT_PATTERN); anything else is refused rather than escaped."""
    if '"' in text or "\\" in text or not text.isprintable():
        raise ValueError(f"{text!r} is no intent")
    return f'"{text}"'
