"""Rules of alerts, how far each is judged, what they found (episodes), and silences. Written by `approvals.alerts` alone."""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime
from typing import ClassVar, Final, Self

from django.db import models
from django.db.models import F, Q

from aegis.core import canonical
from aegis.core.visibility import Viewer, VisibleQuerySet
from aegis.identity.areas import area
from aegis.identity.models import User
from approvals.alerts import seeing
from approvals.models import Governed
from audit.scopes import scope_filter

#: `Judged.at` of a rule that waits for its first judgement.
NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Alert(Governed):
    """One rule. Its document says what it watches and who hears of it."""

    area = seeing.AREA

    hours = models.PositiveSmallIntegerField(default=0)  # of a window, derived; 0: a state, judged at once

    class Meta(Governed.Meta):
        app_label = "approvals"
        permissions: ClassVar = [("view_alert", "May read"), ("edit_alert", "May propose changes")]

    @property
    def basis(self) -> str:
        """Hex sha256 of what decides a judgement: the document but for its names and whom it tells."""
        spec = canonical.parse(self.document)["spec"]
        return hashlib.sha256(canonical.dump({name: value for name, value in spec.items() if name != "notify"})).hexdigest()

    @property
    def judged_at(self) -> datetime | None:
        """When the rule as it is judged now last was; None: not yet. One query where `judged` was not read along."""
        judged: Judged | None = getattr(self, "judged", None)
        return judged.at if judged is not None and judged.digest == self.basis and judged.at > NEVER else None


class Judged(models.Model):
    """How far a rule is judged: every window that ends at `until` or before has its judgement, and no later one has."""

    alert = models.OneToOneField(Alert, primary_key=True, on_delete=models.CASCADE, related_name="judged")
    digest = models.CharField(max_length=64)  # `Alert.basis` of the rule that judged; another one begins anew
    until = models.IntegerField()  # hours since 1970: windows end there. Of a state: the hour its episodes were last told of
    at = models.DateTimeField()  # of the last judgement

    class Meta:
        app_label = "approvals"
        db_table = "approvals_alert_judged"
        default_permissions = ()


class EpisodeQuerySet(VisibleQuerySet["Episode"]):
    def visible_to(self, user: Viewer, action: str = "view") -> Self:
        """By `action` on the area "alerts", and by who may see what was counted (`seeing`)."""
        if not (user.is_authenticated and user.is_active) or seeing.AREA not in seeing.areas_of(user, action):
            return self.none()
        return self.filter(scope_filter(user))

    def granting(self, row: models.Model) -> models.Model:
        return area(seeing.AREA)


class Episode(models.Model):
    """That a rule holds for one group, from its first window to the first in which it no longer does. Its stream is
    `alert:<id>`; every change of the row is an event there."""

    class Status(models.TextChoices):
        FIRING = "firing", "firing"
        ACKNOWLEDGED = "acknowledged", "acknowledged"
        RESOLVED = "resolved", "resolved"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    alert = models.ForeignKey(
        Alert, null=True, on_delete=models.SET_NULL, related_name="episodes"
    )  # null: the rule was removed
    rule = models.CharField(max_length=80)  # its name
    title = models.CharField(max_length=120, blank=True)
    digest = models.CharField(max_length=64)  # of the document that found it
    group = models.JSONField(default=list)  # [[dimension, value], ...]; empty: the rule judges all together
    group_key = models.CharField(max_length=64)  # hex sha256 of it
    scope = models.CharField(max_length=16)
    scope_id = models.CharField(max_length=36, blank=True)
    status = models.CharField(max_length=12, choices=Status, default=Status.FIRING)
    is_silenced = models.BooleanField(default=False)  # nobody was told that it fires
    started_at = models.DateTimeField()  # its first window began
    last_at = models.DateTimeField()  # its last window ended
    ended_at = models.DateTimeField(null=True)  # the first window that no longer held ended
    ended_because = models.CharField(max_length=12, blank=True)  # over; of the rule: changed, removed, unreadable
    windows = models.PositiveIntegerField(default=1)
    first = models.JSONField()  # approvals.alerts.findings.Told of the first window
    worst = models.JSONField()
    last = models.JSONField()
    # What told of it, and of its end; several episodes of a rule that begin together are told in one.
    fired_notice = models.ForeignKey("approvals.Notice", null=True, on_delete=models.SET_NULL, related_name="fired")
    resolved_notice = models.ForeignKey("approvals.Notice", null=True, on_delete=models.SET_NULL, related_name="resolved")
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    seq = models.PositiveIntegerField(default=0)
    head = models.CharField(max_length=64, default="0" * 64)

    objects = EpisodeQuerySet.as_manager()

    class Meta:
        app_label = "approvals"
        default_permissions = ()
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["alert", "group_key"], condition=Q(ended_at=None), name="episode_open_once"),
        ]
        indexes: ClassVar = [
            models.Index(F("started_at").desc(), F("id").desc(), name="episode_newest"),  # reading.page
            models.Index(fields=["alert", "started_at"], name="episode_of_alert"),  # page of a rule
            models.Index(fields=["started_at"], condition=Q(ended_at=None), name="episode_open"),  # home, judging
        ]

    @property
    def label(self) -> str:
        return f"ALR-{self.id.hex[:6].upper()}"

    @property
    def stream(self) -> str:
        return f"alert:{self.id}"

    @property
    def is_open(self) -> bool:
        return self.ended_at is None


class SilenceQuerySet(VisibleQuerySet["Silence"]):
    def visible_to(self, user: Viewer, action: str = "view") -> Self:
        if not (user.is_authenticated and user.is_active) or seeing.AREA not in seeing.areas_of(user, action):
            return self.none()
        return self.filter(Q(group_key="") | scope_filter(user))  # that of a whole rule tells of no counts

    def granting(self, row: models.Model) -> models.Model:
        return area(seeing.AREA)


class Silence(models.Model):
    """Until `ends_at` nobody is told what a rule finds, or what it finds for one group. The reason is the payload `reason` of
    the event `place`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    alert = models.ForeignKey(Alert, null=True, on_delete=models.SET_NULL, related_name="silences")
    rule = models.CharField(max_length=80)
    group = models.JSONField(default=list)
    group_key = models.CharField(max_length=64, blank=True)  # "": every group
    scope = models.CharField(max_length=16)
    scope_id = models.CharField(max_length=36, blank=True)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)  # taken back before its end
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    place = models.CharField(max_length=120)  # "<stream>/<seq>"

    objects = SilenceQuerySet.as_manager()

    class Meta:
        app_label = "approvals"
        default_permissions = ()
        indexes: ClassVar = [
            models.Index(fields=["alert", "ends_at"], condition=Q(ended_at=None), name="silence_standing"),  # silences.standing
        ]
