"""What a notice about an alert says, and to whom. It stands for the episodes of one rule that began, or ended, together."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from aegis.core import canonical, clock_text
from aegis.core.canonical import Json
from aegis.core.visibility import Viewer
from aegis.identity.models import User
from approvals.alerts import addresses
from approvals.alerts.findings import pairs_of
from approvals.alerts.models import Alert, Episode, EpisodeQuerySet
from approvals.notices.models import Notice

MOST_LINES: Final = 10


def answering(alert: Alert) -> Collection[str]:
    """Ids of the people who hear of it, as its document stands now: the members of its group, or its owner."""
    notify = canonical.parse(alert.document)["spec"].get("notify", {})
    people = User.objects.filter(is_active=True)
    if "group" in notify:
        people = people.filter(groups__name=notify["group"])
    elif "owner" in notify:
        people = people.filter(username=notify["owner"])
    else:
        return set()
    return {str(pk) for pk in people.values_list("pk", flat=True)}


def told(notice: Notice, person: Viewer) -> list[Episode]:
    """Its episodes that a person may see, the worst of those that are shown first."""
    return list(_of(notice).visible_to(person).order_by("started_at", "pk"))


def title_of(alert: Alert) -> str:
    return alert.title or alert.name


def summary(rows: Sequence[Episode], notice: Notice) -> str:
    """One line for a mail: each group and what was found of it."""
    shown = [f"{group_words(row)}: {row.last['words']}" if row.group else str(row.last["words"]) for row in rows[:MOST_LINES]]
    more = [f"and {len(rows) - MOST_LINES:,} more"] if len(rows) > MOST_LINES else []
    found = "; ".join([*shown, *more])
    return f"{found}; at {notice.at:%Y-%m-%d %H:%M} UTC"


def group_words(row: Episode) -> str:
    """ "agent clerk, answer failed"."""
    return ", ".join(f"{name} {value or '(none)'}" for name, value in pairs_of(row.group))


def path_to(notice: Notice, person: Viewer | None) -> str:
    """The page of the episode that this person may see, or of the rule's episodes where he may see several: no word of others.

    Args:
        person: None if nobody knows who reads it: then it is the list, however many there are.
    """
    assert notice.alert is not None
    found = list(_of(notice).visible_to(person).values_list("pk", flat=True)[:2]) if person is not None else []
    return addresses.episode(found[0]) if len(found) == 1 else addresses.of_rule(notice.alert.name, is_all=True)


def webhook_body(notice: Notice, link: str) -> dict[str, Json]:
    """Ids and words of configuration only: a group or a count may be somebody's secret, and nobody knows who reads there."""
    assert notice.alert is not None
    return {
        "type": f"alert.{notice.kind}",
        "timestamp": clock_text.render(notice.at),
        "data": {"alert": notice.alert.name, "link": link},
    }


def _of(notice: Notice) -> EpisodeQuerySet:
    by = {"fired_notice": notice} if notice.kind == Notice.Kind.FIRED else {"resolved_notice": notice}
    return Episode.objects.filter(**by)
