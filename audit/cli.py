"""`manage.py aegis journal ...`."""

from __future__ import annotations

import json
import os
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

from aegis.core.actors import SYSTEM, Actor
from aegis.core.commands import Terminal
from audit import checkpoints, keys, verifications
from audit.verify import Report

ON_THE_COMMAND_LINE = Actor(kind="system", auth="cli")


def add_arguments(parser: ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="verb", required=True)
    verify = verbs.add_parser("verify", help="check the record; exit code 1 and the first bad event if something is wrong")
    verify.add_argument("--stream", default=None, help="one stream only, such as run:<uuid>")
    verify.add_argument(
        "--against", type=Path, help="a file with checkpoints kept elsewhere, which must be of this journal too"
    )
    verify.add_argument("--quick", action="store_true", help="bytes, chain, tree and signatures only")
    verify.add_argument("--since-checkpoint", type=int, metavar="SIZE", help="as --quick, of what came after this checkpoint")
    verify.add_argument("--leaves", type=_stretch, metavar="FIRST:END", help="as --quick, of these leaves")
    verify.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes to share the work among")
    verify.add_argument("--scheduled", action="store_true", help="quietly beside other work, in the name of AEGIS itself")
    verify.add_argument("--json", action="store_true", help="print the report as JSON")
    verbs.add_parser("checkpoint", help="print the newest signed checkpoint; keep it where the database's keeper cannot write")
    verbs.add_parser("public-key", help="print the public keys that checkpoints are verified with, the newest first")
    verbs.add_parser("make-key", help="print a new signing key, kept nowhere, for AEGIS_JOURNAL_KEY_FILE")
    rotate = verbs.add_parser("rotate-key", help="sign with a new key, beside the old one until --end-overlap")
    rotate.add_argument("--reason", default="", help="why, for the record")
    rotate.add_argument("--end-overlap", action="store_true", help="forget the old key now")
    verbs.add_parser("protect", help="install append-only triggers that aegis.E020 reports as missing or changed")


def handle(options: dict[str, Any], terminal: Terminal) -> int:
    match options["verb"]:
        case "protect":
            return _protect(terminal)
        case "checkpoint":
            return _checkpoint(terminal)
        case "public-key":
            for verifier in keys.known():
                terminal.line(str(verifier))
        case "make-key":
            terminal.line(keys.make().written())
        case "rotate-key":
            return _rotate(options, terminal)
        case _:
            return _verify(options, terminal)
    return 0


def _stretch(text: str) -> tuple[int, int]:
    first, _, last = text.partition(":")
    if not (first.isdigit() and last.isdigit() and int(first) < int(last)):
        raise ArgumentTypeError("two numbers, such as 1000:2000")
    return int(first), int(last)


def _checkpoint(terminal: Terminal) -> int:
    newest = checkpoints.latest()
    if newest is None:
        terminal.note("No checkpoint was signed yet; a worker does, a second after the first event.\n")
        return 1
    terminal.line(newest.note.removesuffix("\n"))
    return 0


def _rotate(options: dict[str, Any], terminal: Terminal) -> int:
    if options["end_overlap"]:
        terminal.line(f"Signs alone from now on: {keys.end_overlap()}")
        return 0
    terminal.line(f"Signs from now on, beside the old one: {keys.rotate(ON_THE_COMMAND_LINE, options['reason'])}")
    terminal.line("Give the new public key to whoever verifies, then run: manage.py aegis journal rotate-key --end-overlap")
    return 0


def _verify(options: dict[str, Any], terminal: Terminal) -> int:
    def progress(done: int) -> None:
        if not options["json"]:
            terminal.err.write(f"\r{done:,} events")
            terminal.err.flush()

    actor, jobs = ON_THE_COMMAND_LINE, max(options["jobs"], 1)
    if options["scheduled"]:
        actor, jobs = SYSTEM, 1
        os.nice(10)
    first, last = options["leaves"] or (options["since_checkpoint"] or 0, None)
    if options["quick"] or options["leaves"] or options["since_checkpoint"] is not None:
        report = verifications.run_leaves(actor, first, last, against=options["against"], jobs=jobs)
    else:
        against = options["against"]
        report = verifications.run(actor, options["stream"], against=against, jobs=jobs, on_progress=progress)
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
    if not report.stream or report.size:
        terminal.line(
            f"{report.size:,} events are sealed, {report.trusted:,} of them under a trustworthy checkpoint;"
            f" {report.not_covered:,} are not covered by one."
        )
    for remark in report.remarks:
        terminal.line(f"Note: {remark}.")
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
