"""`manage.py aegis verify-decisions` and `replay-table`: recorded decisions made again, by what stood and by a draft.

Exit codes of verify-decisions: 0 every one comes out as recorded, 1 some do not, 2 wrong use.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from aegis.core import commands, manifests
from aegis.core.commands import Terminal
from aegis.core.errors import Invalid
from aegis.identity import cli
from orchestration.engine.recompute import KEPT, recompute
from orchestration.engine.replay import DEFAULT_LAST, MAX_LAST, replay
from orchestration.routing import drafts


def register() -> None:
    """Called from `engine.wiring.register()`."""
    commands.register("verify-decisions", "Make every recorded route and verdict again.", _verify_arguments, verify)
    commands.register("replay-table", "What a draft of a routing table would have answered.", _replay_arguments, replay_table)


def verify(options: dict[str, Any], terminal: Terminal) -> int:
    def progress(done: int) -> None:
        if not options["json"]:
            terminal.err.write(f"\r{done:,} decisions")
            terminal.err.flush()

    report = recompute(options["stream"], on_progress=progress)
    if options["json"]:
        terminal.line(json.dumps({**asdict(report), "is_good": report.is_good}, indent=2))
        return 0 if report.is_good else 1
    terminal.note("\r" + " " * 30)
    erased = f" {report.erased:,} of them rest on erased facts and cannot be made again." if report.erased else ""
    terminal.line(f"{report.routes:,} routes and {report.verdicts:,} verdicts made again.{erased}")
    if report.is_good:
        terminal.line("Every one comes out as recorded.")
        return 0
    terminal.line(f"{report.differing:,} DIFFER:")
    for difference in report.differences:
        terminal.line(f"  {difference}")
    if report.differing > KEPT:
        terminal.line(f"  and {report.differing - KEPT:,} more")
    return 1


def replay_table(options: dict[str, Any], terminal: Terminal) -> int:
    found = [one for one in manifests.read_paths([options["file"]]) if one.key.kind == "RoutingTable"]
    if options["table"]:
        found = [one for one in found if one.key.name == options["table"]]
    if len(found) != 1:
        raise Invalid(f"{options['file']} holds {len(found)} such routing tables; name one with --table NAME")
    viewer = cli.person_named(options["as"]) if options["as"] else None
    result = replay(drafts.load(found[0].document), last=options["last"], viewer=viewer)
    for move in result.moves:
        after = f"{move.after_case or 'a person'} by {move.after_rule or 'the default'}"
        before = f"{move.before_case or 'a person'} by {move.before_rule or 'the default'}"
        error = f" ({move.error})" if move.error else ""
        terminal.line(f"{move.place} {move.label} {before} -> {after}{'' if move.is_case else ' (other outputs)'}{error}")
    terminal.note(result.sentence)
    if result.erased:
        terminal.note(f"{result.erased:,} more inputs were erased.")
    if result.is_bounded:
        terminal.note(f"Looked through the newest {result.looked:,} routes; there may be more behind them.")
    return 0


def _verify_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--stream", default="", help="one stream only, such as run:<uuid>")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def _replay_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", help="a manifest with the draft")
    parser.add_argument("--table", default="", metavar="NAME", help="which, where the file holds several")
    parser.add_argument("--last", type=int, default=DEFAULT_LAST, help=f"recorded inputs, at most {MAX_LAST:,}")
    parser.add_argument("--as", default="", metavar="USERNAME", help="whose rights count; without it all is seen")
