"""An episode and a silence as rows, for tests that only look at them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from aegis.core import clock
from aegis.core.actors import user_actor
from aegis.identity.models import User
from approvals.alerts import episodes
from approvals.alerts.episodes import Found, Judgement
from approvals.alerts.findings import Told, pairs_of
from approvals.alerts.models import Alert, Episode, Silence
from audit import journal
from audit.drafts import Context, Draft

AT = datetime(2026, 11, 2, 8, tzinfo=UTC)


def told(at: datetime = AT, words: str = "9, above 5; rests on 9 events") -> Told:
    return Told(at, at + timedelta(hours=1), 9, 9, 4, words, "/audit/?figure=runs")


@transaction.atomic
def fire(alert: Alert, group: str = "", *, scope: str = "alert", scope_id: str = "", words: str = "9, above 5") -> Episode:
    """As a judgement makes it."""
    pairs: Any = (("agent", group),) if group else ()
    writing = episodes.of_rule(alert, clock.db_now(), is_state=True)
    found = Found(pairs, told(clock.now(), words), scope, scope_id or (str(alert.pk) if scope == "alert" else ""))
    before = {row.pk for row in writing.live.values()}
    others = [Found(pairs_of(row.group), told(clock.now()), row.scope, row.scope_id) for row in writing.live.values()]
    writing.take(Judgement(clock.now(), [*others, found]))
    writing.write()
    return Episode.objects.exclude(pk__in=before).get(alert=alert, group=[list(one) for one in pairs], ended_at=None)


@transaction.atomic
def silence(alert: Alert, by: User, reason: str = "works") -> UUID:
    """Of the whole rule; the row and its event, whatever rights `by` has."""
    now = clock.db_now()
    row = Silence(alert=alert, rule=alert.name, scope="system", by=by, starts_at=now, ends_at=now + timedelta(hours=1))
    data = {"alert": alert.name, "silence": str(row.pk), "until": "later"}
    draft = Draft("silence.placed", user_actor(by.pk, auth="session"), data, {"reason": f'"{reason}"'.encode()})
    (line,) = journal.append(Context(stream=f"silence:{row.pk}", scope="system"), [draft], now)
    row.place = f"{line.stream}/{line.seq}"
    row.save(force_insert=True)
    return row.pk
