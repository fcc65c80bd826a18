"""What was used of the limits of grants: rows of uses, added up under the lock of their counter (docs/adr/0028).

A use is a row (counter, effect, when, how much), so an effect counts once however often its intent is committed, an effect of
which nothing came is taken out again, and sums are exact. `Counter` rows are the locks: they are taken by key, with those of
the other guards (`counting`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import assert_never

from django.db.models import Sum

from aegis.core import canonical
from orchestration.authority.grant_limits import MAX_PER, Reading
from orchestration.engine.guards.asking import Counted, Seen, Spent, Unspent
from orchestration.engine.guards.models import LimitUse


class Spending:
    """The uses as one wave of turns sees them: those on record, and what its runs add and take out one after the other."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._added: dict[str, dict[str, int]] = {}  # counter -> effect -> amount
        self._gone: set[str] = set()  # effects

    def used(self, readings: Sequence[Reading], effect: str) -> dict[str, int]:
        """See `World.used`."""
        found = {}
        for reading in readings:
            added = self._added.get(reading.key, {})
            but = {effect, *self._gone, *added}
            later = sum(amount for other, amount in added.items() if other != effect)
            found[reading.key] = _capped(used(reading.key, reading.per, self._now, but=but) + later)
        return found

    def count(self, item: Counted) -> None:
        """See `World.count`."""
        match item:
            case Seen():
                pass
            case Spent():
                self._added.setdefault(item.key, {})[item.effect] = item.amount
                self._gone.discard(item.effect)
            case Unspent():
                self._added.get(item.key, {}).pop(item.effect, None)
                self._gone.add(item.effect)
            case _:
                assert_never(item)


def used(key: str, per: timedelta, now: datetime, *, but: Collection[str] = ()) -> int:
    """What counts within `per` up to now, and what others recorded since. One query."""
    rows = LimitUse.objects.filter(counter=key, at__gte=now - per)
    total = (rows.exclude(effect__in=but) if but else rows).aggregate(total=Sum("amount"))["total"]
    return int(total or 0)


def counters_of(effect: str) -> list[str]:
    """The counters that an effect counts against."""
    return sorted(LimitUse.objects.filter(effect=effect).values_list("counter", flat=True))


def is_as_seen(item: Seen, at: datetime) -> bool:
    """Is what a verdict rests on still so? The caller holds the counter locked."""
    return _capped(used(item.key, item.per, at, but={item.effect})) == item.used


def write(item: Spent | Unspent, at: datetime) -> None:
    """Add a use, or take one out. The caller holds the counter locked."""
    if isinstance(item, Unspent):
        LimitUse.objects.filter(counter=item.key, effect=item.effect).delete()
        return
    LimitUse.objects.update_or_create(counter=item.key, effect=item.effect, defaults={"at": at, "amount": item.amount})
    LimitUse.objects.filter(counter=item.key, at__lt=at - MAX_PER).delete()


def _capped(total: int) -> int:
    return min(total, canonical.MAX_SAFE_INTEGER)  # a fact is a JSON integer
