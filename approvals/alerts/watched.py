"""The states that the journal and approvals know of. Each looks, and changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django.db.models import Count, Min

from aegis.core import canonical, kinds
from aegis.identity.areas import AREAS
from approvals.governed import DocumentKind
from approvals.models import ApprovalRequest
from audit import checkpoints, following, sealer, verifications
from audit.alerts import states
from audit.alerts.states import READ, Standing, State
from audit.metrics.declared import PERMISSIONS
from audit.models import Event
from audit.scopes import names_of

_VERIFY: Final = "/audit/verify/"
_METRICS: Final = "/metrics/"
#: Events of people, groups and keys: what they change is no object with an area of its own.
_OF_PEOPLE: Final = ("access.person_", "access.group_", "access.key_")
#: Changes of rights that one look reads; with more, the rest is the same thing that went wrong.
_EVENTS: Final = 1_000


def register() -> None:
    """Called from `AppConfig.ready`."""
    states.register(
        State("deadline_near", "Requests soon expire", "policy", _deadlines, timedelta(hours=1), parts=("policy", "of")),
        State("sealing_late", "The journal is not sealed in time", "part", _sealing, names=frozenset({"sealer", "checkpoint"})),
        State("verify_failed", "The last verification of the journal failed", "journal", _verification),
        State("follower_late", "What follows the journal is behind", "follower", _followers),
        State(
            "permission_changed", "A right was changed", "area", _permissions, timedelta(hours=1), frozenset(AREAS),
            ("area", "event"),
        ),
    )  # fmt: skip


def _deadlines(now: datetime, within: timedelta) -> Sequence[Standing]:
    """By policy and by what the requests belong to, so that nobody learns how many of others' there are."""
    rows = ApprovalRequest.objects.filter(status="open", deadline__gt=now, deadline__lte=now + within).order_by()
    grouped = rows.values_list("policy__name", "scope", "scope_id").annotate(count=Count("pk"), nearest=Min("deadline"))
    found = list(grouped.order_by("nearest")[:READ])
    named = {
        scope: names_of(scope, {ref for _, one, ref, _, _ in found if one == scope}) for scope in {row[1] for row in found}
    }
    return [
        Standing(
            (policy, named[scope].get(ref, ref) or scope), _expiring(count, nearest), count,
            f"/approvals/?{urlencode({'tab': 'waiting', 'policy': policy})}", scope, ref,
        )
        for policy, scope, ref, count, nearest in found
    ]  # fmt: skip


def _expiring(count: int, nearest: datetime) -> str:
    what = "one request expires" if count == 1 else f"{count:,} requests expire, the first"
    return f"{what} {nearest:%Y-%m-%d %H:%M} UTC"


def _sealing(now: datetime, within: timedelta) -> Sequence[Standing]:
    found = []
    waiting = sealer.unsealed()
    if waiting.oldest_at is not None and (age := now - waiting.oldest_at) >= following.LATE:
        words = f"{waiting.events:,} events wait for the sealer, the oldest for {age.total_seconds():,.0f} s"
        found.append(Standing(("sealer",), words, age.total_seconds(), _VERIFY, "system", since=waiting.oldest_at))
    if why := checkpoints.refusal():
        found.append(Standing(("checkpoint",), f"no checkpoint is signed: {why}", 1, _VERIFY, "system"))
    return found


def _verification(now: datetime, within: timedelta) -> Sequence[Standing]:
    latest = verifications.latest()
    if latest is None or latest.is_good:
        return []
    words = f"the verification of {latest.at:%Y-%m-%d %H:%M} UTC failed" + (
        f", first at {latest.first_bad}" if latest.first_bad else ""
    )
    return [Standing(("journal",), words, 1, _VERIFY, "system", since=latest.at)]


def _followers(now: datetime, within: timedelta) -> Sequence[Standing]:
    late = [one for one in following.lags() if one.is_late]
    return [
        Standing(
            (one.name,), f"{one.events:,} events behind, the oldest {one.seconds:,.0f} s old", one.seconds, _METRICS, "system",
            since=one.since,
        )
        for one in late
    ]  # fmt: skip


def _permissions(now: datetime, within: timedelta) -> Sequence[Standing]:
    """Changes of the time that was looked back over, by area and kind of change."""
    rows = Event.objects.filter(type__in=PERMISSIONS, at__gt=now - within, at__lte=now).order_by("-id")
    counts: Counter[tuple[str, str]] = Counter()
    areas = {str(kind.model._meta.verbose_name): kind.area for kind in kinds.all_kinds() if isinstance(kind, DocumentKind)}
    for name, line in rows.values_list("type", "line")[:_EVENTS]:
        counts[_area(name, canonical.parse(line)["data"], areas), name] += 1
    address = {name: f"/audit/?{urlencode({'type': name, 'from': _written(now - within)})}" for _, name in counts}
    return [
        Standing((area, name), f"{'once' if count == 1 else f'{count:,} times'} since {now - within:%H:%M} UTC", count,
                 address[name], "access")
        for (area, name), count in counts.most_common(READ)
    ]  # fmt: skip


def _area(name: str, data: Any, areas: dict[str, str]) -> str:
    """The area a change of rights reaches into: of the object it is about, by what the event calls it ("workflow intake")."""
    if "area" in data:
        return str(data["area"])
    if name.startswith(_OF_PEOPLE):
        return "people"
    what = str(data.get("what", ""))
    kind = next((word for word in areas if what.startswith(f"{word} ")), "")
    return what.removeprefix("area ") if what.startswith("area ") else areas.get(kind, "access")


def _written(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%MZ")
