"""What holds runs back, as rows: halts, breakers, counters, slots, and the queue of the held. Written by `guards` alone."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q


class Halt(models.Model):
    """A person's stop. Read by every turn that has an intent; placing and resuming raise the authority epoch.

    Its stream is `halt:<scope>[:<target>]`: one history per target, however often it is halted.
    """

    class Scope(models.TextChoices):
        AGENT = "agent", "agent"
        WORKFLOW = "workflow", "workflow"
        EVERYTHING = "everything", "everything"

    class Status(models.TextChoices):
        STANDING = "standing", "halted"
        RESUMING = "resuming", "resuming"
        LIFTED = "lifted", "resumed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    scope = models.CharField(max_length=12, choices=Scope)
    target = models.CharField(max_length=36, blank=True)  # id of the agent or workflow; "" for everything
    name = models.CharField(max_length=80, blank=True)  # its name when it was halted
    status = models.CharField(max_length=12, choices=Status, default=Status.STANDING)
    placed_at = models.DateTimeField()
    placed_by = models.CharField(max_length=45)  # Actor.key
    place = models.CharField(max_length=120)  # "<stream>/<seq>" of the event that carries the reason
    resumed_at = models.DateTimeField(null=True)
    resumed_by = models.CharField(max_length=45, blank=True)
    pace = models.PositiveIntegerField(default=0)  # runs woken per second while resuming
    released = models.PositiveIntegerField(default=0)  # runs woken since it was resumed
    released_at = models.DateTimeField(null=True)  # the last stage
    lifted_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["scope", "target"], condition=~Q(status="lifted"), name="halt_once_per_target"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["placed_at"], condition=~Q(status="lifted"), name="halt_standing"),  # guards.looking
        ]

    @property
    def stream(self) -> str:
        return f"halt:{self.scope}:{self.target}" if self.target else f"halt:{self.scope}"


class Breaker(models.Model):
    """The circuit breaker of one agent or capability. No row = closed, and nothing ever failed: a success writes none."""

    class Phase(models.TextChoices):
        CLOSED = "closed", "closed"
        OPEN = "open", "open"
        HALF_OPEN = "half_open", "half-open"

    key = models.CharField(max_length=120, primary_key=True)  # "agent:<name>", "capability:<name>"
    target = models.CharField(max_length=36, blank=True)  # id of the agent or capability: whose rights govern it
    phase = models.CharField(max_length=12, choices=Phase, default=Phase.CLOSED)
    failures = models.TextField(default="[]")  # canonical JSON: the failures in a row that still count
    openings = models.PositiveIntegerField(default=0)  # in a row, without a success between them
    until = models.DateTimeField(null=True)  # when a probe may be tried; null while open: when somebody closes it
    probe = models.UUIDField(null=True)  # the run that probes
    probe_until = models.DateTimeField(null=True)  # after that its worker counts as dead
    is_stirred = models.BooleanField(default=False)  # anything but closed without failures
    changed_at = models.DateTimeField()
    released_at = models.DateTimeField(null=True)  # the last stage of waking what it held

    class Meta:
        default_permissions = ()
        indexes: ClassVar = [
            models.Index(fields=["key"], condition=Q(is_stirred=True), name="breaker_stirred"),  # guards.looking
        ]

    @property
    def stream(self) -> str:
        return f"breaker:{self.key}"


class Counter(models.Model):
    """What an agent or capability with declared limits used lately, and the lock of a limit of grants ("limit:..."). Locked by
    the commit that uses it."""

    key = models.CharField(max_length=120, primary_key=True)
    starts = models.TextField(default="{}")  # rates.Log: for `rate`
    calls = models.TextField(default="{}")  # rates.Log: for `retries`
    retries = models.TextField(default="{}")  # rates.Log: for `retries`

    class Meta:
        default_permissions = ()


class LimitUse(models.Model):
    """What one effect, or one reply, counts for against one limit of a grant. Written under the lock of the `Counter`."""

    counter = models.CharField(max_length=120)
    effect = models.CharField(max_length=160)  # its key; of a reply "<run>/<step>/<visit>/<attempt>"
    at = models.DateTimeField()
    amount = models.BigIntegerField()

    class Meta:
        default_permissions = ()
        constraints: ClassVar = [models.UniqueConstraint(fields=["counter", "effect"], name="limit_use_once")]
        indexes: ClassVar = [
            models.Index(fields=["counter", "at"], name="limit_use_lately"),  # guards.spending.used
            models.Index(fields=["effect"], name="limit_use_effect"),  # guards.spending.counters_of
        ]


class Slot(models.Model):
    """A run's place among the calls under way of something with a `concurrency`. It counts while the run is leased and stands
    at that step, so the slot of a dead worker is free as soon as its lease is over, and nobody has to give one back."""

    run = models.OneToOneField("orchestration.Run", primary_key=True, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=120)
    step = models.CharField(max_length=64)

    class Meta:
        default_permissions = ()
        indexes: ClassVar = [models.Index(fields=["key"], name="slot_key")]  # guards.counting


class HeldRun(models.Model):
    """A run that is held, in the queue of what holds it. There is a row exactly while the run's status is `held`."""

    run = models.OneToOneField("orchestration.Run", primary_key=True, on_delete=models.CASCADE, related_name="+")
    guard = models.CharField(max_length=130)  # "<code>:<by>" of the event `step.held`
    priority = models.PositiveSmallIntegerField()
    submitted_at = models.DateTimeField()
    since = models.DateTimeField()
    until = models.DateTimeField(null=True)  # when it looks again by itself; null: it is woken
    woken_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        indexes: ClassVar = [
            # guards.waking: the most urgent, then the oldest, of one guard
            models.Index(fields=["guard", "priority", "submitted_at", "run"], name="held_queue"),
        ]
