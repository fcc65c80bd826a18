"""Every model of the app, gathered for Django; each lives in its room."""

from orchestration.agents.models import Agent
from orchestration.authority.models import Capability, FloorLock, MatrixVersion, Role
from orchestration.contracts.models import Contract
from orchestration.engine.guards.models import Breaker, Counter, Halt, HeldRun, Slot
from orchestration.engine.models import InboxItem, ReviewItem, ReviewQueue, Run, SubmittedBatch
from orchestration.records.models import Record, RecordVersion
from orchestration.routing.models import RoutingTable
from orchestration.workflows.models import Workflow, WorkflowRelease

__all__ = [
    "Agent",
    "Breaker",
    "Capability",
    "Contract",
    "Counter",
    "FloorLock",
    "Halt",
    "HeldRun",
    "InboxItem",
    "MatrixVersion",
    "Record",
    "RecordVersion",
    "ReviewItem",
    "ReviewQueue",
    "Role",
    "RoutingTable",
    "Run",
    "Slot",
    "SubmittedBatch",
    "Workflow",
    "WorkflowRelease",
]
