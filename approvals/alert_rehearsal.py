"""`manage.py aegis alerts ...`: what rules in files would have said of the past. Reads only."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any, Final

from aegis.core import clock, commands, manifests
from aegis.core.commands import Terminal
from aegis.core.errors import Fault, Invalid
from aegis.core.manifests import Manifest
from approvals import shapes
from audit import following
from audit.alerts import counted, documents, telling
from audit.alerts.evaluation import evaluate
from audit.alerts.rules import Rule
from audit.alerts.telling import Episode
from audit.metrics import projection

MOST_DAYS: Final = 90
SHOWN: Final = 20


def register() -> None:
    commands.register("alerts", "Try rules of alerts over the past.", add_arguments, handle)


def add_arguments(parser: ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="verb", required=True)
    rehearse = verbs.add_parser("rehearse", help="say when the rules of some manifests would have fired")
    rehearse.add_argument("paths", nargs="+", help="files or folders with manifests of the kind Alert")
    rehearse.add_argument("--days", type=int, default=30, help=f"how far back, 1 to {MOST_DAYS}; 30 if not given")


def handle(options: dict[str, Any], terminal: Terminal) -> int:
    if not 1 <= options["days"] <= MOST_DAYS:
        terminal.note(f"--days is 1 to {MOST_DAYS}")
        return 2
    rules = [_rule(one) for one in manifests.read_paths(options["paths"]) if one.key.kind == documents.KIND]
    if not rules:
        terminal.note(f"No manifest of the kind {documents.KIND} there")
        return 2
    behind = following.lag(projection.NAME)
    if behind.is_late:
        terminal.note(f"The metrics are {behind.events:,} events behind: what those count is missing here.")
    now = projection.hour_number(clock.db_now())
    for rule, found in rehearsed(rules, days=options["days"], now=now):
        _tell(rule, found, options["days"], terminal)
    return 0


def rehearsed(rules: list[Rule], *, days: int, now: int) -> list[tuple[Rule, list[Episode]]]:
    """When each rule would have fired in the closed windows of the last days.

    Args:
        now: the hour that is not over yet; no window that reaches into it is judged.
    """
    first = now - days * 24
    history = counted.history(rules, first=first, until=now)
    found = []
    for rule in rules:
        starts = range(first + -first % rule.hours, now - rule.hours + 1, rule.hours)
        found.append((rule, telling.episodes(one for start in starts for one in evaluate(rule, history, start))))
    return found


def _rule(manifest: Manifest) -> Rule:
    faults = list(shapes.faults_of(documents.KIND, documents.SCHEMA, manifest.document))
    if not faults:
        try:
            return documents.load(manifest.document)
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
