"""Rows of erasures, legal holds and retention. What happened is in the journal; these say what stands."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import F, Q


class Erasure(models.Model):
    """One request to empty what was recorded of some runs. Its approval request carries the same id."""

    class Status(models.TextChoices):
        ASKED = "asked", "waiting for approval"
        APPLIED = "applied", "applied"
        REJECTED = "rejected", "not approved"
        BLOCKED = "blocked", "approved, but not applied"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    key = models.CharField(max_length=200, blank=True)  # business key asked about; "" for one run, and once emptied
    runs = models.JSONField(default=list)  # ids, as the asker saw them: these and no others
    status = models.CharField(max_length=12, choices=Status, default=Status.ASKED)
    code = models.CharField(max_length=40, blank=True)  # what stood against it: hold, open_run, too_few
    asked_by = models.CharField(max_length=36)
    asked_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)
    place = models.CharField(max_length=120)  # "<stream>/<seq>" of the event that carries the reason
    payloads = models.PositiveIntegerField(default=0)  # how many were emptied
    shared_records = models.PositiveIntegerField(default=0)  # records that other runs wrote too: left as they are

    class Meta:
        default_permissions = ()
        indexes: ClassVar = [models.Index(F("asked_at").desc(), name="erasure_newest")]  # the page of erasures

    @property
    def label(self) -> str:
        return f"ERA-{self.id.hex[:6].upper()}"


class Hold(models.Model):
    """While it stands, nothing it names is erased: by a decision or by retention."""

    class Scope(models.TextChoices):
        RUN = "run", "one run"
        SUBJECT = "subject", "everything about one business key"
        EVERYTHING = "everything", "everything"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    scope = models.CharField(max_length=12, choices=Scope)
    run_id = models.UUIDField(null=True)
    key = models.CharField(max_length=200, blank=True)  # erasable once it is lifted
    placed_by = models.CharField(max_length=36)
    placed_at = models.DateTimeField()
    place = models.CharField(max_length=120)  # "<stream>/<seq>" of the event that carries the reason
    lifted_by = models.CharField(max_length=36, blank=True)
    lifted_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        indexes: ClassVar = [  # erasures.holds: asked for every erasure and every run that retention reaches
            models.Index(fields=["run_id"], condition=Q(lifted_at__isnull=True, run_id__isnull=False), name="hold_of_run"),
            models.Index(fields=["key"], condition=Q(lifted_at__isnull=True, scope="subject"), name="hold_of_subject"),
        ]

    @property
    def label(self) -> str:
        return f"HOLD-{self.id.hex[:6].upper()}"


class Retained(models.Model):
    """How far retention has come in one class. Lost, it is begun again: emptying twice empties once."""

    name = models.CharField(max_length=20, primary_key=True)
    done_to = models.DateTimeField(null=True)  # what ended until then was looked at; null: from the beginning
    last = models.CharField(max_length=36, blank=True)  # id of the last thing looked at: several may have ended at one moment
    looked_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
