"""Messages to runs, and the runs that wait for one. Written by the verbs of this package and by the commit alone."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q

from aegis.identity.models import User


class SentMessage(models.Model):
    """Something sent to whichever run waits for it. Its stream is `message:<id>`; the payload is that of its first event.

    It goes from `kept` to one of the others once, by compare-and-set: so it is delivered once at most.
    """

    class Status(models.TextChoices):
        KEPT = "kept", "kept"
        DELIVERED = "delivered", "delivered"
        EXPIRED = "expired", "expired"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workflow = models.ForeignKey("orchestration.Workflow", null=True, on_delete=models.PROTECT, related_name="+")  # null: any
    name = models.CharField(max_length=61)
    key = models.CharField(max_length=200)  # erasable
    sender = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    auth = models.CharField(max_length=40)  # how the sender had proved themselves
    idempotency_key = models.CharField(max_length=120, null=True)
    digest = models.CharField(max_length=64)  # over workflow, name, key and payload: what the idempotency key stands for
    status = models.CharField(max_length=12, choices=Status, default=Status.KEPT)
    run = models.ForeignKey("orchestration.Run", null=True, on_delete=models.PROTECT, related_name="+")
    sent_at = models.DateTimeField()
    ends_at = models.DateTimeField()  # nobody waited for it until then
    settled_at = models.DateTimeField(null=True)
    seq = models.PositiveIntegerField(default=0)
    head = models.CharField(max_length=64, default="0" * 64)

    class Meta:
        default_permissions = ()
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["sender", "idempotency_key"], name="message_sent_once"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["name", "key", "sent_at"], condition=Q(status="kept"), name="message_kept"),  # delivery
            models.Index(fields=["ends_at"], condition=Q(status="kept"), name="message_ends"),  # delivery.expire_due
        ]

    @property
    def stream(self) -> str:
        return f"message:{self.id}"

    @property
    def place(self) -> str:
        """Of its payload, as states of runs write it."""
        return f"{self.stream}/1"


class MessageWait(models.Model):
    """A run that waits for a message. Whoever delivers one takes the row away, under the run's lock."""

    run = models.OneToOneField("orchestration.Run", primary_key=True, on_delete=models.CASCADE, related_name="+")
    workflow = models.ForeignKey("orchestration.Workflow", on_delete=models.CASCADE, related_name="+")
    wait = models.UUIDField()  # `State.awaits`
    step = models.CharField(max_length=64)
    name = models.CharField(max_length=61)
    key = models.CharField(max_length=200)
    since = models.DateTimeField()

    class Meta:
        default_permissions = ()
        indexes: ClassVar = [models.Index(fields=["name", "key", "since"], name="message_wait")]  # delivery
