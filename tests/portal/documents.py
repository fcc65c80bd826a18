"""A small configuration with one document of every kind, for the pages to show."""

from __future__ import annotations

from typing import Any

from aegis.core.kinds import Key, document_key
from orchestration.agents.protocol import AgentRequest, Done, python_agent


@python_agent("portal-test-agent")
def _agent(request: AgentRequest) -> Done:
    return Done(output={"text": "ok"})


def document(kind: str, name: str, spec: Any, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "aegis/v1", "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}


_TEXT = {"type": "object", "additionalProperties": False, "required": ["text"], "properties": {"text": {"type": "string"}}}
_TICKET = {
    "type": "object",
    "additionalProperties": False,
    "required": ["id", "text"],
    "properties": {"id": {"type": "string", "description": "Ticket number"}, "text": {"type": "string"}},
}
_AMOUNT = {
    "type": "object",
    "additionalProperties": False,
    "required": ["amount_cents"],
    "properties": {"amount_cents": {"type": "integer", "minimum": 0}},
}


def everything(owner: str = "ada") -> list[dict[str, Any]]:
    return [
        document("Contract", "ticket@1", {"schema": _TICKET}, title="Ticket"),
        document("Contract", "reply@1", {"schema": _TEXT}),
        document(
            "RoutingTable",
            "desk",
            {
                "inputs": {"urgency": "string"},
                "outputs": {},
                "rules": [{"id": "urgent", "tier": 1, "when": "urgency == 'high'", "then": {"case": "l2"}}],
                "default": {"case": "l1"},
                "tests": [
                    {"name": "high goes to L2", "given": {"urgency": "high"}, "expect": {"case": "l2"}, "rule": "urgent"}
                ],
            },
            title="Which desk",
        ),
        document("ApprovalPolicy", "lead", {"stages": [{"groups": ["Support leads"]}], "deadline": "4h"}, title="Support lead"),
        document(
            "ApprovalPolicy",
            "config-change",
            {"stages": [{"groups": ["Admins", "Support leads"], "quorum": 2}], "deadline": "7d", "reason": "always"},
            title="Guarded changes",
        ),
        _capability("ticket.read", "low"),
        _capability("ticket.reply", "medium"),
        _capability("ticket.refund", "high", _AMOUNT),
        document(
            "Role",
            "support-desk",
            {
                "grants": [
                    {"capability": "ticket.read", "effect": "allow"},
                    {"capability": "ticket.reply", "effect": "gate", "policy": "lead"},
                    {"capability": "ticket.refund", "effect": "allow", "when": "parameters.amount_cents <= 5000"},
                ]
            },
            title="Support desk",
        ),
        document("Role", "Support leads", {"people": True, "grants": [{"capability": "ticket.refund", "effect": "deny"}]}),
        document(
            "FloorLock",
            "refund-floor",
            {
                "capability": "ticket.refund",
                "policy": "lead",
                "kind": "business",
                "basis": "Finance manual, chapter 4",
                "owner": "Admins",
                "review_date": "2027-06-30",
            },
        ),
        document(
            "Agent",
            "reply-writer",
            {
                "owner": owner,
                "roles": ["support-desk"],
                "connector": {"python": "portal-test-agent"},
                "settings": {"tone": "calm"},
            },
            title="Reply writer",
        ),
        document("ReviewQueue", "intake-review", {"groups": ["Support leads"], "service_time": "4h", "owner": "Admins"}),
        document(
            "Workflow",
            "intake",
            {
                "input": "ticket@1",
                "business_key": "input.id",
                "fallback": {"queue": "intake-review"},
                "steps": [{"id": "write", "agent": "reply-writer", "output": "reply@1"}, {"id": "end", "finish": "done"}],
            },
            title="Intake",
            owner="Admins",
        ),
        document("Alert", "slow", {"threshold": {"count": {"measure": "runs"}, "above": 5}}, title="Many runs"),
    ]


def keyed(documents: list[dict[str, Any]]) -> list[tuple[Key, Any]]:
    return [(document_key(one), one) for one in documents]


def _capability(name: str, risk: str, parameters: Any = None) -> dict[str, Any]:
    spec = {
        "resource": name.split(".")[0],
        "risk": risk,
        "safety": "keyed",
        "handler": "record.patch",
        "parameters": parameters or {"type": "object", "additionalProperties": False},
    }
    return document("Capability", name, spec)
