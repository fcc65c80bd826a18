"""Every model of the app, gathered for Django; each lives in its room."""

from orchestration.agents.models import Agent, AgentCredential
from orchestration.authority.models import Capability, FloorLock, LapseTry, MatrixVersion, Role, RoleReview
from orchestration.contracts.models import Contract
from orchestration.engine.guards.models import Breaker, Counter, Halt, HeldRun, LimitUse, Slot
from orchestration.engine.messages.models import MessageWait, SentMessage
from orchestration.engine.models import InboxItem, ReviewItem, ReviewQueue, Run, SubmittedBatch
from orchestration.engine.resources.models import Resource, ResourceWait
from orchestration.records.models import Record, RecordVersion
from orchestration.routing.models import RoutingTable
from orchestration.workflows.models import Workflow, WorkflowRelease

__all__ = [
    "Agent",
    "AgentCredential",
    "Breaker",
    "Capability",
    "Contract",
    "Counter",
    "FloorLock",
    "Halt",
    "HeldRun",
    "InboxItem",
    "LapseTry",
    "LimitUse",
    "MatrixVersion",
    "MessageWait",
    "Record",
    "RecordVersion",
    "Resource",
    "ResourceWait",
    "ReviewItem",
    "ReviewQueue",
    "Role",
    "RoleReview",
    "RoutingTable",
    "Run",
    "SentMessage",
    "Slot",
    "SubmittedBatch",
    "Workflow",
    "WorkflowRelease",
]
