"""Who: people, their keys, the areas of the portal, and the authority epoch."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.db import models
from simple_history.models import HistoricalRecords

from aegis.core.visibility import GrantedQuerySet


class User(AbstractUser):
    """A person. The id is the pseudonym that event lines carry; the name lives here alone."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    is_demo = models.BooleanField(default=False, help_text="Made by the demo; deploy checks refuse such people.")
    # The latest end of what he took in an emergency. Only while it lies ahead are his taken rights looked up: nobody else pays.
    taken_until = models.DateTimeField(null=True, blank=True, editable=False)
    # Key of a list -> id of the saved view it opens with (aegis.portal.saved). Here, so that the sidebar costs no query for it.
    opens_first = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()), editable=False)
    single_key_shortcuts = models.BooleanField(default=True, help_text="WCAG 2.1.4: single keys can be switched off.")

    history = HistoricalRecords(excluded_fields=["password", "last_login", "taken_until", "opens_first"])

    class Meta:
        default_permissions = ()

    @property
    def display_name(self) -> str:
        return self.get_full_name() or self.username


class Area(models.Model):
    """A part of the portal whose configuration is edited as one: access, contracts, routing, workflows, agents, approvals,
    queues, people, audit, alerts. Rows exist from the first migration; grants on them are the right to view or edit."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.SlugField(unique=True)
    title = models.CharField(max_length=80)

    objects = GrantedQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        permissions: ClassVar = [
            ("view_area", "May read this area"),
            ("operate_area", "May stop and resume what works here"),
            ("edit_area", "May propose and apply changes here"),
            ("break_area", "May take a right here for a while, in an emergency"),
        ]

    def __str__(self) -> str:
        return self.title


class ApiKey(models.Model):
    """A secret that acts as one person through the API. Only its SHA-256 is kept; it is shown once."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="api_keys")
    label = models.CharField(max_length=80)
    prefix = models.CharField(max_length=12, unique=True)  # read by api_keys.authenticate; not secret
    secret_digest = models.CharField(max_length=64)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_on = models.DateField(null=True, blank=True)

    class Meta:
        default_permissions = ()


class TakenRight(models.Model):
    """A right that a person took for a time, in an emergency. It counts while `taken_at <= now < ends_at` and `ended_at` is
    null; that nobody has written its end yet makes it no longer."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(User, on_delete=models.PROTECT, related_name="taken_rights")
    area = models.ForeignKey(Area, on_delete=models.PROTECT, related_name="+")
    verb = models.CharField(max_length=16)  # "view", "operate" or "edit"
    taken_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)  # given back, taken away, or written down after its time
    reviewed_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    reviewed_at = models.DateTimeField(null=True)
    verdict = models.CharField(max_length=16, blank=True)  # "justified" or "unjustified"
    late_at = models.DateTimeField(null=True)  # when it was told that nobody reviewed it in time

    class Meta:
        default_permissions = ()
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["person", "area", "verb"], condition=models.Q(ended_at__isnull=True), name="taken_right_once"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["ends_at"], condition=models.Q(ended_at__isnull=True), name="taken_right_due"),  # end_due
            models.Index(fields=["-taken_at"], name="taken_right_listed"),  # its page
            models.Index(
                fields=["ended_at"],
                condition=models.Q(reviewed_at__isnull=True, late_at__isnull=True),
                name="taken_right_unreviewed",
            ),  # tell_late_reviews
        ]


class AuthorityEpoch(models.Model):
    """One row. Raised, under the exclusive authority lock, by whatever changes rights; a verdict computed under another epoch
    is computed again (DESIGN promise 1)."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    epoch = models.BigIntegerField(default=1)

    class Meta:
        default_permissions = ()
        constraints: ClassVar = [models.CheckConstraint(condition=models.Q(id=1), name="authority_epoch_one_row")]
