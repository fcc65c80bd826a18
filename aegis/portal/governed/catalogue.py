"""Every governed kind with its words, in the order of the navigation."""

from __future__ import annotations

from aegis.core.canonical import Json
from aegis.portal.governed import advice, overviews, tables, workflows
from aegis.portal.governed.kinds import KindPages, register
from approvals.alerts.models import Alert
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
        kind="Agent",
        model=Agent,
        singular="agent",
        plural="agents",
        plural_title="Agents",
        icon="bot",
        intro="Principals beside people: they propose, AEGIS decides",
        overview=overviews.agent,
        skeleton=_document({"owner": "", "roles": [], "connector": {"python": ""}}),
    )
)
WORKFLOW = register(
    KindPages(
        kind="Workflow",
        model=Workflow,
        singular="workflow",
        plural="workflows",
        plural_title="Workflows",
        icon="flow",
        intro="Applying a definition publishes its next version",
        overview=overviews.workflow,
        beside=workflows.beside,
        beside_template="governed/_workflow_beside.html",
        more_pages={
            "try": ("<uuid:pk>/try/", workflows.try_page),
            "compare": ("<uuid:pk>/compare/", workflows.compare_page),
            "map": ("<uuid:pk>/map.mmd", workflows.map_text),
        },
        tabs=(("try", "play", "Try"),),
        tab_rights={"try": "start"},
        skeleton=_document({"input": "", "business_key": "", "fallback": {"queue": ""}, "steps": []}),
    )
)
TABLE = register(
    KindPages(
        kind="RoutingTable",
        model=RoutingTable,
        singular="routing table",
        plural="routing tables",
        plural_title="Routing tables",
        icon="table",
        intro="Deterministic rules, tested and analysed before they go live",
        more_pages={
            "grid": ("<uuid:pk>/grid/", tables.grid_page),
            "csv": ("<uuid:pk>/rows.csv", tables.csv_page),
        },
        tabs=(("grid", "table", "Grid"),),
        tab_rights={"grid": "edit"},
        overview=overviews.table,
        skeleton=_document({"inputs": {}, "outputs": {}, "rules": [], "default": {"case": ""}, "tests": []}),
    )
)
POLICY = register(
    KindPages(
        kind="ApprovalPolicy",
        model=ApprovalPolicy,
        singular="policy",
        plural="policies",
        plural_title="Policies",
        icon="policy",
        intro="Who must say yes, how many, until when",
        overview=overviews.policy,
        more_pages={"advice": ("<uuid:pk>/advice/", advice.page)},
        tabs=(("advice", "chart", "Advice"),),
        skeleton=_document({"stages": [{"groups": [], "quorum": 1}], "deadline": "24h"}),
    )
)
CONTRACT = register(
    KindPages(
        kind="Contract",
        model=Contract,
        singular="contract",
        plural="contracts",
        plural_title="Contracts",
        icon="contract",
        intro="What a message must look like at a handoff",
        overview=overviews.contract,
        skeleton=_document({"schema": {"type": "object", "additionalProperties": False, "properties": {}}}, "message@1"),
        successor="New version",
    )
)
CAPABILITY = register(
    KindPages(
        kind="Capability",
        model=Capability,
        singular="capability",
        plural="capabilities",
        plural_title="Capabilities",
        icon="effect",
        intro="Named actions on a type of resource",
        overview=overviews.capability,
        skeleton=_document(
            {
                "resource": "",
                "risk": "medium",
                "safety": "keyed",
                "handler": "",
                "parameters": {"type": "object", "additionalProperties": False},
            }
        ),
    )
)
ROLE = register(
    KindPages(
        kind="Role",
        model=Role,
        singular="role",
        plural="roles",
        plural_title="Roles",
        icon="key",
        intro="Columns of the access matrix, for agents and for people",
        overview=overviews.role,
        skeleton=_document({"people": False, "grants": []}),
    )
)
LOCK = register(
    KindPages(
        kind="FloorLock",
        model=FloorLock,
        singular="floor lock",
        plural="floor locks",
        plural_title="Floor locks",
        icon="lock",
        intro="Floors that no role or superuser removes",
        overview=overviews.lock,
        skeleton=_document({"capability": "", "policy": "", "kind": "business", "basis": "", "owner": ""}),
        successor="End this lock",
        is_ended_by_another=True,
    )
)
QUEUE = register(
    KindPages(
        kind="ReviewQueue",
        model=ReviewQueue,
        singular="review queue",
        plural="review queues",
        plural_title="Queues",
        icon="queue",
        intro="Who works on what a run could not finish",
        overview=overviews.queue,
        skeleton=_document({"groups": [], "service_time": "4h", "owner": ""}),
    )
)
ALERT = register(
    KindPages(
        kind="Alert",
        model=Alert,
        singular="alert",
        plural="alerts",
        plural_title="Alert rules",
        icon="bell",
        intro="What is odd about the figures, or stands that should not, and who hears of it",
        overview=overviews.alert,
        skeleton=_document({"anomaly": {"count": {"measure": "runs"}, "direction": "both"}}),
    )
)
