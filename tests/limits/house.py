"""Notes that cost something, written by a clerk whose grant has limits."""

from __future__ import annotations

from typing import Any

from orchestration.agents.protocol import AgentRequest, Done
from orchestration.engine.guards.models import LimitUse
from orchestration.engine.models import Run
from tests.engine import house
from tests.guards import desk

UNIT = 1_000_000
PAID = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"text": {"type": "string"}, "amount": {"type": "number"}},
}


def documents(handler: str = "record.create", **grant: Any) -> list[dict]:
    """`note.write` with an amount; `grant` is added to the clerk's only cell."""
    docs = desk.documents(capability={"parameters": PAID, "handler": handler})
    role = next(doc for doc in docs if (doc["kind"], doc["metadata"]["name"]) == ("Role", "clerk"))
    role["spec"]["grants"][0].update(grant)
    return docs


def paying(amount: float, **more: Any) -> Any:
    """A clerk that proposes a note of its own run which costs `amount`."""

    def propose(request: AgentRequest) -> Done:
        note = {**house.NOTE, "resource": {"type": "note", "id": request.run_id}, "parameters": {"amount": amount}}
        return Done({"note": note}, confidence=0.9, **more)

    return propose


def amounts() -> list[int]:
    return sorted(LimitUse.objects.filter(counter__startswith="limit:amount").values_list("amount", flat=True))


def outcomes(*runs: Run) -> list[str]:
    return [Run.objects.get(pk=run.pk).status for run in runs]
