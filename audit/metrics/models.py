"""The tables of the metrics. Written by `audit.metrics.projection` alone; emptied and filled again by a rebuild."""

from __future__ import annotations

from typing import ClassVar, Self

from django.db import models
from django.db.models import F

from aegis.core.visibility import Viewer, VisibleQuerySet
from audit.scopes import Reach, reach


class SeriesQuerySet(VisibleQuerySet["Series"]):
    """The rule of `Event`, on the same two columns: a figure is of events that its reader may see."""

    def visible_to(self, user: Viewer, action: str = "view") -> Self:
        return self.within(reach(user))

    def within(self, seen: Reach) -> Self:
        return self.filter(seen.condition())


class Series(models.Model):
    """One combination of values that one measure found under one scope. `a` to `d` are its dimensions, in their order."""

    metric = models.CharField(max_length=40)
    scope = models.CharField(max_length=16)
    scope_id = models.CharField(max_length=36, blank=True)
    a = models.CharField(max_length=120, blank=True)
    b = models.CharField(max_length=120, blank=True)
    c = models.CharField(max_length=120, blank=True)
    d = models.CharField(max_length=120, blank=True)
    first_at = models.DateTimeField()  # of the event that it began with
    month = models.CharField(max_length=7)  # of `first_at`, "2026-11": how many begin in a month is capped
    # Sums over its buckets, kept with them: a scrape by Prometheus reads these rows and not the hours of years.
    count = models.BigIntegerField(default=0, db_default=0)
    total = models.BigIntegerField(default=0, db_default=0)

    objects = SeriesQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["metric", "scope", "scope_id", "a", "b", "c", "d"], name="series_once"),
        ]


class Bucket(models.Model):
    """What was counted of a series within one hour; a row for each slot of its histogram (`audit.metrics.slots`)."""

    series = models.ForeignKey(Series, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="buckets")
    hour = models.IntegerField()  # whole hours since 1970, UTC
    slot = models.SmallIntegerField()
    count = models.BigIntegerField()
    total = models.BigIntegerField()  # sum of the amounts

    class Meta:
        default_permissions = ()
        constraints: ClassVar = [models.UniqueConstraint(fields=["series", "hour", "slot"], name="bucket_once")]
        indexes: ClassVar = [models.Index(F("hour"), F("series"), name="bucket_hour")]  # read by reading.rows: a time


class Counted(models.Model):
    """That an event was counted in a series: the list behind a figure. `position` is its place in the search index."""

    series = models.ForeignKey(Series, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="counted")
    position = models.BigIntegerField()

    class Meta:
        default_permissions = ()
        constraints: ClassVar = [models.UniqueConstraint(fields=["series", "position"], name="counted_once")]
