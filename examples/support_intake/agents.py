"""The agents of support-intake. Each is a plain function; rows name them as registered here.

They propose and never act: `support.dispatch` and `support.draft` put a proposal into their output, and an `act` step
carries it out if the access matrix agrees. What a customer wrote is data here, never an instruction.
"""

from __future__ import annotations

import math
from typing import Any

from examples.common.inputs import require
from examples.common.personal_data import find_personal_data
from orchestration.agents.protocol import Abstain, AgentRequest, Done, Reply, python_agent

from .classifier import find_model
from .entities import find_entities
from .legal import find_legal_reasons
from .proposals import open_ticket, reply_to
from .triage import MAX_CHARACTERS, NotUnderstood, triage

DEFAULT_MODEL = "support-intake"
ALTERNATIVES = 3
MOST_FINDINGS = 50  # as in contracts/compliance@1.json


@python_agent("support.classify")
def classify(request: AgentRequest) -> Reply:
    """Intent, confidence, urgency and entities of a customer's request.

    Input: request@1. Output: classification@1. Settings: `model` (name), `sha256` (pins the version).
    Confidence is the same number as `confidence_pct`, before rounding down; compare it with the model's
    `suggested_threshold`.

    Raises:
        Invalid: the input carries no text.
        ModelRefused: no such model, or it is damaged or not the pinned one.
    """
    text: str = require(request.input, "text", str, where="")
    model = find_model(request.settings.get("model", DEFAULT_MODEL), sha256=request.settings.get("sha256"))
    found = triage(model, text)
    if isinstance(found, NotUnderstood):
        return Abstain(found.reason)
    prediction, urgency = found.prediction, found.urgency
    output = {
        "intent": prediction.intent,
        "confidence_pct": _percent(prediction.confidence),
        "margin_milli": math.floor(prediction.margin * 1000),
        "urgency": urgency.level,
        "alternatives": [
            {"intent": intent, "confidence_pct": _percent(chance)} for intent, chance in prediction.ranked[1 : 1 + ALTERNATIVES]
        ],
        "entities": [
            {"kind": item.kind, "value": item.value[:200], "start": item.start, "end": item.end} for item in find_entities(text)
        ],
    }
    raised = f"; urgency raised by {', '.join(urgency.signals)}" if urgency.signals else ""
    return Done(
        output=output,
        rationale=f"{prediction.known_words} of {prediction.words} words known; margin {prediction.margin:.2f} over"
        f" {prediction.ranked[1][0]}{raised}",
        confidence=prediction.confidence,
        sources=(f"model:{model.sha256}",),
        model=f"{request.settings.get('model', DEFAULT_MODEL)}@{model.sha256[:12]}",
    )


@python_agent("support.comply")
def comply(request: AgentRequest) -> Reply:
    """Whether a lawyer must look, and where personal data stands. Input: request@1. Output: compliance@1.

    Total on every text up to the length limit: rules either find something or do not.
    """
    text: str = require(request.input, "text", str, where="")
    if len(text) > MAX_CHARACTERS:
        return Abstain(f"the request is longer than {MAX_CHARACTERS} characters")
    reasons = find_legal_reasons(text)
    personal = find_personal_data(text)
    if len(personal) > MOST_FINDINGS:
        return Abstain(f"more than {MOST_FINDINGS} places with personal data")
    return Done(
        output={
            "legal_review": bool(reasons),
            "personal_data": [{"kind": item.kind, "start": item.start, "end": item.end} for item in personal],
            "reasons": [reason.code for reason in reasons],
        },
        rationale="; ".join(f'{reason.code}: "{reason.words}"' for reason in reasons) or "no legal wording found",
    )


@python_agent("support.dispatch")
def dispatch(request: AgentRequest) -> Reply:
    """Propose the ticket. Input: {request, classification, compliance, route}. Output: dispatch@1.

    `route` is the routing table's answer: `queue` and `tier`; `urgency`, `legal_review` and `auto_reply_allowed`
    (booleans or "yes"/"no") if the table gives them.
    """
    parts = {
        name: require(request.input, name, dict, where="") for name in ("request", "classification", "compliance", "route")
    }
    for name in ("queue", "tier"):
        if not isinstance(parts["route"].get(name), str) or not parts["route"][name]:
            return Abstain(f"the route names no {name}")
    _check(parts["request"], "/request", {"id": str, "text": str, "customer": str, "channel": str})
    _check(parts["classification"], "/classification", {"intent": str, "urgency": str, "confidence_pct": int})
    _check(parts["compliance"], "/compliance", {"legal_review": bool, "personal_data": list, "reasons": list})
    return Done(output={"open": open_ticket(**parts)})


@python_agent("support.draft")
def draft(request: AgentRequest) -> Reply:
    """Propose the answer from the intent's template. Input as for `support.dispatch`. Output: draft@1.

    Whether it may go out without a person is not decided here: the matrix and its gates do that.
    """
    parts = {name: require(request.input, name, dict, where="") for name in ("request", "classification")}
    intent: str = require(parts["classification"], "intent", str, where="/classification")
    _check(parts["request"], "/request", {"id": str})
    proposal = reply_to(parts["request"], intent)
    if proposal is None:
        return Abstain(f"there is no reply template for {intent}")
    return Done(output={"reply": proposal}, sources=(f"template:{proposal['parameters']['template']}",))


def _check(container: dict[str, Any], where: str, fields: dict[str, type]) -> None:
    for name, kind in fields.items():
        require(container, name, kind, where=where)


def _percent(chance: float) -> int:
    """Rounded down, so that `confidence_pct >= 100 * t` and `confidence >= t` agree for a t of whole percent."""
    return math.floor(chance * 100)
