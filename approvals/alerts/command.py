"""`manage.py aegis alerts ...`: what fires, judging at once, silences, and what rules in files would have said of the past.

Exit codes: 0 done, and nothing fires where that was asked; 1 something fires; 2 wrong use, or no right to.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any, Final

from aegis.core import clock, commands, durations
from aegis.core.commands import Terminal
from aegis.identity import cli
from approvals.alerts import judging, notices, rehearsal, verbs
from approvals.alerts.models import Episode

SHOWN: Final = 50


def register() -> None:
    """Called from `AppConfig.ready()`."""
    commands.register("alerts", "Say what fires, judge now, silence, or try rules over the past.", add_arguments, handle)


def add_arguments(parser: ArgumentParser) -> None:
    verbs_ = parser.add_subparsers(dest="verb", metavar="verb", required=True)
    verbs_.add_parser("list", help="what fires now, of all rules; exit code 1 if anything does")
    verbs_.add_parser("evaluate", help="judge what is due now, as every worker does")
    rehearse = verbs_.add_parser("rehearse", help="say when the rules of some manifests would have fired")
    rehearse.add_argument("paths", nargs="+", help="files or folders with manifests of the kind Alert")
    rehearse.add_argument("--days", type=int, default=30, help=f"how far back, 1 to {rehearsal.MOST_DAYS}; 30 if not given")
    silence = verbs_.add_parser("silence", help="tell nobody what a rule finds, until an end")
    silence.add_argument("rule", help="its name")
    silence.add_argument("--for", dest="length", required=True, metavar="LENGTH", help="such as 4h; 30 days at most")
    silence.add_argument("--as", default="", metavar="USERNAME", help="the person who acts")
    silence.add_argument("--reason", default="", help="why; recorded")


def handle(options: dict[str, Any], terminal: Terminal) -> int:
    match options["verb"]:
        case "list":
            return _list(terminal)
        case "evaluate":
            terminal.line(f"{judging.judge():,} episodes began, went on or ended.")
            return 0
        case "silence":
            return _silence(options, terminal)
        case _:
            return rehearsal.rehearse(options["paths"], options["days"], terminal)


def _list(terminal: Terminal) -> int:
    rows = list(Episode.objects.filter(ended_at=None).order_by("started_at", "pk")[: SHOWN + 1])
    for row in rows[:SHOWN]:
        about = f" {notices.group_words(row)}:" if row.group else ""
        terminal.line(f"{row.label} {row.rule}, {row.get_status_display()}, since {row.started_at:%Y-%m-%d %H:%M} UTC:{about}"
                      f" {row.last['words']}")  # fmt: skip
    if len(rows) > SHOWN:
        terminal.line("… and more")
    if not rows:
        terminal.line("Nothing fires.")
    return int(bool(rows))


def _silence(options: dict[str, Any], terminal: Terminal) -> int:
    person = cli.person_named(options["as"], hint="say who acts with --as USERNAME")
    until = clock.db_now() + durations.parse(options["length"])
    row = verbs.silence_rule(options["rule"], until=until, actor=cli.actor_for(person), reason=options["reason"])
    terminal.line(f"{row.rule} is silent until {row.ends_at:%Y-%m-%d %H:%M} UTC.")
    return 0
