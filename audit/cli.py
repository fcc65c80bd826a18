"""`manage.py aegis journal ...`."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from aegis.core.actors import Actor
from aegis.core.commands import Terminal
from audit import verifications
from audit.verify import Report

ON_THE_COMMAND_LINE = Actor(kind="system", auth="cli")


def add_arguments(parser: ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="verb", required=True)
    verify = verbs.add_parser("verify", help="check the record; exit code 1 and the first bad event if something is wrong")
    verify.add_argument("--stream", default=None, help="one stream only, such as run:<uuid>")
    verify.add_argument("--json", action="store_true", help="print the report as JSON")
    verbs.add_parser("protect", help="install append-only triggers that aegis.E020 reports as missing or changed")


def handle(options: dict[str, Any], terminal: Terminal) -> int:
    return _protect(terminal) if options["verb"] == "protect" else _verify(options, terminal)


def _verify(options: dict[str, Any], terminal: Terminal) -> int:
    def progress(done: int) -> None:
        if not options["json"]:
            terminal.err.write(f"\r{done:,} events")
            terminal.err.flush()

    report = verifications.run(ON_THE_COMMAND_LINE, options["stream"], on_progress=progress)
    if options["json"]:
        terminal.line(json.dumps(report.as_json(), indent=2))
    else:
        _tell(report, terminal)
    return 0 if report.is_good else 1


def _tell(report: Report, terminal: Terminal) -> None:
    terminal.note("\r" + " " * 30)
    seconds = report.duration_ms / 1000
    scale = f"{report.checked:,} events of {report.streams:,} streams, {report.payloads:,} payloads ({report.erased:,} erased)"
    terminal.line(f"{scale}, {seconds:.1f} s. Checked: {', '.join(report.checks)}.")
    if report.is_good:
        terminal.line("The journal is whole.")
        return
    terminal.line(f"The journal is BROKEN: {report.faults:,} faults. First bad event: {report.first_bad}")
    for problem in report.problems:
        terminal.line(f"  {problem}")


def _protect(terminal: Terminal) -> int:
    found = verifications.protect(ON_THE_COMMAND_LINE)
    for fault in found:
        terminal.line(f"repaired: {fault}")
    terminal.line("Append-only triggers stand." if not found else "Find out who removed them, then verify the journal.")
    return 0
