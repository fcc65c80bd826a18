"""A small workflow with everything it names, as documents; tests bend one thing and look what lint says."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from aegis.core.kinds import Change, Key, Overlay

Json = Any
HEAD = {"apiVersion": "aegis/v1"}


class Documents(Overlay):
    """An overlay over nothing but these documents: no database."""

    def get(self, kind: str, name: str) -> Json | None:
        return self.changes.get(Key(kind, name))

    def names(self, kind: str) -> list[str]:
        return sorted(key.name for key, document in self.changes.items() if key.kind == kind and document is not None)


def document(kind: str, name: str, spec: Json, **metadata: Json) -> Json:
    return {**HEAD, "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}


def closed(**properties: Json) -> Json:
    return {"type": "object", "additionalProperties": False, "properties": properties, "required": sorted(properties)}


def proposal(capability: str = "invoice.update", type_: str = "invoice") -> Json:
    return closed(
        capability={"const": capability},
        resource=closed(type={"const": type_}, id={"type": "string"}),
        parameters={"type": "object"},
    )


def invoice_flow() -> Json:
    """extract (agent) -> triage (route) -> sign-off (gate) or straight -> apply (act) -> tell (set) -> done."""
    return document(
        "Workflow",
        "invoice-flow",
        {
            "input": "invoice@1",
            "business_key": "input.id",
            "priority": "input.amount > 1000 ? 1 : 3",
            "success": "steps.apply.output.version >= 1",
            "fallback": {"queue": "desk"},
            "steps": [
                {
                    "id": "extract",
                    "agent": "reader",
                    "output": "change@1",
                    "input": {"text": "input.text"},
                    "confidence_below": {"value": 0.5, "queue": "desk"},
                    "timeout": "30s",
                    "retry": {"attempts": 3, "backoff": "1s", "factor": 2, "cap": "1m"},
                },
                {
                    "id": "triage",
                    "route": "risk",
                    "facts": {"amount": "input.amount", "kind": "steps.extract.output.kind"},
                    "cases": {"low": "apply", "high": "sign-off", "unknown": {"queue": "desk"}},
                },
                {"id": "sign-off", "gate": "two-eyes", "proposal": "steps.extract.output.change"},
                {"id": "apply", "act": "steps.extract.output.change", "requires": ["extract"]},
                {"id": "tell", "set": {"who": "input.id"}},
                {"id": "done", "finish": "changed"},
            ],
        },
        owner="Finance",
        title="Invoice flow",
    )


def surroundings() -> dict[Key, Json]:
    documents = [
        document(
            "Contract",
            "invoice@1",
            {"schema": closed(id={"type": "string"}, text={"type": "string"}, amount={"type": "integer"})},
        ),
        document("Contract", "change@1", {"schema": closed(kind={"enum": ["typo", "price"]}, change=proposal())}),
        document(
            "RoutingTable",
            "risk",
            {
                "inputs": {"amount": "int", "kind": "string"},
                "outputs": {"queue": "string"},
                "rules": [
                    {"id": "small", "when": "amount < 100", "then": {"case": "low", "queue": "a"}},
                    {"id": "price", "when": 'kind == "price"', "then": {"case": "high", "queue": "b"}},
                ],
                "default": {"case": "unknown", "queue": "b"},
                "tests": [{"name": "small", "given": {"amount": 1, "kind": "typo"}, "expect": {"case": "low"}}],
            },
        ),
        document("Agent", "reader", {"owner": "ada", "roles": ["clerk"], "connector": {"python": "reader"}}),
        document("Role", "clerk", {"grants": [{"capability": "invoice.update", "effect": "gate", "policy": "two-eyes"}]}),
        document(
            "Capability",
            "invoice.update",
            {
                "resource": "invoice",
                "risk": "high",
                "safety": "idempotent",
                "handler": "record.patch",
                "parameters": {"type": "object", "additionalProperties": True},
            },
        ),
        document(
            "ApprovalPolicy",
            "two-eyes",
            {"stages": [{"groups": ["Finance leads"], "quorum": 1}], "deadline": "4h", "reason": "always"},
        ),
        document("ReviewQueue", "desk", {"groups": ["Finance"], "service_time": "4h", "owner": "Finance"}),
    ]
    return {Key(one["kind"], one["metadata"]["name"]): one for one in documents}


def bent(bend: Callable[[Json, dict[str, Json]], None]) -> tuple[Json, Documents]:
    """The workflow and its overlay after `bend(workflow, documents)`; documents are by "Kind/name"."""
    workflow = invoice_flow()
    around = {str(key): copy.deepcopy(value) for key, value in surroundings().items()}
    bend(workflow, around)
    keys = {Key(*name.split("/", 1)): value for name, value in around.items()}
    return workflow, Documents(keys)


def steps_of(workflow: Json) -> Mapping[str, Json]:
    return {step["id"]: step for step in workflow["spec"]["steps"]}


def as_change(workflow: Json, *, old: Json | None = None) -> Change:
    return Change(Key("Workflow", workflow["metadata"]["name"]), old, workflow)
