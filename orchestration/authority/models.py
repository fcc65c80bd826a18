"""The access matrix as rows: capabilities, roles with their grants, floor locks, and the compiled versions."""

from __future__ import annotations

from django.db import models

from approvals.models import Governed


class Capability(Governed):
    """A named action on a type of resource."""

    area = "access"


class Role(Governed):
    """A column of the matrix: grants per capability. A role of people is the Django group of the same name."""

    area = "access"


class FloorLock(Governed):
    """A floor under a capability's gate. Append-only by trigger: it ends by a successor row, never by an update.

    `floor` is what its policy demanded on the day the lock was set (canonical JSON of `authority.rules`): weakening the policy
    later does not lower the floor. Empty for a row that only ends another one.
    """

    area = "access"

    floor = models.TextField(blank=True)


class MatrixVersion(models.Model):
    """The matrix compiled from roles, capabilities, locks and agents: what verdicts are computed from and recorded with."""

    number = models.PositiveIntegerField(primary_key=True)
    digest = models.CharField(max_length=64)
    document = models.TextField()  # canonical JSON, read by orchestration.authority.verdicts
    created_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
