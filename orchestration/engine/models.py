"""What runs: runs, their inbox, review queues and items. Written by the engine's verbs alone."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.contrib.auth.models import Group
from django.db import models
from django.db.models import F, Q

from aegis.identity.models import User
from approvals.models import Governed
from orchestration.engine.querysets import ReviewItemQuerySet, RunQuerySet
from orchestration.workflows.models import Workflow, WorkflowRelease


class ReviewQueue(Governed):
    """A list of work waiting for a person, with owner groups and a service time."""

    area = "queues"

    groups = models.ManyToManyField(Group, related_name="+")  # who works on it; derived from the document, like the next
    service_time = models.DurationField()  # until an item should be settled

    class Meta(Governed.Meta):
        permissions: ClassVar = [
            ("view_reviewqueue", "May see its items"),
            ("operate_reviewqueue", "May claim and complete items"),
            ("edit_reviewqueue", "May propose changes"),
        ]


class QueueSkill(models.Model):
    """A group whose people know what some items of a queue ask for. Derived from the queue's document."""

    queue = models.ForeignKey(ReviewQueue, on_delete=models.CASCADE, related_name="skills")
    name = models.CharField(max_length=80)
    group = models.ForeignKey(Group, on_delete=models.PROTECT, related_name="+")

    class Meta:
        default_permissions = ()
        constraints: ClassVar = [models.UniqueConstraint(fields=["queue", "name", "group"], name="queue_skill_once")]


class Run(models.Model):
    """One execution. After submission only the lease holder appends to its stream `run:<id>` (head: `seq`, `head`).

    `wake` is raised by others, `seen` by the holder; neither side writes the other's column, so no wake-up is lost.
    """

    class Status(models.TextChoices):
        RUNNING = "running", "running"
        WAITING_DECISION = "waiting_decision", "waiting for a decision"
        WAITING_REVIEW = "waiting_review", "waiting for a person"
        WAITING_RETRY = "waiting_retry", "waiting to retry"
        HELD = "held", "held"
        COMPLETED = "completed", "completed"
        FAILED = "failed", "failed"
        CANCELLED = "cancelled", "cancelled"
        WAITING_TIME = "waiting_time", "waiting for its time"
        WAITING_MESSAGE = "waiting_message", "waiting for a message"
        WAITING_RESOURCE = "waiting_resource", "waiting for a resource"
        ROLLED_BACK = "rolled_back", "rolled back"
        WAITING_CHILDREN = "waiting_children", "waiting for its branches"

    TERMINAL: ClassVar = (Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.ROLLED_BACK)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, related_name="runs")
    release = models.ForeignKey(WorkflowRelease, on_delete=models.PROTECT, related_name="runs")
    subject_ref = models.UUIDField(default=uuid.uuid4)  # what event lines carry instead of the business key
    business_key = models.CharField(max_length=200)  # erasable
    requester = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    idempotency_key = models.CharField(max_length=120, null=True)
    input_digest = models.CharField(max_length=64)
    priority = models.PositiveSmallIntegerField(default=3)  # tier: 1 first
    status = models.CharField(max_length=20, choices=Status, default=Status.RUNNING)
    step = models.CharField(max_length=64, blank=True)  # where it stands, for lists
    state = models.TextField()  # canonical JSON of engine.state.State; fold(events) equals it at every prefix
    seq = models.PositiveIntegerField(default=0)
    head = models.CharField(max_length=64, default="0" * 64)
    fence = models.PositiveIntegerField(default=0)
    lease_by = models.CharField(max_length=64, blank=True)  # worker process incarnation
    lease_until = models.DateTimeField(null=True)
    claims_since_commit = models.PositiveSmallIntegerField(default=0)
    wake = models.PositiveIntegerField(default=1)
    seen = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(null=True)
    submitted_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    # A branch, an item or the run of another workflow: forked by a block of its parent. Null for what was submitted.
    parent = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="children", db_index=False)
    parent_step = models.CharField(max_length=64, blank=True)
    parent_visit = models.PositiveIntegerField(default=0)
    ordinal = models.PositiveIntegerField(default=0)
    # Ids of the other workflows whose runs led to this one, with a space between: their halts hold it too. Written when it is
    # forked and never changed. Read with the run by the claim, and from open requests and items by guards.freezing.
    lineage = models.TextField(default="", db_default="", blank=True)
    # The trace that whoever submitted it brought along, or its parent's (hex); "" = it is the first of its own: see `trace_id`.
    trace = models.CharField(max_length=32, default="", db_default="", blank=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["requester", "idempotency_key"], name="run_submitted_once"),
        ]
        indexes: ClassVar = [
            # engine.lease.claim: woken, due, or abandoned; a run at rest is in none of these
            models.Index(F("workflow"), F("priority"), F("submitted_at"), name="run_woken", condition=Q(wake__gt=F("seen"))),
            models.Index(F("submitted_at"), name="run_oldest", condition=Q(wake__gt=F("seen"))),
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="run_due"),
            models.Index(fields=["lease_until"], condition=Q(lease_until__isnull=False), name="run_leased"),
            models.Index(F("workflow"), F("submitted_at").desc(), name="run_listed"),  # run list
            models.Index(fields=["business_key"], name="run_business_key"),  # search
            models.Index(  # run page; children.rows
                fields=["parent", "parent_step", "parent_visit", "ordinal"],
                condition=Q(parent__isnull=False),
                name="run_children",
            ),
            models.Index(F("ended_at").desc(), F("id"), name="run_failed", condition=Q(status="failed")),  # dead letters
            models.Index(fields=["ended_at", "id"], condition=Q(ended_at__isnull=False), name="run_ended"),  # erasing.retention
        ]

    @property
    def label(self) -> str:
        return f"RUN-{self.id.hex[:6].upper()}"

    @property
    def stream(self) -> str:
        return f"run:{self.id}"

    @property
    def trace_id(self) -> str:
        """Of the trace that its events, logs and calls belong to: 32 hex digits."""
        return self.trace or self.id.hex


class SubmittedBatch(models.Model):
    """The Idempotency-Key of a batch as a whole, and what it stood for. Its runs carry keys of their own."""

    requester = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    idempotency_key = models.CharField(max_length=120)
    digest = models.CharField(max_length=64)  # over workflow, mode, and digest and key of each item
    submitted_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["requester", "idempotency_key"], name="batch_submitted_once"),
        ]


class InboxItem(models.Model):
    """Something another party has to tell a run. `ordinal` is the value its writer raised `Run.wake` to, in one transaction."""

    class Kind(models.TextChoices):
        GATE_SETTLED = "gate_settled"  # ref: request id
        REVIEW_SETTLED = "review_settled"  # ref: review item id
        CANCEL = "cancel"
        RETRY = "retry"
        RESUMED = "resumed"  # ref: the guard that held it ("<code>:<by>")
        MESSAGE = "message"  # ref: the wait; outcome: id of the message (hex)
        RESOURCE_GRANTED = "resource_granted"  # ref: the wait
        ROLLBACK = "rollback"
        CHILD_ENDED = "child_ended"  # ref: children.telling.ref_of; outcome: its status
        RECALL = "recall"  # undo what was done here: the parent gave up

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="inbox")
    ordinal = models.PositiveIntegerField()
    kind = models.CharField(max_length=20, choices=Kind)
    ref = models.CharField(max_length=200, blank=True)
    outcome = models.CharField(max_length=32, blank=True)
    actor_kind = models.CharField(max_length=8)
    actor_ref = models.CharField(max_length=36, blank=True)
    actor_auth = models.CharField(max_length=40, blank=True)
    reason = models.TextField(blank=True)  # moved into the payload of the consuming event, then emptied
    created_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints: ClassVar = [models.UniqueConstraint(fields=["run", "ordinal"], name="inbox_ordinal")]


class ReviewItem(models.Model):
    """One work waiting for a person. Its stream is `review:<id>`."""

    class Status(models.TextChoices):
        OPEN = "open", "open"
        CLAIMED = "claimed", "claimed"
        COMPLETED = "completed", "completed"
        RETRIED = "retried", "sent back for a retry"
        CANCELLED = "cancelled", "cancelled"

    id = models.UUIDField(primary_key=True, editable=False)  # uuid5 of run, step, visit: opening twice is opening once
    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="review_items")
    queue = models.ForeignKey(ReviewQueue, on_delete=models.PROTECT, related_name="items")
    step = models.CharField(max_length=64)
    visit = models.PositiveIntegerField()
    code = models.CharField(max_length=40)  # why: review, abstained, low_confidence, contract, retries_exhausted, ...
    contract = models.CharField(max_length=80, blank=True)  # what completing it must satisfy; the form is made from it
    choices = models.JSONField(default=list)  # cases to choose from, when a route sent it here
    skill = models.CharField(max_length=80, blank=True, default="", db_default="")  # of who may work on it; "" = anybody there
    status = models.CharField(max_length=12, choices=Status, default=Status.OPEN)
    claimed_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    opened_at = models.DateTimeField()
    due_at = models.DateTimeField()  # the queue's service time; moved on by the time it was frozen
    frozen_at = models.DateTimeField(null=True)  # a halt stopped its clock
    settled_at = models.DateTimeField(null=True)
    seq = models.PositiveIntegerField(default=0)
    head = models.CharField(max_length=64, default="0" * 64)

    objects = ReviewItemQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        indexes: ClassVar = [
            models.Index(fields=["queue", "due_at"], condition=Q(status__in=["open", "claimed"]), name="review_open"),
            models.Index(fields=["run"], name="review_run"),
            models.Index(fields=["frozen_at"], condition=Q(frozen_at__isnull=False), name="review_frozen"),  # guards.freezing
        ]

    @property
    def label(self) -> str:
        return f"REV-{self.id.hex[:6].upper()}"

    @property
    def stream(self) -> str:
        return f"review:{self.id}"
