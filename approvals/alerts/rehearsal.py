"""What rules in files would have said of the past. Reads only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from aegis.core import clock, manifests
from aegis.core.commands import Terminal
from aegis.core.errors import Fault, Invalid
from aegis.core.manifests import Manifest
from approvals import shapes
from approvals.alerts import workflows
from audit import following
from audit.alerts import counted, documents, telling
from audit.alerts.evaluation import evaluate
from audit.alerts.rules import Rule, StateRule
from audit.alerts.telling import Episode
from audit.metrics import projection

MOST_DAYS: Final = 90
SHOWN: Final = 20


def rehearse(paths: Sequence[str], days: int, terminal: Terminal) -> int:
    """Say when the rules of some manifests would have fired. Reads only."""
    if not 1 <= days <= MOST_DAYS:
        terminal.note(f"--days is 1 to {MOST_DAYS}")
        return 2
    found = [_rule(one) for one in manifests.read_paths(paths) if one.key.kind == documents.KIND]
    if not found:
        terminal.note(f"No manifest of the kind {documents.KIND} there")
        return 2
    behind = following.lag(projection.NAME)
    if behind.is_late:
        terminal.note(f"The metrics are {behind.events:,} events behind: what those count is missing here.")
    now = projection.hour_number(clock.db_now())
    for state in (one for one in found if isinstance(one, StateRule)):
        terminal.line(f"{state.name}: is judged as it stands; there is no past to try it over.")
    for rule, episodes in rehearsed([one for one in found if isinstance(one, Rule)], days=days, now=now):
        _tell(rule, episodes, days, terminal)
    return 0


def rehearsed(rules: list[Rule], *, days: int, now: int) -> list[tuple[Rule, list[Episode]]]:
    """When each rule would have fired in the closed windows of the last days.

    Args:
        now: the hour that is not over yet; no window that reaches into it is judged.
    """
    first = now - days * 24
    by_workflow: defaultdict[str, list[Rule]] = defaultdict(list)
    for rule in rules:
        by_workflow[rule.workflow].append(rule)
    found = []
    for name, some in by_workflow.items():
        workflow = workflows.id_of(name)
        if workflow is None:
            found += [(rule, list[Episode]()) for rule in some]
            continue
        history = counted.history(some, first=first, until=now, workflow=workflow)
        for rule in some:
            starts = range(first + -first % rule.hours, now - rule.hours + 1, rule.hours)
            found.append((rule, telling.episodes(one for start in starts for one in evaluate(rule, history, start))))
    return found


def _rule(manifest: Manifest) -> Rule | StateRule:
    faults = list(shapes.faults_of(documents.KIND, documents.SCHEMA, manifest.document))
    if not faults:
        try:
            return documents.read(manifest.document)
        except Invalid as error:
            faults = list(error.faults)
    raise _located(manifest, faults)


def _located(manifest: Manifest, faults: list[Fault]) -> Invalid:
    placed = [manifest.locate(fault) for fault in faults]
    return Invalid("; ".join(map(str, placed)), faults=placed)


def _tell(rule: Rule, found: list[Episode], days: int, terminal: Terminal) -> None:
    times = f"{len(found):,} {'time' if len(found) == 1 else 'times'}"
    terminal.line(f"{rule.name}: would have fired {times} in {days} days. {telling.statistic(rule)}")
    for episode in found[:SHOWN]:
        start = datetime.fromtimestamp(episode.start * 3600, UTC)
        about = f" {', '.join(episode.group)}:" if episode.group else ""
        hours = episode.end - episode.start
        terminal.line(f"  {start:%Y-%m-%d %H:%M} UTC, {hours} h:{about} {telling.said(rule, episode.findings[0])}")
    if len(found) > SHOWN:
        terminal.line(f"  … and {len(found) - SHOWN:,} more")
