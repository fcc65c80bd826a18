"""Every governed kind with its words, in the order of the navigation."""

from __future__ import annotations

from aegis.core.canonical import Json
from aegis.portal.governed import overviews
from aegis.portal.governed.kinds import KindPages, register
from approvals.models import ApprovalPolicy
from orchestration.agents.models import Agent
from orchestration.authority.models import Capability, FloorLock, Role
from orchestration.contracts.models import Contract
from orchestration.engine.models import ReviewQueue
from orchestration.routing.models import RoutingTable
from orchestration.workflows.models import Workflow


def _document(spec: Json, name: str = "new-name") -> Json:
    return {"metadata": {"name": name, "title": ""}, "spec": spec}


AGENT = register(
    KindPages(
        "Agent", Agent, "agent", "agents", "Agents", "bot", "Principals beside people: they propose, AEGIS decides",
        overviews.agent, _document({"owner": "", "roles": [], "connector": {"python": ""}}),
    )
)  # fmt: skip
WORKFLOW = register(
    KindPages(
        "Workflow", Workflow, "workflow", "workflows", "Workflows", "flow", "Applying a definition publishes its next version",
        overviews.workflow, _document({"input": "", "business_key": "", "fallback": {"queue": ""}, "steps": []}),
    )
)  # fmt: skip
TABLE = register(
    KindPages(
        "RoutingTable", RoutingTable, "routing table", "routing tables", "Routing tables", "table",
        "Deterministic rules; the first that is true wins", overviews.table,
        _document({"inputs": {}, "outputs": {}, "rules": [], "default": {"case": ""}, "tests": []}),
    )
)  # fmt: skip
POLICY = register(
    KindPages(
        "ApprovalPolicy", ApprovalPolicy, "policy", "policies", "Policies", "policy", "Who must say yes, how many, until when",
        overviews.policy, _document({"stages": [{"groups": [], "quorum": 1}], "deadline": "24h"}),
    )
)  # fmt: skip
CONTRACT = register(
    KindPages(
        "Contract", Contract, "contract", "contracts", "Contracts", "contract", "What a message must look like at a handoff",
        overviews.contract, _document({"schema": {"type": "object", "additionalProperties": False, "properties": {}}}, "message@1"),
        successor="New version",
    )
)  # fmt: skip
CAPABILITY = register(
    KindPages(
        "Capability", Capability, "capability", "capabilities", "Capabilities", "effect", "Named actions on a type of resource",
        overviews.capability, _document({"resource": "", "risk": "medium", "safety": "keyed", "handler": "", "parameters": {"type": "object"}}),
    )
)  # fmt: skip
ROLE = register(
    KindPages(
        "Role", Role, "role", "roles", "Roles", "key", "Columns of the access matrix, for agents and for people",
        overviews.role, _document({"people": False, "grants": []}),
    )
)  # fmt: skip
LOCK = register(
    KindPages(
        "FloorLock", FloorLock, "floor lock", "floor locks", "Floor locks", "lock", "Floors that no role or superuser removes",
        overviews.lock, _document({"capability": "", "policy": "", "kind": "business", "basis": "", "owner": ""}),
        successor="End this lock", is_ended_by_another=True,
    )
)  # fmt: skip
QUEUE = register(
    KindPages(
        "ReviewQueue", ReviewQueue, "review queue", "review queues", "Queues", "queue", "Who works on what a run could not finish",
        overviews.queue, _document({"groups": [], "service_time": "4h", "owner": ""}),
    )
)  # fmt: skip
