"""Judging rules as windows close, and states as they stand. Called by a thread of every worker.

Exactly one judgement per rule and window: what is found is computed without a lock, for closed windows say the same whenever
they are asked, and is written in the transaction that moves `Judged.until` on from where the computation began. Whoever comes
second finds it moved, and writes nothing; a crash before the commit leaves it where it was.

A window is judged once everything that happened in it is counted: by the place of the metrics' follower, not by the clock. What
was read of metrics that are emptied and counted again meanwhile is thrown away, however fast that went.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog
from django.db import InterfaceError, OperationalError

from aegis.core import canonical, clock
from aegis.core.db import in_transaction
from aegis.core.errors import Invalid
from approvals.alerts import addresses, episodes, seeing, workflows
from approvals.alerts.episodes import Found, Judgement
from approvals.alerts.findings import Told
from approvals.alerts.models import NEVER, Alert, Episode, Judged
from audit import following
from audit.alerts import counted, documents, states, telling, wording
from audit.alerts.evaluation import Finding, History, badness, evaluate
from audit.alerts.rules import Rule, StateRule
from audit.alerts.states import Standing
from audit.metrics import projection

log = structlog.get_logger(__name__)

Asked = Callable[[], bool]

PAUSE: Final = 20.0  # seconds between looks
#: A transaction may commit an event this much after the moment it carries.
SETTLING: Final = timedelta(minutes=2)
#: Windows of one rule that one look judges at most: who was away for a month catches up in several.
AT_ONCE: Final = 48


@dataclass(frozen=True, slots=True)
class _Due:
    """A rule and the windows of it that are to be judged: from `first` (hours since 1970) until `until`.

    Attributes:
        generation: of the metrics (`following.generation`), asked before anything else about them.
    """

    alert: Alert
    rule: Rule
    first: int
    until: int
    generation: int


class Watch:
    """Where this process stands: it looks every `PAUSE` seconds, one thread at a time."""

    def __init__(self) -> None:
        self._at, self._judging = float("-inf"), threading.Lock()

    def look(self, is_over: Asked) -> int:
        if not self._judging.acquire(blocking=False):
            return 0
        try:
            now = clock.monotonic()
            if now - self._at < PAUSE:
                return 0
            self._at = now
            return judge(is_over)
        finally:
            self._judging.release()


_watch = Watch()


def watch(is_over: Asked) -> int:
    """Called by a thread of every worker. Returns how many episodes began, went on or ended."""
    return _watch.look(is_over)


def judge(is_over: Asked = lambda: False) -> int:
    """Everything that is due. A rule that breaks keeps no other from its turn.

    Args:
        is_over: the process shall end: what is not written yet is left to the next one.

    Raises:
        OperationalError, InterfaceError: the database itself does not answer.
    """
    now = clock.db_now()
    rows = list(Alert.objects.select_related("judged").order_by("name"))
    changed = _end_removed(now) + sum(_each(row, partial(_end_unread, row)) for row in rows if _rule(row) is None)
    read = {row.pk: rule for row in rows if (rule := _rule(row)) is not None}
    begun = [row for row in rows if row.pk in read and _is_begun(row)]
    for row in rows:
        if row.pk in read and row not in begun:
            changed += _each(row, partial(_begin, row, now))
    # States first: each is a look at what stands now, and windows may be many.
    changed += _states([(row, rule) for row in begun if isinstance(rule := read[row.pk], StateRule)], is_over)
    return changed + _windows([(row, rule) for row in begun if isinstance(rule := read[row.pk], Rule)], is_over)


def counted_until() -> int:
    """Hours since 1970: everything that happened before is in the metrics."""
    now = clock.db_now()
    behind = following.lag(projection.NAME)
    return projection.hour_number(min(now, behind.since or now) - SETTLING)


def _windows(rules: Sequence[tuple[Alert, Rule]], is_over: Asked) -> int:
    # In this order: a rebuild that began after it is seen by its generation, one that goes on by how far it has come.
    generation = following.generation(projection.NAME)
    until = counted_until() if rules else 0
    by_workflow: defaultdict[str, list[_Due]] = defaultdict(list)
    for row, rule in rules:
        first = row.judged.until
        count = min((until - first) // rule.hours, AT_ONCE)
        if count > 0:
            by_workflow[rule.workflow].append(_Due(row, rule, first, first + count * rule.hours, generation))
    changed = 0
    for name, due in by_workflow.items():
        if is_over():
            break
        workflow = workflows.id_of(name)
        history = _history(due, workflow)
        for one in due:
            changed += _each(one.alert, partial(_write_windows, one, history, workflow, is_over))
    return changed


def _history(due: Sequence[_Due], workflow: str | None) -> History:
    """What the rules look at, read once for all. Of a workflow that is gone nothing was counted."""
    if workflow is None:
        return History()
    # Apart from those that are far behind, rules share their hours: one reading for all.
    first, until = min(one.first for one in due), max(one.until for one in due)
    return counted.history([one.rule for one in due], first=first, until=until, workflow=workflow)


def _starts(due: _Due) -> range:
    return range(due.first, due.until, due.rule.hours)


def _write_windows(due: _Due, history: History, workflow: str | None, is_over: Asked) -> int:
    judged = [(start, evaluate(due.rule, history, start)) for start in _starts(due) if not is_over()]
    if is_over():
        return 0

    def work() -> int:
        row = _held(due.alert)
        if row is None or row.until != due.first:
            return 0  # another worker judged them, or the rule is another by now
        if counted_until() < due.until or following.generation(projection.NAME) != due.generation:
            return 0  # the metrics are, or were, made again meanwhile: what was read may be half of it
        now = clock.db_now()
        writing = episodes.of_rule(due.alert, now, is_state=False)
        for start, found in judged:
            end = addresses.hour(start + due.rule.hours)
            writing.take(Judgement(end, [_found(due, one, workflow or "") for one in found]))
        changed = writing.write()
        Judged.objects.filter(pk=row.pk).update(until=due.until, at=now)
        return changed

    return in_transaction(work)


def _found(due: _Due, finding: Finding, workflow: str) -> Found:
    usual = finding.usual
    start = addresses.hour(finding.start)
    told = Told(
        start=start,
        end=start + timedelta(hours=finding.hours),
        value=finding.value,
        rests_on=finding.rests_on,
        badness=badness(due.rule, finding),
        words=telling.said(due.rule, finding),
        address=addresses.behind(due.rule, finding, workflow),
        center=usual.center if usual else None,
        spread=usual.spread if usual else None,
        samples=usual.samples if usual else None,
    )
    group = tuple(zip(wording.dimensions(due.rule), finding.group, strict=True))
    return Found(group, told, *(("workflow", workflow) if workflow else (seeing.SCOPE, str(due.alert.pk))))


def _states(rules: Sequence[tuple[Alert, StateRule]], is_over: Asked) -> int:
    """Each state is looked at once, however many rules are about it."""
    looked: dict[tuple[str, timedelta], tuple[datetime, Sequence[Standing]]] = {}
    changed = 0
    for row, rule in rules:
        now = clock.db_now()
        if is_over():
            break
        if now - row.judged.at < timedelta(seconds=PAUSE / 2):
            continue  # another worker looked a moment ago
        changed += _each(row, partial(_look, row, rule, looked))
    return changed


def _look(alert: Alert, rule: StateRule, looked: dict[tuple[str, timedelta], tuple[datetime, Sequence[Standing]]]) -> int:
    state = states.get(rule.state)
    if state is None:
        return 0
    within = rule.within or state.within or timedelta()
    if (state.name, within) not in looked:
        moment = clock.db_now()  # before the look: what is seen is at least as new
        looked[state.name, within] = moment, state.look(moment, within)
    moment, stands = looked[state.name, within]
    wanted = [one for one in stands if not rule.only or one.group[0] in rule.only]
    found = [_standing(state.dimensions, one, moment) for one in wanted]

    def work() -> int:
        row = _held(alert)
        if row is None or row.at >= moment:
            return 0  # a look that was later than this one has been written
        writing = episodes.of_rule(alert, moment, is_state=True)
        writing.take(Judgement(moment, _most(found, writing.live)))
        changed = writing.write()
        Judged.objects.filter(pk=row.pk).update(until=projection.hour_number(moment), at=moment)
        return changed

    return in_transaction(work)


def _most(found: Sequence[Found], live: Collection[str]) -> list[Found]:
    """The worst, `states.MOST` of them; but what fires already stays in while it stands, or things beside the border would fire
    and be over with every look."""
    return sorted(found, key=lambda one: one.key not in live)[: states.MOST]


def _standing(names: Sequence[str], one: Standing, moment: datetime) -> Found:
    told = Told(moment, moment, one.value, 0, one.value, one.words, one.address)
    return Found(tuple(zip(names, one.group, strict=True)), told, one.scope, one.scope_id)


def _held(alert: Alert) -> Judged | None:
    """The row of a rule, locked; None if the rule is gone, or is no longer the document that was judged."""
    held = Judged.objects.select_for_update(of=("self",)).select_related("alert").filter(pk=alert.pk).first()
    return held if held is not None and held.digest == held.alert.basis == alert.basis else None


def _is_begun(row: Alert) -> bool:
    judged: Judged | None = getattr(row, "judged", None)
    return judged is not None and judged.digest == row.basis


def _begin(alert: Alert, now: datetime) -> int:
    """A rule that is new begins with the window that goes on. One that is another by now begins where the former one was judged
    last, with the window that this hour lies in: no closed window is left out. What the former one found is over."""
    hour, hours = projection.hour_number(now), max(alert.hours, 1)
    until = hour - hour % hours

    def work() -> int:
        Judged.objects.bulk_create([Judged(alert=alert, digest="", until=until, at=NEVER)], ignore_conflicts=True)
        row = Judged.objects.select_for_update(of=("self",)).select_related("alert").get(pk=alert.pk)
        if row.digest == row.alert.basis or row.alert.basis != alert.basis:
            return 0
        writing = episodes.of_rule(alert, now, is_state=alert.hours == 0)
        writing.end_all("changed")
        changed = writing.write()
        begin = min(until, row.until - row.until % hours)
        Judged.objects.filter(pk=row.pk).update(digest=alert.basis, until=begin, at=NEVER)
        return changed

    return in_transaction(work)


def _end_removed(now: datetime) -> int:
    """Episodes whose rule was removed are over; nobody is told, for the removal was."""
    if not Episode.objects.filter(alert=None, ended_at=None).exists():
        return 0

    def work() -> int:
        rows = list(Episode.objects.select_for_update().filter(alert=None, ended_at=None)[: episodes.CHUNK])
        return episodes.end_removed(rows, now)

    return in_transaction(work)


def _end_unread(alert: Alert) -> int:
    """What a rule found that nobody can judge any more is over; should it be read again, it goes on where it was."""
    if not Episode.objects.filter(alert=alert, ended_at=None).exists():
        return 0

    def work() -> int:
        if Judged.objects.select_for_update().filter(alert=alert).first() is None:
            return 0
        writing = episodes.of_rule(alert, clock.db_now(), is_state=alert.hours == 0)
        writing.end_all("unreadable")
        return writing.write()

    return in_transaction(work)


def _rule(row: Alert) -> Rule | StateRule | None:
    try:
        return documents.read(canonical.parse(row.document))
    except Invalid as fault:  # it was sound when applied: a room no longer counts what it names
        log.warning("alert_not_judged", alert=row.name, fault=str(fault))
        return None


def _each(row: Alert, work: Callable[[], int]) -> int:
    try:
        return work()
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        log.exception("alert_not_judged", alert=row.name)
        return 0
