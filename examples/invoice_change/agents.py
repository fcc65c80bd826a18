"""The agents of invoice-change. Each is a plain function; rows name them as registered here.

They compute and propose. What is changed in the ledger is an act of the workflow, asked of the access matrix by its amount.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aegis.core.errors import Fault, Invalid
from orchestration.agents.protocol import Abstain, AgentRequest, Done, Reply, python_agent

from .amounts import add_up, euros
from .orders import differences, read_order

VAT_PERCENTS: Final = (0, 7, 19)


@python_agent("invoice.assess")
def assess(request: AgentRequest) -> Reply:
    """Add up the lines and compare. Input: invoice-request@1. Output: change-assessment@1. Settings: `vat_percents`."""
    asked = _object(request.input, "request")
    if asked["currency"] != "EUR":
        return Abstain(f"amounts in {asked['currency']} cannot be compared with the thresholds, which are in EUR")
    known = tuple(request.settings.get("vat_percents", VAT_PERCENTS))
    if strange := sorted({line["vat_percent"] for line in asked["lines"]} - set(known)):
        return Abstain(f"{strange[0]} % is no rate of VAT that I know")
    totals = add_up(asked["lines"])
    if totals.total_cents != asked["to_cents"]:
        return Abstain(f"the lines add up to {euros(totals.total_cents)}, the request says {euros(asked['to_cents'])}")
    change = asked["to_cents"] - asked["from_cents"]
    return Done(
        output={
            "net_cents": totals.net_cents,
            "vat_cents": totals.vat_cents,
            "change_cents": change,
            "size_cents": abs(change),
        },
        rationale=f"{euros(asked['from_cents'])} becomes {euros(asked['to_cents'])}, a change of {euros(change)}",
        confidence=1.0,
    )


@python_agent("invoice.audit")
def audit(request: AgentRequest) -> Reply:
    """Hold a large change against the purchase order. Input: {request}. Output: audit@1.

    Raises:
        Malformed: the file of the order is damaged.
    """
    asked = _object(request.input, "request")
    number = asked.get("order", "")
    order = read_order(number) if number else None
    if order is None:
        return Abstain(f"there is no purchase order {number}" if number else "the request names no purchase order")
    found = differences(order, asked["lines"])
    if order.get("supplier") != asked["supplier"]:
        found.insert(0, f"{number} was given to {order.get('supplier')}, the invoice is from {asked['supplier']}")
    return Done(
        output={"order": number, "differences": found[:20]},
        rationale="; ".join(found) or f"agrees with {number}",
        sources=(f"order:{number}",),
    )


@python_agent("invoice.propose")
def propose(request: AgentRequest) -> Reply:
    """The three effects of a change. Input: {request, assessment, audit}; `audit` is null where none was asked for.

    Output: change-proposal@1.
    """
    asked, assessment = _object(request.input, "request"), _object(request.input, "assessment")
    found = request.input.get("audit")
    change = assessment["change_cents"]
    why = f"{euros(asked['from_cents'])} becomes {euros(asked['to_cents'])} ({euros(change)}): {asked['reason']}"[:400]
    notes = list(found["differences"]) if found else []
    amendment = {
        "from_cents": asked["from_cents"],
        "to_cents": asked["to_cents"],
        "supplier": asked["supplier"],
        "reason": asked["reason"],
        "differences": notes,
    }
    posting = {"account": asked["account"], "period": asked["period"], "amount_cents": change}
    letter = {
        "supplier": asked["supplier"],
        "text": f"Your invoice {asked['invoice']} now amounts to {euros(asked['to_cents'])}. {asked['reason']}"[:1000],
    }
    return Done(
        output={
            "amend": _proposal("invoice.amend", asked["invoice"], amendment, why),
            "post": _proposal("invoice.post", asked["invoice"], posting, why),
            "notify": _proposal("invoice.notify", asked["invoice"], letter, why),
        },
        rationale="; ".join(notes) or "nothing differs from what was ordered" if found else why,
    )


def _proposal(capability: str, invoice: str, parameters: dict[str, Any], why: str) -> dict[str, Any]:
    return {
        "capability": capability,
        "resource": {"type": "invoice", "id": invoice},
        "parameters": parameters,
        "justification": why,
    }


def _object(container: Any, key: str) -> Mapping[str, Any]:
    value = container.get(key) if isinstance(container, Mapping) else None
    if not isinstance(value, Mapping):
        raise Invalid(f"/{key} must be an object", faults=[Fault(f"/{key}", "must be an object")])
    return value
