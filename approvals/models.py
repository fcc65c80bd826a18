"""Policies, requests, decisions, change sets, frozen document versions: fields, constraints, indexes. Verbs hold the rules."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.contrib.auth.models import Group
from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords

from aegis.identity.models import User
from approvals.querysets import ChangeSetQuerySet, GovernedQuerySet, RequestQuerySet


class Governed(models.Model):
    """Base of every configuration row that change control writes. `document` is the manifest as last applied, canonical."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=80, unique=True)
    title = models.CharField(max_length=120, blank=True)
    document = models.TextField()
    digest = models.CharField(max_length=64)  # hex sha256 of `document`
    version = models.PositiveIntegerField(default=1)  # number of the DocumentVersion that stands
    updated_at = models.DateTimeField()

    history = HistoricalRecords(inherit=True)
    objects = GovernedQuerySet.as_manager()

    class Meta:
        abstract = True
        default_permissions = ()

    def __str__(self) -> str:
        return self.title or self.name


class DocumentVersion(models.Model):
    """A frozen copy of a document as applied: what pins and verdicts refer to by digest. Append-only."""

    kind = models.CharField(max_length=40)
    name = models.CharField(max_length=80)
    number = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    document = models.TextField()
    change_set = models.ForeignKey("ChangeSet", on_delete=models.PROTECT, related_name="versions")
    created_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints: ClassVar = [models.UniqueConstraint(fields=["kind", "name", "number"], name="document_version_number")]
        indexes: ClassVar = [
            models.Index(fields=["kind", "name", "digest"], name="document_version_digest"),  # engine: load pins by digest
        ]


class ChangeSet(models.Model):
    """New documents on their way through the one door for configuration."""

    class Status(models.TextChoices):
        PROPOSED = "proposed", "waiting for approval"
        APPLIED = "applied", "applied"
        REJECTED = "rejected", "rejected"
        STALE = "stale", "stale: its base moved"
        WITHDRAWN = "withdrawn", "withdrawn"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    author = models.ForeignKey(
        User, null=True, on_delete=models.PROTECT, related_name="+"
    )  # null: bootstrap, or of `changes.ask`
    status = models.CharField(max_length=12, choices=Status)
    documents = models.TextField()  # canonical JSON: [{kind, name, base_digest|null, document|null}]
    created_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)

    objects = ChangeSetQuerySet.as_manager()

    class Meta:
        default_permissions = ()


class ApprovalPolicy(Governed):
    """Who must say yes: ordered stages of groups with a quorum, a deadline, an optional fast path."""

    area = "approvals"

    groups = models.ManyToManyField(Group, related_name="+")  # derived from the stages; read by RequestQuerySet.visible_to

    class Meta(Governed.Meta):
        permissions: ClassVar = [("view_approvalpolicy", "May read"), ("edit_approvalpolicy", "May propose changes")]


class ApprovalRequest(models.Model):
    """One open question. Its stream is `request:<id>`; `seq` and `head` are that stream's head."""

    class Status(models.TextChoices):
        OPEN = "open", "open"
        FROZEN = "frozen", "frozen"
        APPROVED = "approved", "approved"
        REJECTED = "rejected", "rejected"
        CHANGES_REQUESTED = "changes_requested", "changes requested"
        EXPIRED = "expired", "expired"
        WITHDRAWN = "withdrawn", "withdrawn"
        CANCELLED = "cancelled", "cancelled"

    class Risk(models.TextChoices):
        LOW = "low", "Low"
        MEDIUM = "medium", "Medium"
        HIGH = "high", "High"

    id = models.UUIDField(primary_key=True, editable=False)  # made by whoever asks, so asking twice is asking once
    question = models.CharField(max_length=16)  # which Question port answers: effect, step, change
    subject = models.CharField(max_length=200)  # that port's reference ("<run>/<step>/<visit>/<request>", change set id)
    run_id = models.UUIDField(null=True)
    scope = models.CharField(max_length=16)
    scope_id = models.CharField(max_length=36, blank=True)
    policy = models.ForeignKey(ApprovalPolicy, on_delete=models.PROTECT, related_name="requests")
    policy_digest = models.CharField(max_length=64)  # the version whose rules bind this request
    digest = models.CharField(max_length=64)  # what a decision signs (DESIGN promise 7)
    risk = models.CharField(max_length=8, choices=Risk)
    capability = models.CharField(max_length=120, blank=True)
    agent = models.CharField(max_length=80, blank=True)
    requester = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    # Who could not decide when it opened; read by RequestQuerySet.awaiting (lists). `gates.decide` asks the question itself.
    bound = models.ManyToManyField(User, related_name="+")
    status = models.CharField(max_length=20, choices=Status, default=Status.OPEN)
    stage = models.PositiveSmallIntegerField(default=0)  # index of the stage now voting
    stage_since = models.DateTimeField()  # when that stage began to be asked; moved on by the time it was frozen
    escalated = models.PositiveSmallIntegerField(default=0)  # how many escalations of the stage are in force
    reminded = models.PositiveSmallIntegerField(default=0)  # how many reminders of the policy are done
    next_at = models.DateTimeField(null=True)  # next reminder or escalation (approvals.timers)
    claimed_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    claimed_at = models.DateTimeField(null=True)
    opened_at = models.DateTimeField()
    deadline = models.DateTimeField()  # moved on by the time it was frozen
    frozen_at = models.DateTimeField(null=True)  # a halt stopped its clock; null when it runs
    settled_at = models.DateTimeField(null=True)
    short_since = models.DateTimeField(null=True)  # since when too few people are left who could decide (approvals.shortage)
    revision = models.PositiveIntegerField(default=0)  # seq of the newest `request.edited` in its stream; 0: as it was proposed
    seq = models.PositiveIntegerField(default=0)
    head = models.CharField(max_length=64, default="0" * 64)

    objects = RequestQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        indexes: ClassVar = [
            models.Index(fields=["deadline"], condition=Q(status="open"), name="request_due"),  # approvals.gates.expire_due
            models.Index(fields=["next_at"], condition=Q(status="open"), name="request_next"),  # approvals.sweep.keep_due
            models.Index(F("policy"), F("deadline"), condition=Q(status="open"), name="request_open"),  # inbox
            models.Index(fields=["frozen_at"], condition=Q(status="frozen"), name="request_frozen"),  # sweep: halts that ended
            models.Index(fields=["short_since"], condition=Q(short_since__isnull=False), name="request_short"),  # home: alarms
            models.Index(fields=["run_id"], name="request_run"),  # run page; cancel withdraws them
            models.Index(F("settled_at").desc(), name="request_settled"),  # inbox, tab Done
        ]

    @property
    def label(self) -> str:
        return f"APR-{self.id.hex[:6].upper()}"

    @property
    def stream(self) -> str:
        return f"request:{self.id}"

    def place_under(self, policy_digest: str) -> tuple[int, int]:
        """Index of the stage asked and how many escalations are in force, under this version of its policy: another than the
        one that binds it asks from its first stage, for no vote counts under it (`docket.rebind`)."""
        return (self.stage, self.escalated) if policy_digest == self.policy_digest else (0, 0)


class Delegation(models.Model):
    """One person lets another vote in his place for some days. It adds nothing: both are bound by all that binds either."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    delegator = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    delegate = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    policy = models.CharField(max_length=80, blank=True)  # name; "": every policy
    capability = models.CharField(max_length=120, blank=True)  # name; "": every capability
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)  # taken back before its end: votes given under it no longer count
    created_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        indexes: ClassVar = [
            models.Index(fields=["delegate", "ends_at"], name="delegation_of_delegate"),  # approvals.delegations.standing_for
            models.Index(fields=["delegator"], name="delegation_of_delegator"),  # page: what I have delegated
        ]


class Decision(models.Model):
    """One person's vote. The reason is the payload `reason` of event `seq` in the request's stream."""

    class Verdict(models.TextChoices):
        APPROVE = "approve", "approved"
        REJECT = "reject", "rejected"
        REQUEST_CHANGES = "request_changes", "requested changes"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    request = models.ForeignKey(ApprovalRequest, on_delete=models.PROTECT, related_name="decisions")
    person = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    delegation = models.ForeignKey("Delegation", null=True, on_delete=models.PROTECT, related_name="decisions")
    verdict = models.CharField(max_length=16, choices=Verdict)
    stage = models.PositiveSmallIntegerField()
    digest = models.CharField(max_length=64)  # what the person saw and signed
    at = models.DateTimeField()
    seq = models.PositiveIntegerField()
    idempotency_key = models.CharField(max_length=120, null=True)  # under which the person may send the same vote again
    is_void = models.BooleanField(default=False)  # what was signed moved
    # The signature: the name the person had then, what the act meant, how and when the person had proved who it is.
    name = models.CharField(max_length=150, blank=True)
    meaning = models.CharField(max_length=300, blank=True)
    auth = models.CharField(max_length=40, blank=True)
    proved_at = models.DateTimeField(null=True)
    seconds_open = models.PositiveIntegerField(null=True)  # how long the page had been open; null: not decided on a page

    class Meta:
        default_permissions = ()
        constraints: ClassVar = [
            # A person counts once per request, whatever tabs or stages they use.
            models.UniqueConstraint(fields=["request", "person"], condition=Q(is_void=False), name="decision_once_per_person"),
        ]


from approvals.alerts.models import Alert, Episode, Judged, Silence  # noqa: E402, F401  (Django looks for models here)
from approvals.notices.models import Delivery, Notice, NoticePreference  # noqa: E402, F401  (Django looks for models here)
