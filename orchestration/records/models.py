"""The built-in system of record: versioned records that effects act on."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models


class Record(models.Model):
    """One business object ("ticket", "T-1042") at its current version."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    type = models.CharField(max_length=60)
    key = models.CharField(max_length=120)
    version = models.PositiveIntegerField()
    body = models.TextField()  # canonical JSON object
    updated_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints: ClassVar = [models.UniqueConstraint(fields=["type", "key"], name="record_identity")]


class RecordVersion(models.Model):
    """A version as it was, with the effect that made it. Compensation restores the one before."""

    record = models.ForeignKey(Record, on_delete=models.PROTECT, related_name="versions")
    version = models.PositiveIntegerField()
    body = models.TextField()
    effect_key = models.CharField(max_length=200, unique=True)  # exactly once, whatever else fails
    run_id = models.UUIDField()
    at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints: ClassVar = [models.UniqueConstraint(fields=["record", "version"], name="record_version_number")]
