"""The tables of the search index. Written by `audit.index.projection` alone; emptied and filled again by a rebuild."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.db import models
from django.db.models import F, Q

from aegis.core.visibility import Viewer, VisibleQuerySet
from audit.scopes import Reach, reach

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper


class WordsField(models.TextField):  # type: ignore[type-arg]  # generic in the stubs only
    """A set of words: a tsvector on PostgreSQL, a text for FTS5 on SQLite. Never loaded into a row."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "tsvector" if connection.vendor == "postgresql" else "text"

    def deconstruct(self) -> Any:
        name, _, args, kwargs = super().deconstruct()
        return name, "audit.index.models.WordsField", args, kwargs


class IndexedQuerySet(VisibleQuerySet["Indexed"]):
    """The rule of `Event`, on the same two columns; what is shown is read through `Event.visible_to` once more.

    Attributes:
        floor: no row lies before this position (`since`); a search need not look there.
    """

    floor = 0

    def since(self, position: int) -> Self:
        if position <= 0:  # the first is 0
            return self
        rows = self.filter(position__gte=position)
        rows.floor = max(self.floor, position)
        return rows

    def _clone(self) -> Self:
        rows: Self = super()._clone()  # type: ignore[misc]  # Django's own hook for what a query set carries; not in the stubs
        rows.floor = self.floor
        return rows

    def visible_to(self, user: Viewer, action: str = "view") -> Self:
        return self.within(reach(user))

    def within(self, seen: Reach) -> Self:
        return self.filter(seen.condition())


class Indexed(models.Model):
    """One event as the search knows it. `position` is its leaf index: without gaps and never out of order, so that a reader
    who pages by it misses nothing that was sealed before he began."""

    position = models.BigIntegerField(primary_key=True)
    event_id = models.BigIntegerField(unique=True)  # read by projection.forget
    at = models.DateTimeField()
    type = models.CharField(max_length=64)
    actor = models.CharField(max_length=90)  # "user:<id>", "agent:<name>", "system"
    scope = models.CharField(max_length=16)
    scope_id = models.CharField(max_length=36, blank=True)
    run_id = models.UUIDField(null=True)
    agent = models.CharField(max_length=80, blank=True)
    capability = models.CharField(max_length=120, blank=True)
    outcome = models.CharField(max_length=24, blank=True)
    gate = models.CharField(max_length=120, blank=True)  # the policy that it stands under
    risk = models.CharField(max_length=16, blank=True)
    is_bad = models.BooleanField()  # refused, failed, dead: what the histogram draws in red
    open = WordsField()  # words of the line: opaque ids, names of configuration, codes
    whole = WordsField()  # and of the payloads; for who may read them

    objects = IndexedQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        indexes: ClassVar = [  # each read by the audit page: that filter, newest first
            models.Index(F("scope"), F("scope_id"), F("position").desc(), name="indexed_scope"),
            models.Index(F("type"), F("position").desc(), name="indexed_type"),
            models.Index(F("actor"), F("position").desc(), name="indexed_actor"),
            # "What did she approve?": either index alone reads fifteen rows for each that fits, and from disk that is felt.
            models.Index(F("actor"), F("type"), F("position").desc(), name="indexed_doing"),
            models.Index(F("run_id"), F("position").desc(), name="indexed_run", condition=Q(run_id__isnull=False)),
            models.Index(F("agent"), F("position").desc(), name="indexed_agent", condition=Q(agent__gt="")),
            models.Index(F("capability"), F("position").desc(), name="indexed_capability", condition=Q(capability__gt="")),
            models.Index(F("outcome"), F("position").desc(), name="indexed_outcome", condition=Q(outcome__gt="")),
            models.Index(F("gate"), F("position").desc(), name="indexed_gate", condition=Q(gate__gt="")),
            models.Index(F("risk"), F("position").desc(), name="indexed_risk", condition=Q(risk__gt="")),
        ]


class TallyQuerySet(models.QuerySet["Tally"]):
    def within(self, seen: Reach) -> Self:
        """Counts of what a reader may see: the same rule, because each count belongs to one scope and id."""
        return self.filter(seen.condition())


class Tally(models.Model):
    """How many events of an hour ("h"), day ("d") or month ("m") carry a value, for each scope apart. The rail and the
    histogram read it."""

    grain = models.CharField(max_length=1)
    start = models.DateTimeField()
    scope = models.CharField(max_length=16)
    scope_id = models.CharField(max_length=36, blank=True)
    dimension = models.CharField(max_length=12)  # "all", or a column of Indexed
    value = models.CharField(max_length=120, blank=True)
    count = models.BigIntegerField()
    bad = models.BigIntegerField()

    objects = TallyQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["grain", "start", "dimension", "scope", "scope_id", "value"], name="tally_counted_once"
            ),
        ]


class Hour(models.Model):
    """The positions that the events of one hour lie between: how a time becomes a place in the index."""

    start = models.DateTimeField(primary_key=True)
    first = models.BigIntegerField()
    last = models.BigIntegerField()

    class Meta:
        default_permissions = ()


class Touched(models.Model):
    """That an event is about a governed object ("Role/clerk"). Read by the history of that object, newest first."""

    thing = models.CharField(max_length=200)
    position = models.BigIntegerField()  # of the event, as in Indexed

    class Meta:
        default_permissions = ()
        constraints: ClassVar = [models.UniqueConstraint(fields=["thing", "position"], name="touched_once")]
