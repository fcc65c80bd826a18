"""What the approvals inbox must list, from docs/guide/approvals.md alone: a slow reading of plain values, one at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

OPEN = frozenset({"open", "frozen"})  # a halt freezes what waits; it is still open
RISKS = {"high": 0, "medium": 1, "low": 2}
WITHIN = {"1h": timedelta(hours=1), "4h": timedelta(hours=4), "24h": timedelta(days=1)}


@dataclass(frozen=True)
class Asked:
    """One request.

    Attributes:
        policy: its name; `stages` are the groups asked by each of its stages.
        stage: index of the one now voting.
        bound, voted: people who may not decide it, or have.
        words: what its row says, for the search.
    """

    id: str
    policy: str
    stages: tuple[frozenset[str], ...]
    stage: int
    status: str
    risk: str
    agent: str
    capability: str
    place: str
    requester: str | None
    bound: frozenset[str]
    voted: frozenset[str]
    is_short: bool
    opened_at: datetime
    deadline: datetime
    settled_at: datetime | None
    words: tuple[str, ...]


@dataclass(frozen=True)
class Reader:
    """A person with no right on an area: he sees what his groups are asked, and what he asked for himself."""

    id: str
    groups: frozenset[str]


def listed(requests: Iterable[Asked], reader: Reader, wanted: Mapping[str, str], now: datetime) -> list[str]:
    """Ids, in the order of the list.

    Args:
        wanted: as in the address: tab, risk, workflow, policy, agent, capability, requester, due, short, q. A risk, deadline or
            tab that there is not asks for nothing.
    """
    tab = wanted.get("tab", "mine")
    kept = [
        one
        for one in requests
        if _sees(reader, one) and _is_in(tab, one, reader, now) and _fits(one, wanted, now) and _says(one, wanted)
    ]
    return [one.id for one in _ordered(kept, is_done=tab == "done")]


def may_decide(one: Asked, reader: Reader, now: datetime) -> bool:
    if one.status != "open" or one.deadline <= now:
        return False
    if reader.id in one.bound | one.voted or one.requester == reader.id:
        return False
    return bool(one.stages[one.stage] & reader.groups)


def _sees(reader: Reader, one: Asked) -> bool:
    return one.requester == reader.id or any(groups & reader.groups for groups in one.stages)


def _is_in(tab: str, one: Asked, reader: Reader, now: datetime) -> bool:
    if tab == "done":
        return one.status not in OPEN
    if one.status not in OPEN:
        return False
    if tab == "requested":
        return one.requester == reader.id
    is_mine = may_decide(one, reader, now)
    if tab == "waiting":
        return not is_mine and one.requester != reader.id
    return is_mine


def _fits(one: Asked, wanted: Mapping[str, str], now: datetime) -> bool:
    same = {
        "policy": one.policy, "agent": one.agent, "capability": one.capability,
        "workflow": one.place, "requester": one.requester or "",
    }  # fmt: skip
    if any(wanted.get(name) and wanted[name] != value for name, value in same.items()):
        return False
    if wanted.get("risk") in RISKS and one.risk != wanted["risk"]:
        return False
    if wanted.get("due") in WITHIN and one.deadline > now + WITHIN[wanted["due"]]:
        return False
    return one.is_short or not wanted.get("short")


def _says(one: Asked, wanted: Mapping[str, str]) -> bool:
    text = wanted.get("q", "").strip().lower()
    return not text or any(text in said.lower() for said in one.words)


def _ordered(found: Sequence[Asked], *, is_done: bool) -> list[Asked]:
    """Risk, then deadline, then oldest; what is done by when it was settled, newest first."""
    if is_done:
        return sorted(found, key=lambda one: (-(one.settled_at.timestamp() if one.settled_at else 0), one.id))
    return sorted(found, key=lambda one: (RISKS[one.risk], one.deadline, one.opened_at, one.id))
