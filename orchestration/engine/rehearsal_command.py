"""`manage.py aegis dry-run WORKFLOW`: what would come of an input, without an effect or a row.

Exit codes: 0 it was played (or every sample passes), 1 a sample fails or is not decided, 2 wrong use or a refused input.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from aegis.core import canonical, commands, manifests
from aegis.core.canonical import Json
from aegis.core.commands import Terminal
from aegis.core.errors import Invalid, Malformed
from aegis.core.manifests import Manifest
from aegis.identity import cli
from orchestration.engine import rehearsals
from orchestration.engine.rehearsal import Rehearsal
from orchestration.engine.rehearsal_words import as_json, ending_words, lines_of
from orchestration.engine.rehearsals import SampleResult
from orchestration.workflows import samples
from orchestration.workflows.samples import Script


def register() -> None:
    """Called from `engine.wiring.register()`."""
    commands.register(
        "dry-run", "Play a workflow in memory: path, values, verdicts; nothing is sent or written.", _arguments, handle
    )


def handle(options: dict[str, Any], terminal: Terminal) -> int:
    person = cli.person_named(options["as"], hint="say who tries it with --as USERNAME")
    written = _document(options)
    document = written.document if written else None
    if options["capture"]:
        found = rehearsals.capture_samples(options["workflow"], person=person, document=document)
        terminal.line(manifests.dump_value({"samples": found}).rstrip())
        return 0
    if options["samples"] or options["sample"]:
        results = rehearsals.try_samples(
            options["workflow"], person=person, document=document, asks_agents=options["call_agents"], only=options["sample"]
        )
        return _tell_samples(results, written, options, terminal)
    if not options["input"]:
        raise Invalid("Say what comes in: --input FILE (- for standard input), or --samples")
    played = rehearsals.dry_run(
        options["workflow"],
        _json(options["input"], "--input"),
        _script(options["script"]),
        person=person,
        document=document,
        asks_agents=options["call_agents"],
    )
    _tell(played, options["json"], terminal)
    return 0


def _document(options: dict[str, Any]) -> Manifest | None:
    """The manifest of the workflow, if it is not to be played as it stands."""
    if not options["file"]:
        return None
    found = [
        one
        for one in manifests.read_paths([options["file"]])
        if (one.key.kind, one.key.name) == ("Workflow", options["workflow"])
    ]
    if not found:
        raise Invalid(f"{options['file']} holds no Workflow {options['workflow']!r}")
    return found[0]


def _script(path: str) -> Script:
    """A file with any of answers, decisions, fails, records, requester: what a sample says."""
    said = _json(path, "--script") if path else {}
    if not isinstance(said, dict):
        raise Invalid("--script is an object with answers, decisions, fails, records or requester")
    if faults := samples.script_faults(said):
        raise Invalid(f"--script cannot be used: {faults[0]}", faults=faults)
    return samples.script_of(said)


def _json(path: str, option: str) -> Json:
    try:
        raw = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise Invalid(f"{option} {path} cannot be read: {error.strerror}") from None
    try:
        return canonical.parse(raw)
    except Malformed as error:
        raise Malformed(f"{option} {path}: {error.detail}", faults=error.faults) from None


def _tell(played: Rehearsal, as_data: bool, terminal: Terminal) -> None:
    if as_data:
        terminal.line(json.dumps(as_json(played), indent=2, ensure_ascii=False))
        return
    for line in lines_of(played):
        visit = f" ({line.visit})" if line.visit > 1 else ""
        terminal.line(f"{line.step}{visit}: {line.sentence}")
        if line.verdict:
            terminal.line(f"    verdict: {line.verdict}")
        if line.note:
            terminal.line(f"    {line.note}")
        for name, value in line.values.items():
            terminal.line(f"    {name}: {canonical.dump(value).decode()}")
    terminal.line(f"path: {' → '.join(played.path)}")
    terminal.line(ending_words(played))


def _tell_samples(results: list[SampleResult], written: Manifest | None, options: dict[str, Any], terminal: Terminal) -> int:
    for result in results:
        terminal.line(f"{result.verdict}: {result.sample.name}")
        if result.rehearsal is not None:
            if options["json"] or options["sample"]:
                _tell(result.rehearsal, options["json"], terminal)
            else:
                terminal.line(f"    path: {' → '.join(result.rehearsal.path)}")
                terminal.line(f"    {ending_words(result.rehearsal)}")
        for fault in result.faults:
            terminal.note(f"fault: {written.locate(fault) if written else fault}")
    good = sum(result.verdict == "passes" for result in results)
    terminal.line(f"{good} of {len(results)} samples pass.")
    return 0 if good == len(results) else 1


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("workflow")
    parser.add_argument("--input", default="", metavar="FILE", help="JSON of what comes in; - for standard input")
    parser.add_argument("--script", default="", metavar="FILE", help="JSON of answers, decisions, fails, records, requester")
    parser.add_argument("--samples", action="store_true", help="try the samples stored with the workflow instead")
    parser.add_argument("--sample", default="", metavar="NAME", help="one of them, told in full")
    parser.add_argument("--capture", action="store_true", help="print its samples with what agents answer now, as YAML")
    parser.add_argument("--file", default="", metavar="FILE|DIR", help="the manifest to play, instead of what stands")
    parser.add_argument("--call-agents", action="store_true", help="really ask Python agents of this process")
    parser.add_argument("--json", action="store_true", help="tell it as JSON")
    parser.add_argument("--as", default="", metavar="USERNAME", help="who would start it; must be allowed to")
