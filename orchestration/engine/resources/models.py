"""Resources that runs act on one at a time: who holds each, and who waits for it. Written by `rows` alone."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Resource(models.Model):
    """A resource that a run holds. The primary key is the promise: no two runs hold one at once."""

    key = models.CharField(max_length=200, primary_key=True)
    run = models.OneToOneField("orchestration.Run", on_delete=models.PROTECT, related_name="+")
    since = models.DateTimeField()

    class Meta:
        default_permissions = ()


class ResourceWait(models.Model):
    """A run that waits for a resource. There is a row exactly while it stands in the queue and was not granted it."""

    run = models.OneToOneField("orchestration.Run", primary_key=True, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=200)
    wait = models.UUIDField()  # `State.awaits`
    priority = models.PositiveSmallIntegerField()
    submitted_at = models.DateTimeField()
    since = models.DateTimeField()

    class Meta:
        default_permissions = ()
        indexes: ClassVar = [
            # rows.grant: the first by tier, then by time
            models.Index(fields=["key", "priority", "submitted_at", "run"], name="resource_queue"),
        ]
