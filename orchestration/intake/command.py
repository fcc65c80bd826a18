"""`manage.py aegis submit WORKFLOW FILE`: a file of items becomes runs, however large it is, and however often it is started.

Exit codes: 0 every item is a run; 1 items were refused (named by line and pointer); 2 wrong use, or a file that cannot be
read; 3 held back for longer than `--patience`; 130 stopped by Ctrl-C. After any of these the same command goes on where it
stopped: each item has an Idempotency-Key, by default made from its content.
"""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Final, NoReturn

from aegis.core import canonical, clock, commands
from aegis.core.actors import Actor
from aegis.core.canonical import Json
from aegis.core.commands import Terminal
from aegis.core.errors import AegisError, Fault, Invalid, Malformed, Overloaded, Unavailable
from aegis.identity import cli
from aegis.identity.models import User
from orchestration.contracts.models import Contract
from orchestration.engine import pressure, verbs
from orchestration.intake.cells import rows_as_items
from orchestration.intake.lines import Line, Sheet, json_lines
from orchestration.workflows import releases
from orchestration.workflows.models import Workflow

GOOD, REFUSED, GAVE_UP, INTERRUPTED = 0, 1, 3, 130

BATCH: Final = 500
BATCH_BYTES: Final = 4 * 2**20  # of the file: what a batch may hold in memory
PATIENCE_SECONDS: Final = 600.0
PROGRESS_SECONDS: Final = 2.0
MAX_TOLD: Final = 100  # refused lines told on the terminal; the others are counted


Answer = verbs.Submitted | verbs.Refused


class Stopped(Exception):
    """Why nothing more is read was told on the terminal."""

    def __init__(self, code: int) -> None:
        super().__init__()
        self.code = code


def register() -> None:
    """Called from `AppConfig.ready()`."""
    commands.register("submit", "submit every line of a file as a run; safe to repeat", add_arguments, handle)


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("workflow")
    parser.add_argument("file", help="one JSON object a line, or a CSV with the contract's fields as columns; - is stdin")
    parser.add_argument("--as", dest="username", required=True, metavar="USERNAME", help="who asks; may start the workflow")
    parser.add_argument("--format", choices=("jsonl", "csv"), help="default: by the name of the file, else jsonl")
    parser.add_argument(
        "--key",
        default="content",
        metavar="content|line|/FIELD",
        help="what an item is known by, so that it is submitted once: its content (default; equal lines are one run), the"
        " name of the file and the line (equal lines are several runs), or a field, such as /id",
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--skip-refused", action="store_true", help="leave refused lines out and go on (default: stop there)")
    mode.add_argument("--check", action="store_true", help="hold every line to the contract and submit nothing")
    parser.add_argument("--batch", type=int, default=BATCH, help=f"items in one transaction (default {BATCH})")
    parser.add_argument(
        "--patience", type=float, default=PATIENCE_SECONDS, help="seconds to wait while work is held back (default 600)"
    )


def handle(options: dict[str, Any], terminal: Terminal) -> int:
    """
    Raises:
        NotFound, Forbidden: no such person, or they may not start the workflow.
        Invalid, Malformed: options; a file that cannot be read, or no further.
    """
    person = cli.person_named(options["username"])
    workflow = Workflow.objects.get_visible(person, "start", name=options["workflow"])
    if not 1 <= options["batch"] <= verbs.MAX_BATCH:
        raise Invalid(f"--batch takes 1 to {verbs.MAX_BATCH:,}")
    if options["key"] not in ("content", "line") and not options["key"].startswith("/"):
        raise Invalid("--key takes content, line, or the pointer of a field, such as /id")
    intake = Intake(
        workflow=workflow.name,
        person=person,
        actor=cli.actor_for(person),
        terminal=terminal,
        key=options["key"],
        file=Path(options["file"]).name,
        patience=options["patience"],
    )
    step = intake.check if options["check"] else intake.take_each if options["skip_refused"] else intake.take_all
    size = min(options["batch"], max(1, pressure.limits().unquestioned))
    try:
        with _opened(options["file"]) as file:
            for batch in _batches(_lines(file, workflow, options), size):
                step(batch)
                intake.show_progress(batch[-1].number)
    except Stopped as stopped:
        return stopped.code
    except KeyboardInterrupt:
        terminal.note("Stopped. The same command goes on where this one stopped.")
        return INTERRUPTED
    finally:
        intake.sum_up()
    return REFUSED if intake.refused else GOOD


@dataclass
class Intake:
    """How batches of lines are taken, and what became of them so far."""

    workflow: str
    person: User
    actor: Actor
    terminal: Terminal
    key: str
    file: str
    patience: float
    new: int = 0
    known: int = 0
    refused: int = 0
    started: float = field(default_factory=clock.monotonic)
    told_at: float = field(default_factory=clock.monotonic)

    def check(self, lines: list[Line]) -> None:
        """Tell what speaks against each line; submit nothing."""
        good = [line for line in lines if not line.faults]
        work = [self._submission(line) for line in good]
        answers = verbs.check_each(self.workflow, work, person=self.person, actor=self.actor)
        self._tell([line for line in lines if line.faults])
        self._tell([_refused(line, answer.error) for line, answer in zip(good, answers, strict=True) if answer])

    def take_all(self, lines: list[Line]) -> None:
        """All of a batch, or nothing of it.

        Raises:
            Stopped: a line is refused; everything that speaks against the batch is told.
        """
        if any(line.faults for line in lines):
            self.check(lines)
            self._stop(lines)
        work = [self._submission(line) for line in lines]
        try:
            self._count(
                self._patiently(lambda: [*verbs.submit_many(self.workflow, work, person=self.person, actor=self.actor)])
            )
        except Invalid:
            self.check(lines)
            self._stop(lines)

    def take_each(self, lines: list[Line]) -> None:
        """What can be submitted of a batch; the others are told and left out."""
        good = [line for line in lines if not line.faults]
        work = [self._submission(line) for line in good]
        answers = self._patiently(lambda: verbs.submit_each(self.workflow, work, person=self.person, actor=self.actor))
        self._tell([line for line in lines if line.faults])
        pairs = zip(good, answers, strict=True)
        self._tell([_refused(line, answer.error) for line, answer in pairs if isinstance(answer, verbs.Refused)])
        self._count(answers)

    def show_progress(self, line: int) -> None:
        if clock.monotonic() - self.told_at >= PROGRESS_SECONDS:
            self.told_at = clock.monotonic()
            self.terminal.note(f"line {line:,}: {self._counts()}, {self._rate():,.0f} a second")

    def sum_up(self) -> None:
        self.terminal.line(f"{self._counts()}, {clock.monotonic() - self.started:.1f} s")

    def _submission(self, line: Line) -> verbs.Submission:
        if self.key == "content":
            key = f"item:{canonical.digest_of([self.workflow, line.item])}"
        elif self.key == "line":
            key = f"line:{canonical.digest_of([self.workflow, self.file])[:32]}:{line.number}"
        else:
            key = str(_at(line.item, self.key))
        return verbs.Submission(line.item, key)

    def _patiently(self, work: Callable[[], list[Answer]]) -> list[Answer]:
        """Do it as soon as there is room.

        Raises:
            Stopped: there was none for as long as `patience`.
        """
        began = clock.monotonic()
        while True:
            try:
                return work()
            except (Overloaded, Unavailable) as held:
                waited = clock.monotonic() - began
                if waited + held.retry_after > self.patience:
                    self.terminal.note(f"{held.code}: {held.detail}. Gave up after {waited:.0f} s; run it again to go on.")
                    raise Stopped(GAVE_UP) from None
                self.terminal.note(f"{held.code}: {held.detail}. Going on in {held.retry_after:.0f} s.")
                pause(held.retry_after)

    def _count(self, answers: Sequence[Answer]) -> None:
        done = [answer for answer in answers if isinstance(answer, verbs.Submitted)]
        new = sum(answer.is_new for answer in done)
        self.new, self.known = self.new + new, self.known + len(done) - new

    def _tell(self, refused: Sequence[Line]) -> None:
        for number, line in enumerate(refused, start=self.refused + 1):
            if number == MAX_TOLD + 1:
                self.terminal.note("more refused lines are counted, not told")
            if number <= MAX_TOLD:
                for fault in line.faults:
                    self.terminal.note(str(Fault(f"line {line.number}, {fault.where}".rstrip(", "), fault.what, fault.remedy)))
        self.refused += len(refused)

    def _stop(self, lines: Sequence[Line]) -> NoReturn:
        span = f"lines {lines[0].number:,} to {lines[-1].number:,}"
        self.terminal.note(f"Nothing of {span} was submitted. Mend them and run it again; what was submitted is not repeated.")
        raise Stopped(REFUSED)

    def _counts(self) -> str:
        return f"{self.new:,} new, {self.known:,} known, {self.refused:,} refused"

    def _rate(self) -> float:
        return (self.new + self.known) / max(clock.monotonic() - self.started, 0.001)


def pause(seconds: float) -> None:
    time.sleep(seconds)


def _refused(line: Line, error: AegisError) -> Line:
    return replace(line, faults=error.faults or (Fault("", error.detail),))


@contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    """
    Raises:
        Malformed: no such file.
    """
    if name == "-":
        yield sys.stdin.buffer
        return
    path = Path(name)
    if not path.is_file():
        raise Malformed(f"{path} is no file")
    try:
        file = path.open("rb")
    except OSError as error:
        raise Malformed(f"{path}: {error.strerror}") from None
    with file:
        yield file


def _lines(file: IO[bytes], workflow: Workflow, options: dict[str, Any]) -> Iterator[Line]:
    is_csv = options["format"] == "csv" if options["format"] else options["file"].lower().endswith(".csv")
    found = rows_as_items(Sheet(file), _schema(workflow)) if is_csv else json_lines(file)
    return (_keyed(line, options["key"]) for line in found)


def _schema(workflow: Workflow) -> Json:
    """The input contract as it stands: what the next submission is held to."""
    name = releases.load(releases.release_for(workflow).pk).definition.input
    return canonical.parse(Contract.objects.get(name=name).document)["spec"]["schema"]


def _keyed(line: Line, key: str) -> Line:
    """The line, refused if the field it shall be known by is not there."""
    if line.faults or not key.startswith("/") or isinstance(_at(line.item, key), str | int):
        return line
    return replace(line, faults=(Fault(key, "is missing, and --key names it"),))


def _at(item: Json, pointer: str) -> Json:
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        item = item.get(name) if isinstance(item, dict) else None
    return item


def _batches(lines: Iterable[Line], size: int) -> Iterator[list[Line]]:
    batch: list[Line] = []
    held = 0
    for line in lines:
        if batch and (len(batch) >= size or held + line.size > BATCH_BYTES):
            yield batch
            batch, held = [], 0
        batch.append(line)
        held += line.size
    if batch:
        yield batch
