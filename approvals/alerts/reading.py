"""Episodes, rules and silences as one person may see them: for pages, API and command line. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from django.db.models import Count, Q, QuerySet

from aegis.core import canonical, clock
from aegis.core.errors import Fault, Invalid
from aegis.core.visibility import Viewer
from approvals.alerts.kind import said
from approvals.alerts.models import Alert, Episode, Silence
from audit import journal
from audit.models import Event, Payload

PAGE: Final = 50
#: What lists ask for -> the episodes.
SHOWN: Final[Mapping[str, Q]] = {
    "open": Q(ended_at=None),
    "firing": Q(status=Episode.Status.FIRING),
    "acknowledged": Q(status=Episode.Status.ACKNOWLEDGED),
    "resolved": Q(status=Episode.Status.RESOLVED),
    "all": Q(),
}


@dataclass(frozen=True, slots=True)
class Page:
    """`following` is the `before` of the next page; "" on the last."""

    episodes: list[Episode]
    following: str


@dataclass(frozen=True, slots=True)
class RuleStands:
    """A rule as a list shows it.

    Attributes:
        firing, acknowledged: open episodes that the reader may see.
        silence: the one that silences all of it now.
    """

    alert: Alert
    sentences: list[str]
    firing: int
    acknowledged: int
    silence: Silence | None


@dataclass(frozen=True, slots=True)
class Step:
    """One event of an episode. `text` is a person's note, or what was found; "" once erased."""

    event: Event
    text: str


@dataclass(frozen=True, slots=True)
class Story:
    """Steps of an episode in their order; `older` is the `before` of those before them, "" if there are none."""

    steps: list[Step]
    older: str


def episodes(user: Viewer, *, show: str = "open", rule: str = "") -> QuerySet[Episode]:
    """
    Raises:
        Invalid: there is no such list.
    """
    if show not in SHOWN:
        raise Invalid("There is no such list of alerts", faults=[Fault("status", f"one of {', '.join(SHOWN)}")])
    rows = Episode.objects.visible_to(user).filter(SHOWN[show])
    return rows.filter(rule=rule) if rule else rows


def page(rows: QuerySet[Episode], *, before: str = "", limit: int = PAGE) -> Page:
    """The newest of `episodes`, by when they began.

    Raises:
        Invalid: `before` is no page.
    """
    if before:
        moment, last = _place(before)
        rows = rows.filter(Q(started_at__lt=moment) | Q(started_at=moment, pk__lt=last))
    found = list(rows.select_related("acknowledged_by").order_by("-started_at", "-id")[: limit + 1])
    shown = found[:limit]
    return Page(shown, f"{shown[-1].started_at.isoformat()},{shown[-1].pk}" if len(found) > limit else "")


def counted(user: Viewer) -> dict[str, int]:
    """Status -> how many open episodes the reader may see. One query beside his rights."""
    rows = Episode.objects.visible_to(user).filter(ended_at=None).order_by()
    return {"firing": 0, "acknowledged": 0, **dict(rows.values_list("status").annotate(Count("pk")))}


def rules(user: Viewer) -> list[RuleStands]:
    """Every rule the reader may see, by name. Three queries beside his rights."""
    seen = Q(episodes__in=Episode.objects.visible_to(user).filter(ended_at=None))
    rows = Alert.objects.visible_to(user).select_related("judged").order_by("name")
    rows = rows.annotate(
        firing=Count("episodes", filter=seen & Q(episodes__status=Episode.Status.FIRING)),
        taken_on=Count("episodes", filter=seen & Q(episodes__status=Episode.Status.ACKNOWLEDGED)),
    )
    silenced = {row.alert_id: row for row in standing_silences(user).filter(group_key="")}
    return [
        RuleStands(
            row,
            said(canonical.parse(row.document)),
            row.firing,
            row.taken_on,
            silenced.get(row.pk),
        )
        for row in rows
    ]


def standing_silences(user: Viewer) -> QuerySet[Silence]:
    """Those in force now, the next to end first."""
    rows = Silence.objects.visible_to(user).filter(ended_at=None, ends_at__gt=clock.now(), alert__isnull=False)
    return rows.select_related("by").order_by("ends_at", "pk")


def silences_of(user: Viewer, episode: Episode) -> list[Silence]:
    """Those in force that this episode falls under."""
    mine = Q(group_key="") | Q(group_key=episode.group_key)
    return list(standing_silences(user).filter(mine, alert=episode.alert_id))


def reasons(rows: Sequence[Silence]) -> dict[UUID, str]:
    """Why each was placed; without those whose text was erased. One query."""
    wanted = Q(pk__in=[])
    for row in rows:
        stream, _, seq = row.place.rpartition("/")
        wanted |= Q(stream=stream, seq=int(seq), name="reason")
    kept = Payload.objects.filter(wanted, erased_at__isnull=True).values_list("stream", "seq", "body")
    told = {f"{stream}/{seq}": canonical.parse(body) for stream, seq, body in kept}
    return {row.pk: told[row.place] for row in rows if row.place in told}


def history(episode: Episode, *, before: str = "", limit: int = PAGE) -> Story:
    """What happened last to an episode the reader was shown, or before a place in its stream. Two queries.

    Raises:
        Invalid: `before` is no place.
    """
    if before and not (before.isascii() and before.isdigit() and len(before) < 10):
        raise Invalid("`before` is no page", faults=[Fault("before", "use `next` of the page before")])
    rows = Event.objects.filter(stream=episode.stream, **({"seq__lt": int(before)} if before else {}))
    found = list(rows.order_by("-seq")[: limit + 1])
    shown = found[:limit][::-1]
    kept = journal.payloads(episode.stream, [event.seq for event in shown])
    return Story([Step(event, _text(kept, event)) for event in shown], str(shown[0].seq) if len(found) > limit else "")


def _text(kept: Mapping[tuple[int, str], bytes], event: Event) -> str:
    if (note := kept.get((event.seq, "note"))) is not None:
        return str(canonical.parse(note))
    finding = kept.get((event.seq, "finding"))
    return str(canonical.parse(finding)["words"]) if finding is not None else ""


def _place(before: str) -> tuple[datetime, UUID]:
    moment, _, last = before.partition(",")
    try:
        at, pk = datetime.fromisoformat(moment), UUID(last)
        at.astimezone(UTC)  # years that UTC does not have
    except (ValueError, OverflowError):
        raise Invalid("`before` is no page", faults=[Fault("before", "use `next` of the page before")]) from None
    if at.tzinfo is None:
        raise Invalid("`before` is no page", faults=[Fault("before", "use `next` of the page before")])
    return at, pk
