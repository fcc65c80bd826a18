"""The access matrix as rows: capabilities, roles with their grants, floor locks, and the compiled versions."""

from __future__ import annotations

from django.db import models

from aegis.identity.models import User
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


class RoleReview(models.Model):
    """How the review of one role stands. The events `role.reviewed` and `role.review_lapsed` tell the same, and more.

    No row: nobody has reviewed it yet. One of an earlier `life` says nothing: the role was removed, and another was made under
    its name.
    """

    role = models.CharField(max_length=80, unique=True)
    life = models.UUIDField(null=True)  # id of the Role's row, which a role that is made again has anew
    reviewed_at = models.DateTimeField(null=True)  # since when each of its grants is confirmed, or gone
    reviewed_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    confirmed = models.TextField(default="{}")  # canonical JSON: capability -> digest of the grant, confirmed since then
    request = models.UUIDField(null=True)  # the newest proposal to drop grants (its change set has the same id)
    asked_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")  # null: the sweep
    # Who gave the last word while a proposal to drop waits: the review is whole once that is applied, and only then.
    answered_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    lapsed_due = models.DateTimeField(null=True)  # the due date whose passing is on record
    lapse_code = models.CharField(
        max_length=40, blank=True
    )  # what came of it: "asked", "all_used", or why nobody could be asked

    class Meta:
        default_permissions = ()


class LapseTry(models.Model):
    """When a worker last tried what the lapse of a role's review comes to, for all workers. It decides nothing (`lapsing`)."""

    role = models.CharField(max_length=80, unique=True)
    epoch = models.BigIntegerField()  # of authority: what was refused then is refused until it moves
    tried_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
