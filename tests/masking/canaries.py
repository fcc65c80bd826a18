"""A house whose contracts hide fields, the values hidden there, and how to find one in a text."""

from __future__ import annotations

from typing import Any

from orchestration.engine.models import ReviewItem, Run
from tests.engine import house

CANARY = "canary"
IBAN, NAME, NOTE = (
    "DE44CANARY5001050",
    "Ottokar Canarius",
    "Has a canary called Pipistrello.\nAsked twice. Wants a canary refund now",
)
SPACED = "DE44 CANA RY50 0105 0"
SPELLINGS = (CANARY, SPACED.casefold(), "canarius", "ottokar", "pipistrello")


def fields(**more: Any) -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "iban": {"$ref": "#/$defs/secret"},
        "person": {"type": "object", "properties": {"name": {**SECRET, **text}}},
        **more,
    }


SECRET = {"x-aegis-sensitive": "customer"}


def schema(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    secret = {"type": "string", **SECRET}
    return {"type": "object", "additionalProperties": False, "properties": properties, "$defs": {"secret": secret}, **more}


TEXT = {"type": "string"}
CLAIM = schema(fields(id=TEXT, note={**TEXT, **SECRET}, plain=TEXT), required=["id"])
ANSWER = schema(fields(summary=TEXT, note={"type": "object"}), required=["summary"])
PAID = schema({"iban": {**TEXT, **SECRET}, "plain": TEXT}, required=["iban"])
PARAMETERS = schema({"text": TEXT, "iban": {**TEXT, **SECRET}})
STEPS = [
    {"id": "made", "set": {"line": "'to ' + input.iban", "chars": "size(input.iban)", "id": "input.id"}},
    {"id": "pick", "route": "where", "facts": {"whose": "input.iban"}, "cases": {"go": "write", "stop": {"queue": "people"}}},
    {"id": "write", "agent": "clerk", "output": "answer@1", "input": {"about": "input", "who": "input.person.name"},
     "confidence_below": {"value": 0.5, "queue": "people"}, "retry": {"attempts": 1}},
    {"id": "keep", "act": "steps.write.output.note"},
    {"id": "judge", "gate": "leads", "proposal": "steps.write.output"},
]  # fmt: skip
#: A second workflow, which waits for a message: what it hears hides a field too.
HEARING = {
    "input": "request@1", "business_key": "input.id", "fallback": {"queue": "people"},
    "steps": [{"id": "hear", "wait": {"message": "payment", "key": "input.id", "output": "paid@1", "within": "2d"}},
              {"id": "judge", "gate": "leads", "proposal": "{'said': steps.hear.output.iban, 'id': input.id}"}],
}  # fmt: skip
TABLE = {
    "inputs": {"whose": "string"},
    "outputs": {"why": "string"},
    "rules": [{"id": "all", "when": "whose != ''", "then": {"case": "go", "why": "ok"}}],
    "default": {"case": "stop", "why": "none"},
    "tests": [{"name": "all", "given": {"whose": "x"}, "expect": {"case": "go"}}],
}


def document_of(kind: str, name: str, spec: Any, documents: list[dict[str, Any]]) -> None:
    documents[:] = [one for one in documents if (one["kind"], one["metadata"]["name"]) != (kind, name)]
    documents.append(house.document(kind, name, spec))


def claim(name: str) -> dict[str, Any]:
    return {"id": name, "iban": IBAN, "person": {"name": NAME}, "note": NOTE, "plain": "Berlin"}


def answered(name: str, **changes: Any) -> dict[str, Any]:
    note = {
        "capability": "note.write",
        "resource": {"type": "note", "id": name.upper()},
        "parameters": {"text": f"pay {SPACED}", "iban": IBAN},
        "justification": f"{NAME} asked for it",
    }
    return {"iban": IBAN, "person": {"name": NAME}, "summary": f"{NAME} wants {IBAN.lower()} paid", "note": note, **changes}


def approve(run: Run, person: Any) -> None:
    from approvals import gates, questions

    request = house.request_of(run)
    digest = questions.get(request.question).live(request.subject).digest
    gates.decide(request.pk, person=person, auth="test", verdict="approve", reason=f"{NAME} is known", seen_digest=digest)
    house.drive(run)


def complete(run: Run, person: Any) -> None:
    from orchestration.engine import reviews

    item = ReviewItem.objects.get(run=run)
    output = answered("abstained", summary=f"wrote {IBAN}")
    reviews.complete(item.pk, person=person, auth="test", reason=f"as {NAME} said", output=output)
    house.drive(run)


def leaks(text: str) -> list[str]:
    low = " ".join(text.casefold().split())
    return [low[max(at - 60, 0) : at + 40] for word in SPELLINGS if (at := low.find(word)) >= 0]
