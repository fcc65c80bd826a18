"""The proposals of the workflow: opening a ticket, answering a customer. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from examples.common.personal_data import redact

from .policy import most_urgent

SUBJECT_LENGTH: Final = 120
REPLIES: Final = Path(__file__).resolve().parent / "replies.json"

_FLAGS: Final = {True: True, False: False, "yes": True, "no": False}


def flag(route: Mapping[str, Any], key: str, *, default: bool) -> bool:
    """A yes/no column of the routing table; a value that is neither counts as not given."""
    value = route.get(key)
    return _FLAGS[value] if isinstance(value, bool | str) and value in _FLAGS else default


def open_ticket(
    request: Mapping[str, Any],
    classification: Mapping[str, Any],
    compliance: Mapping[str, Any],
    route: Mapping[str, Any],
) -> dict[str, Any]:
    """The proposal `ticket.open`. The stricter of table and agents wins: the earlier urgency, either's legal review."""
    intent = classification["intent"]
    legal_review = flag(route, "legal_review", default=False) or bool(compliance["legal_review"])
    urgency = most_urgent(classification["urgency"], str(route.get("urgency") or "P4"))
    kinds = sorted({item["kind"] for item in compliance["personal_data"]})
    reasons = ", ".join(compliance["reasons"])
    return {
        "capability": "ticket.open",
        "resource": {"type": "ticket", "id": request["id"]},
        "parameters": {
            "subject": subject_of(intent, request["text"]),
            "text": request["text"],
            "customer": request["customer"],
            "channel": request["channel"],
            "intent": intent,
            "urgency": urgency,
            "queue": route["queue"],
            "tier": route["tier"],
            "legal_review": legal_review,
            "personal_data": kinds,
            "auto_reply_allowed": flag(route, "auto_reply_allowed", default=False) and not legal_review,
            "status": "open",
        },
        "justification": f"Classified as {intent} ({classification['confidence_pct']} %), urgency {urgency}, routed to"
        f" {route['queue']} / {route['tier']}." + (f" Legal review: {reasons}." if reasons else ""),
    }


def reply_to(request: Mapping[str, Any], intent: str) -> dict[str, Any] | None:
    """The proposal `ticket.reply` from the intent's template, or None without one."""
    template = templates().get(intent)
    if template is None:
        return None
    filled = {name: template[name].replace("{request_id}", request["id"]) for name in ("subject", "body")}
    return {
        "capability": "ticket.reply",
        "resource": {"type": "ticket", "id": request["id"]},
        "parameters": {
            "status": "answered",
            "reply_subject": filled["subject"],
            "reply_body": filled["body"],
            "template": f"{intent}/{template['version']}",
        },
        "justification": f"Standard answer for {intent}, template version {template['version']}.",
    }


def subject_of(intent: str, text: str) -> str:
    """One line for lists: the intent and the beginning of the text, personal data replaced."""
    start = " ".join(redact(text).split())
    line = f"{intent.replace('_', ' ').strip().capitalize()}: {start}"
    return line if len(line) <= SUBJECT_LENGTH else line[: SUBJECT_LENGTH - 1].rstrip() + "\u2026"


@cache
def templates() -> Mapping[str, Mapping[str, Any]]:
    """Intent -> {version, subject, body}, from replies.json."""
    loaded: dict[str, dict[str, Any]] = json.loads(REPLIES.read_text(encoding="utf-8"))
    return loaded
