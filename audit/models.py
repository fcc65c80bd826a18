"""The rows of the journal. Written by `audit.journal` alone; never updated (a payload is only ever emptied)."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from audit.erasures.models import Erasure, Hold, Retained
from audit.index.models import Hour, Indexed, Tally, Touched
from audit.metrics.models import Bucket, Counted, Series
from audit.querysets import EventQuerySet

__all__ = [
    "Bucket",
    "Counted",
    "DenialCount",
    "Erasure",
    "Event",
    "Hold",
    "Hour",
    "Indexed",
    "Payload",
    "Retained",
    "Series",
    "Stream",
    "Tally",
    "Touched",
    "Verification",
]


class Stream(models.Model):
    """Head of a stream that has no row of its own elsewhere (configuration, access, system). Locked by whoever appends."""

    name = models.CharField(max_length=120, primary_key=True)
    seq = models.PositiveIntegerField(default=0)
    head = models.CharField(max_length=64, default="0" * 64)

    class Meta:
        default_permissions = ()


class Event(models.Model):
    """One line, append-only by trigger (audit.guards). `line` is the exact canonical text that was hashed; everything else is a
    projection of it for reading."""

    stream = models.CharField(max_length=120)
    seq = models.PositiveIntegerField()
    line = models.TextField()
    leaf = models.CharField(max_length=64)  # RFC 6962 leaf hash of the line, hex
    type = models.CharField(max_length=64)
    at = models.DateTimeField()
    actor_kind = models.CharField(max_length=8)
    actor_ref = models.CharField(max_length=36, blank=True)
    scope = models.CharField(max_length=16)  # workflow, agent, policy, queue, access, system
    scope_id = models.CharField(max_length=36, blank=True)
    run_id = models.UUIDField(null=True)
    step = models.CharField(max_length=64, blank=True)
    agent = models.CharField(max_length=80, blank=True)
    capability = models.CharField(max_length=120, blank=True)
    outcome = models.CharField(max_length=24, blank=True)
    duration_ms = models.PositiveIntegerField(null=True)

    objects = EventQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["stream", "seq"], name="event_stream_seq"),
            models.CheckConstraint(condition=Q(seq__gte=1), name="event_seq_from_one"),
        ]
        indexes: ClassVar = [
            models.Index(
                F("scope"), F("scope_id"), F("id").desc(), name="event_scope"
            ),  # read by Event.visible_to + newest first
            models.Index(F("type"), F("id").desc(), name="event_type"),  # audit page, filter by event
            models.Index(F("actor_ref"), F("id").desc(), name="event_actor"),  # audit page, filter by actor
            models.Index(F("run_id"), F("id"), name="event_run", condition=Q(run_id__isnull=False)),  # one run's life
            models.Index(F("at").desc(), name="event_at"),  # audit page, time range
        ]


class Leaf(models.Model):
    """The place of an event in the tree over the whole journal, append-only. Written by `audit.sealer` alone.

    On PostgreSQL `audit_event` has one more column, `xid`: the transaction that wrote the row, for the sealer (no model field).
    """

    leaf_index = models.BigIntegerField(primary_key=True)  # from 0, without gaps
    # No constraint in the database: checking it would write to every event row once more.
    event = models.OneToOneField(Event, on_delete=models.DO_NOTHING, db_constraint=False, related_name="sealed")
    hash = models.CharField(max_length=64)  # `Event.leaf` as it was sealed

    class Meta:
        default_permissions = ()


class Node(models.Model):
    """The root of a complete subtree of 256, 65,536, ... leaves, append-only: so that a proof reads a few hundred rows."""

    level = models.PositiveSmallIntegerField()  # 8, 16, 24, ...: it stands over 2^level leaves
    position = models.BigIntegerField()  # from the left, on its level
    hash = models.CharField(max_length=64)

    class Meta:
        default_permissions = ()
        constraints: ClassVar = [models.UniqueConstraint(fields=["level", "position"], name="node_place")]


class Tree(models.Model):
    """Where the sealer stands: one row, locked by whoever seals. Worth nothing as a proof; `verify` grows the tree itself."""

    size = models.BigIntegerField(default=0)
    frontier = models.JSONField(default=list)  # hex roots of the complete subtrees, largest first
    root = models.CharField(max_length=64, blank=True)
    sealed_xid = models.BigIntegerField(default=0)  # all events below are sealed (PostgreSQL)
    cluster = models.CharField(max_length=20, blank=True)  # whose transaction ids these are
    sealed_at = models.DateTimeField(null=True)
    refusal = models.CharField(max_length=300, blank=True)  # why no checkpoint is signed; "" = all is well
    verify_at = models.DateTimeField(null=True)  # when the verification of the hour is due

    class Meta:
        default_permissions = ()


class Follower(models.Model):
    """How far a follower of the journal has come; locked by whoever follows in its name (audit.following)."""

    name = models.CharField(max_length=40, primary_key=True)
    position = models.BigIntegerField(default=0)  # the next leaf it has not handled
    moved_at = models.DateTimeField(null=True)
    held_until = models.DateTimeField(null=True)  # an exporter is sending, or waits before it tries again (audit.exporters)
    generation = models.BigIntegerField(default=0, db_default=0)  # raised by each rebuild
    refused = models.BigIntegerField(
        default=0, db_default=0
    )  # what an exporter left out, since the other side refuses it for good
    refusal = models.CharField(max_length=300, blank=True, default="", db_default="")  # the last of these, and why

    class Meta:
        default_permissions = ()


class Checkpoint(models.Model):
    """A signed statement of size and root, append-only. The same note is kept outside the database (audit.outside)."""

    size = models.BigIntegerField(primary_key=True)
    root = models.CharField(max_length=64)
    note = models.TextField()  # C2SP signed note
    at = models.DateTimeField()

    class Meta:
        default_permissions = ()


class Verification(models.Model):
    """The result of one `journal verify`: what the integrity badge shows. Not part of the proof; anybody can run it again."""

    at = models.DateTimeField()
    by = models.CharField(max_length=45)  # Actor.key of whoever asked
    stream = models.CharField(max_length=120, blank=True)  # "" = everything
    is_good = models.BooleanField()
    checked = models.PositiveIntegerField()
    erased = models.PositiveIntegerField(default=0)
    duration_ms = models.PositiveIntegerField()
    first_bad = models.CharField(max_length=160, blank=True)  # place of the first bad event
    report = models.JSONField(default=dict)  # verify.Report as JSON

    class Meta:
        default_permissions = ()
        indexes: ClassVar = [models.Index(F("id").desc(), name="verification_newest", condition=Q(stream=""))]  # badge


class DenialCount(models.Model):
    """Repeats of one refusal within ten minutes, waiting to be flushed as one event (audit.access)."""

    actor_kind = models.CharField(max_length=8)
    actor_ref = models.CharField(max_length=36, blank=True)
    what = models.CharField(max_length=120)
    right = models.CharField(max_length=80, blank=True)
    code = models.CharField(max_length=40)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    repeats = models.PositiveIntegerField(default=0)

    class Meta:
        default_permissions = ()
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["actor_kind", "actor_ref", "what", "right", "code"], name="denial_counted_once"),
        ]
        indexes: ClassVar = [models.Index(fields=["first_at"], name="denial_due")]  # access.flush_denials


class Payload(models.Model):
    """What somebody typed or an agent sent: the only place it is kept. The line holds a salted commitment to it."""

    stream = models.CharField(max_length=120)
    seq = models.PositiveIntegerField()
    name = models.CharField(max_length=40)
    body = models.TextField()  # exactly the bytes committed, as text
    salt = models.CharField(max_length=32)  # 16 random bytes, hex; emptied with the body
    erased_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints: ClassVar = [models.UniqueConstraint(fields=["stream", "seq", "name"], name="payload_place")]
