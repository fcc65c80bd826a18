"""What people shall hear about (the outbox, written with the event), to whom it goes, and how each wants to hear it."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q

from aegis.identity.models import TakenRight, User


class Notice(models.Model):
    """One event of a request, of a delegation, of a right taken in an emergency or of an alert, that somebody shall hear about,
    or what is new in something he follows. Written in the event's own transaction, handed out afterwards. What an alert found
    are the episodes that name the notice."""

    class Kind(models.TextChoices):
        ASKED = "asked", "A decision is asked of you"
        REMINDED = "reminded", "A decision is still asked of you"
        ESCALATED = "escalated", "A decision was passed on to you"
        SETTLED = "settled", "A request was settled"
        SHORT = "short", "Too few people are left who could decide"
        GIVEN = "given", "A request was given to you"
        DELEGATED = "delegated", "You may decide in another’s place"
        DECLINED = "declined", "Your delegation was declined"
        TAKEN_BACK = "taken_back", "A delegation to you was taken back"
        BROKEN_INTO = "broken_into", "A right was taken in an emergency"
        OVER = "over", "A right taken in an emergency is over"
        UNREVIEWED = "unreviewed", "Nobody reviewed a right taken in an emergency"
        FIRED = "fired", "An alert fires"
        RESOLVED = "resolved", "An alert is over"
        FOLLOWED = "followed", "New in a saved view"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    request = models.ForeignKey("approvals.ApprovalRequest", null=True, on_delete=models.CASCADE, related_name="notices")
    delegation = models.ForeignKey("approvals.Delegation", null=True, on_delete=models.CASCADE, related_name="+")
    taken_right = models.ForeignKey(TakenRight, null=True, on_delete=models.CASCADE, related_name="+")
    alert = models.ForeignKey("approvals.Alert", null=True, on_delete=models.CASCADE, related_name="notices")
    telling = models.UUIDField(null=True)  # an id of the room above that told it (notices.followed), and knows what it says
    kind = models.CharField(max_length=12, choices=Kind)
    seq = models.PositiveIntegerField(default=0)  # of the event in the request's stream
    at = models.DateTimeField()
    person = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="+")  # whom alone it is for
    handed_at = models.DateTimeField(null=True)  # when its deliveries were written
    attempts = models.PositiveSmallIntegerField(default=0)  # of building it, that failed
    tried_since = models.DateTimeField(null=True)  # the first of these attempts; given up by its age
    next_at = models.DateTimeField(null=True)  # not built before, after a failure
    dead_at = models.DateTimeField(null=True)  # given up unbuilt

    class Meta:
        app_label = "approvals"
        default_permissions = ()
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["request", "seq", "kind"], name="notice_once"),
            models.UniqueConstraint(fields=["delegation", "kind"], name="notice_once_of_delegation"),
            models.UniqueConstraint(fields=["taken_right", "kind"], name="notice_once_of_taken_right"),
            models.UniqueConstraint(fields=["telling"], name="notice_once_of_telling"),
            models.CheckConstraint(
                condition=Q(request__isnull=False, delegation=None, taken_right=None, alert=None, telling=None)
                | Q(request=None, delegation__isnull=False, taken_right=None, alert=None, telling=None, person__isnull=False)
                | Q(request=None, delegation=None, taken_right__isnull=False, alert=None, telling=None, person=None)
                | Q(request=None, delegation=None, taken_right=None, alert__isnull=False, telling=None, person=None)
                | Q(request=None, delegation=None, taken_right=None, alert=None, telling__isnull=False, person__isnull=False),
                name="notice_of_one_thing",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["at"], condition=Q(handed_at__isnull=True), name="notice_waiting"),  # outbox.hand_out
            models.Index(fields=["dead_at"], condition=Q(dead_at__isnull=False), name="notice_dead"),  # outbox.lost
        ]


class Delivery(models.Model):
    """A notice on its way to one person by mail, or to the webhook."""

    class Channel(models.TextChoices):
        MAIL = "mail", "mail"
        WEBHOOK = "webhook", "webhook"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)  # the same for every attempt: the message's id
    notice = models.ForeignKey(Notice, on_delete=models.CASCADE, related_name="deliveries")
    channel = models.CharField(max_length=8, choices=Channel)
    person = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="+")  # null: the webhook
    is_digest = models.BooleanField(default=False)  # goes with others of the person in one mail
    due_at = models.DateTimeField()  # when it may be tried next; pushed on before each attempt
    attempts = models.PositiveSmallIntegerField(default=0)
    tried_since = models.DateTimeField(null=True)  # the first of these attempts; given up by its age
    sent_at = models.DateTimeField(null=True)
    dead_at = models.DateTimeField(null=True)  # given up
    detail = models.CharField(max_length=200, blank=True)  # how the last attempt failed

    class Meta:
        app_label = "approvals"
        default_permissions = ()
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["notice", "person"], condition=Q(channel="mail"), name="delivery_once_by_mail"),
            models.UniqueConstraint(fields=["notice"], condition=Q(channel="webhook"), name="delivery_once_by_webhook"),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["due_at"], condition=Q(sent_at__isnull=True, dead_at__isnull=True), name="delivery_due"
            ),  # outbox.deliver
            models.Index(fields=["person", "-due_at"], name="delivery_of_person"),  # page: what went to me
            models.Index(fields=["dead_at"], condition=Q(dead_at__isnull=False), name="delivery_dead"),  # outbox.lost
        ]


class NoticePreference(models.Model):
    """How a person wants to hear of requests. Nobody without a row is left out: they hear of each at once. What he follows
    comes once a day in any case, at this hour."""

    class Mode(models.TextChoices):
        EACH = "each", "Each at once"
        DIGEST = "digest", "Once a day, in one mail"
        NEVER = "never", "Never"

    person = models.OneToOneField(User, primary_key=True, on_delete=models.CASCADE, related_name="+")
    mode = models.CharField(max_length=8, choices=Mode, default=Mode.EACH)
    hour = models.PositiveSmallIntegerField(default=7)  # of the digest, and of what is followed, UTC

    class Meta:
        app_label = "approvals"
        default_permissions = ()
