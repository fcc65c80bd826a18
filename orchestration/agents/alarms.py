"""What is wrong with agents that nobody would notice before it hurts: nobody answers for one, or nothing signs its calls.

Computed when asked, from what stands: there is no state that could be forgotten.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.contrib.auth.models import Group
from django.db.models import Exists, OuterRef, QuerySet

from aegis.core import canonical, clock
from aegis.core.canonical import Json
from aegis.core.visibility import Viewer
from orchestration.agents import credentials
from orchestration.agents.models import Agent, AgentCredential

SOON: Final = timedelta(days=14)  # an alarm this long before the last secret ends


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that is wrong with one agent.

    Attributes:
        code: owner_left, owner_without_group, no_secret, secret_ends, secret_ended, secret_lost.
        tone: "red" where it hurts now, "amber" where it will.
        until: when it begins to hurt; None where it does already, or nobody knows.
    """

    agent_id: UUID
    agent: str
    code: str
    tone: str
    words: str
    remedy: str
    until: datetime | None = None


def of_all(user: Viewer) -> list[Alarm]:
    """Alarms of every agent that a person may see, the worst first. Two queries."""
    return _alarms(Agent.objects.visible_to(user))


def of_one(agent: Agent) -> list[Alarm]:
    return _alarms(Agent.objects.filter(pk=agent.pk))


def _alarms(agents: QuerySet[Agent]) -> list[Alarm]:
    now = clock.now()
    has_group = Exists(Group.objects.filter(user=OuterRef("owner")))
    rows = list(agents.select_related("owner").annotate(owner_has_group=has_group).order_by("name"))
    connectors = {row.pk: canonical.parse(row.document)["spec"]["connector"] for row in rows}
    issued = _issued([pk for pk, connector in connectors.items() if "http" in connector])
    found: list[Alarm] = []
    for row in rows:
        found += _of_owner(row)
        if row.is_enabled and "http" in connectors[row.pk]:
            found += _of_secrets(row, connectors[row.pk]["http"], issued[row.pk], now)
    return sorted(found, key=lambda alarm: (alarm.tone != "red", alarm.agent))


def _issued(ids: Sequence[UUID]) -> Mapping[UUID, list[AgentCredential]]:
    """Those not revoked, by agent."""
    found: defaultdict[UUID, list[AgentCredential]] = defaultdict(list)
    if ids:
        for row in AgentCredential.objects.filter(agent__in=ids, revoked_at__isnull=True):
            found[row.agent_id].append(row)
    return found


def _of_owner(row: Agent) -> Iterable[Alarm]:
    remedy = "Name another owner in its document; that needs two people."
    if not row.owner.is_active:
        words = f"Its owner {row.owner.display_name} has left: nobody answers for it, and it gets no new grants."
        yield Alarm(row.pk, row.name, "owner_left", "red", words, remedy)
    elif not getattr(row, "owner_has_group", True):
        words = f"Its owner {row.owner.display_name} is in no group any more, so may do nothing about it."
        yield Alarm(row.pk, row.name, "owner_without_group", "red", words, remedy)


def _of_secrets(row: Agent, spec: Mapping[str, Json], issued: Sequence[AgentCredential], now: datetime) -> Iterable[Alarm]:
    """Nothing where its document names a secret of the environment: that one has no end, and lint looks after it."""
    if "secret" in spec:
        return
    issue = "Issue a new signing secret on its page, and give it to whoever runs the agent."
    valid = [one for one in issued if one.expires_at > now]
    good = [one for one in valid if credentials.remade(one) is not None]
    last = max((one.expires_at for one in good), default=None)
    if last is not None and last - now < SOON:
        yield Alarm(row.pk, row.name, "secret_ends", "amber", "Its last signing secret ends soon.", issue, last)
    elif last is None and valid:
        words = "Its signing secrets were made with another secret of this installation and cannot be made again."
        yield Alarm(row.pk, row.name, "secret_lost", "red", words, f"Give AEGIS its former secret as a fall-back. Or: {issue}")
    elif last is None and issued:
        yield Alarm(row.pk, row.name, "secret_ended", "red", "Its signing secret has ended: no call to it is made.", issue)
    elif last is None:
        yield Alarm(row.pk, row.name, "no_secret", "red", "It has no signing secret: no call to it is made.", issue)
