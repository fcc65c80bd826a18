"""Rights taken in an emergency, as the tests of them take them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from aegis.core import clock
from aegis.core.actors import Actor, user_actor
from aegis.identity import emergency
from aegis.identity.models import Area, TakenRight, User
from audit.models import Event

WHY = "the night shift cannot stop the refunds"
HOUR = timedelta(hours=1)


def of(person: User) -> Actor:
    return user_actor(person.pk, auth="session")


def take(person: User, area: str = "workflows", verb: str = "operate", for_time: timedelta = HOUR) -> TakenRight:
    return emergency.take(area, verb, for_time=for_time, actor=of(person), reason=WHY)


def may(person: User, verb: str, area: str = "workflows") -> bool:
    return Area.objects.visible_to(User.objects.get(pk=person.pk), verb).filter(name=area).exists()


def later(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    """As if that much time had passed."""
    moment = clock.db_now() + by
    monkeypatch.setattr(clock, "db_now", lambda: moment)
    monkeypatch.setattr(clock, "now", lambda: moment)


def types() -> list[str]:
    return [*Event.objects.filter(type__contains="right_").order_by("id").values_list("type", flat=True)]
