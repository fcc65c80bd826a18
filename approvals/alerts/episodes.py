"""What judgements make of episodes: begun, gone on, over. One rule a time, in the transaction that moves how far it is judged.

Episodes, their events and the notices about them are written together, in as many statements for many groups as for
one (in chunks beyond what a database takes at once).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from aegis.core.actors import SYSTEM, Actor
from aegis.core.canonical import Json
from approvals.alerts import findings, silences
from approvals.alerts.findings import Pairs, Told
from approvals.alerts.models import Alert, Episode
from approvals.alerts.silences import Quiet
from approvals.notices import posting
from approvals.notices.models import Notice
from audit import chain, journal
from audit.drafts import Context, Draft, Head

#: What ended longer ago when it is judged is recorded, and told nobody: the alarm would be about yesterday.
STALE: Final = timedelta(hours=24)
CHUNK: Final = 200
_MOVED: Final = (
    "status", "is_silenced", "last_at", "ended_at", "ended_because", "windows", "worst", "last", "fired_notice",
    "resolved_notice", "seq", "head",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """One group against which a rule holds, and under which scope that may be known."""

    group: Pairs
    told: Told
    scope: str
    scope_id: str = ""

    @property
    def key(self) -> str:
        return findings.key_of(self.group, self.scope, self.scope_id)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one look at a rule says: of a window (`end`), or of what stands at a moment."""

    end: datetime
    found: Sequence[Found] = ()


@dataclass(slots=True)
class Writing:
    """The open episodes of one rule, as judgements change them in memory. `write` commits it all to the caller's transaction.

    Attributes:
        is_state: judged as it stands: an episode is told of again once an hour, not at every look.
    """

    alert: Alert
    now: datetime
    is_state: bool
    quiet: Quiet
    live: dict[str, Episode]
    made: list[Episode] = field(default_factory=list)
    drafts: dict[uuid.UUID, list[Draft]] = field(default_factory=dict)
    touched: dict[uuid.UUID, Episode] = field(default_factory=dict)
    fired: list[Episode] = field(default_factory=list)
    resolved: list[Episode] = field(default_factory=list)

    def take(self, judgement: Judgement) -> None:
        """Windows come in their order."""
        found = {one.key: one for one in judgement.found}
        for key, one in found.items():
            if key in self.live:
                self._continue(self.live[key], one.told)
            else:
                self.live[key] = self._begin(key, one)
        for key in [key for key in self.live if key not in found]:
            self._end(self.live.pop(key), judgement.end, "over")

    def end_all(self, because: str) -> None:
        """The rule is another now, or gone: what it found is no longer watched."""
        for episode in self.live.values():
            self._end(episode, self.now, because)
        self.live.clear()

    def write(self) -> int:
        """Everything that changed. Returns how many episodes."""
        if not self.touched:
            return 0
        for episodes, kind, name in (
            (self.fired, Notice.Kind.FIRED, "fired_notice"),
            (self.resolved, Notice.Kind.RESOLVED, "resolved_notice"),
        ):
            notice = posting.post_alert(self.alert, kind, self.now) if episodes else None
            for one in episodes:
                setattr(one, name, notice)
        append(self.touched.values(), self.drafts, self.now)
        new = {one.pk for one in self.made}
        Episode.objects.bulk_create(self.made, batch_size=CHUNK)
        Episode.objects.bulk_update([one for pk, one in self.touched.items() if pk not in new], _MOVED, batch_size=CHUNK)
        return len(self.touched)

    def _begin(self, key: str, one: Found) -> Episode:
        silence = self.quiet.of(key)
        is_told = silence is None and self._is_fresh(one.told.end)
        kept = one.told.as_json()
        episode = Episode(
            id=uuid.uuid4(), alert=self.alert, rule=self.alert.name, title=self.alert.title, digest=self.alert.digest,
            group=[list(pair) for pair in one.group], group_key=key, scope=one.scope, scope_id=one.scope_id,
            is_silenced=not is_told, started_at=one.told.start, last_at=one.told.end, first=kept, worst=kept, last=kept,
        )  # fmt: skip
        self.made.append(episode)
        if is_told:
            self.fired.append(episode)
        more: dict[str, Json] = {"digest": self.alert.digest} | ({"silenced": str(silence)} if silence else {})
        self._say(episode, "alert.fired", one.told, more)
        return episode

    def _continue(self, episode: Episode, told: Told) -> None:
        is_told = episode.is_silenced and self.quiet.of(episode.group_key) is None and self._is_fresh(told.end)
        if self.is_state and not is_told and _hour(told.end) == _hour(episode.last_at):
            return
        episode.last_at, episode.last = told.end, told.as_json()
        episode.windows += 1
        if told.badness > episode.worst["badness"]:
            episode.worst = told.as_json()
        more: dict[str, Json] = {"windows": episode.windows}
        if is_told:
            episode.is_silenced, more["announced"] = False, True
            self.fired.append(episode)
        self._say(episode, "alert.continued", told, more)

    def _end(self, episode: Episode, at: datetime, because: str) -> None:
        episode.status, episode.ended_at, episode.ended_because = Episode.Status.RESOLVED, at, because
        if not episode.is_silenced and self.quiet.of(episode.group_key) is None and episode not in self.fired:
            self.resolved.append(episode)
        data: dict[str, Json] = {**_about(episode), "because": because, "windows": episode.windows}
        self._add(episode, Draft("alert.resolved", SYSTEM, data, outcome=because))

    def _is_fresh(self, end: datetime) -> bool:
        return self.now - end < STALE

    def _say(self, episode: Episode, kind: str, told: Told, more: Mapping[str, Json]) -> None:
        payloads = {"finding": findings.payload_of(findings.pairs_of(episode.group), told)}
        self._add(episode, Draft(kind, SYSTEM, {**_about(episode), **told.data(), **more}, payloads))

    def _add(self, episode: Episode, draft: Draft) -> None:
        self.touched[episode.pk] = episode
        self.drafts.setdefault(episode.pk, []).append(draft)


def of_rule(alert: Alert, now: datetime, *, is_state: bool) -> Writing:
    """What is open of a rule whose `Judged` row the caller holds locked. Two queries."""
    # Locked: somebody may take one of them on at this moment.
    rows = Episode.objects.select_for_update().filter(alert=alert, ended_at=None).order_by("pk")
    return Writing(alert, now, is_state, silences.standing(alert.pk, now), {row.group_key: row for row in rows})


def end_removed(rows: Sequence[Episode], now: datetime) -> int:
    """Close episodes, held locked, whose rule is no more. Returns how many."""
    drafts: dict[uuid.UUID, list[Draft]] = {}
    for row in rows:
        row.status, row.ended_at, row.ended_because = Episode.Status.RESOLVED, now, "removed"
        data: dict[str, Json] = {**_about(row), "because": "removed", "windows": row.windows}
        drafts[row.pk] = [Draft("alert.resolved", SYSTEM, data, outcome="removed")]
    append(rows, drafts, now)
    Episode.objects.bulk_update(rows, _MOVED, batch_size=CHUNK)
    return len(rows)


def append(rows: Iterable[Episode], drafts: Mapping[uuid.UUID, Sequence[Draft]], now: datetime) -> None:
    """Put events behind the streams of some episodes, and move the heads in memory. Two statements, however many."""
    lines: list[chain.Line] = []
    for row in rows:
        context = Context(stream=row.stream, scope=row.scope, scope_id=row.scope_id)
        more, head = chain.seal(context, Head(row.seq, row.head), drafts[row.pk], now, journal.new_salts())
        row.seq, row.head = head.seq, head.leaf
        lines += more
    journal.write(lines)


def say(row: Episode, kind: str, actor: Actor, now: datetime, *, note: bytes) -> None:
    """One event of a person about an episode that the caller holds locked and saves."""
    append([row], {row.pk: [Draft(kind, actor, _about(row), {"note": note})]}, now)


def _about(episode: Episode) -> dict[str, Json]:
    return {"alert": episode.rule, "episode": str(episode.pk)}


def _hour(at: datetime) -> int:
    return int(at.timestamp() // 3600)
