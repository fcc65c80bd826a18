"""Does the record still say what was written? A library: the command, the page and tests call `verify`.

Checked here: the bytes of every line against its stored hash and its canonical form, the chain of every stream, sequence
numbers without a gap, projections against the line, payloads against their commitments, the head each stream has elsewhere (a
cut-off tail shows nowhere else), the append-only triggers, and what other apps add (`register_state_check`: state == fold).
`audit.tree_checks` adds the Merkle tree, signatures, and the consistency of all checkpoints, in here and kept outside.

It may run while others write, without a long transaction: heads are read before the lines they must cover, and what is appended
later is simply more. Cost: 40 us of processor time per line with its payload (120,000 lines: 5 s, 106 MB). Memory: one batch of
lines and payloads, and about 60 bytes per stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from zlib import crc32

from django.db.models import Exists, OuterRef

from aegis.core import clock
from audit import chain, in_processes, tree_checks, triggers
from audit.erasures import checking
from audit.inspection import Inspector
from audit.models import Event, Payload, Stream
from audit.problems import Problem

STREAMS_AT_ONCE = 500
LINES_AT_ONCE = 2_000
PROBLEMS_KEPT = 100

# Yields (stream, seq, head) of every stream the owner keeps a head for.
Heads = Callable[[], Iterator[tuple[str, int, str]]]
# The head of one stream, None if its row is gone.
HeadOf = Callable[[str], tuple[int, str] | None]
# Yields what is wrong, in the named stream or everywhere.
StateCheck = Callable[[str | None], Iterable[Problem]]
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class _HeadSource:
    heads: Heads
    head_of: HeadOf | None


@dataclass(slots=True)
class Report:
    """What one verification found.

    Attributes:
        checked: lines read.
        erased: payloads found emptied; their commitments still stand in the lines.
        problems: in the order found, at most `PROBLEMS_KEPT`; `faults` counts them all.
        checks: names of the checks that ran.
        size: events sealed; `trusted` of them are under the last trustworthy checkpoint.
        unsealed: events that wait for their place in the tree.
        remarks: what could not be checked, and why.
    """

    stream: str = ""
    checked: int = 0
    streams: int = 0
    payloads: int = 0
    erased: int = 0
    faults: int = 0
    duration_ms: int = 0
    size: int = 0
    trusted: int = 0
    unsealed: int = 0
    remarks: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        return self.faults == 0

    @property
    def first_bad(self) -> Problem | None:
        """The first problem that names an event, else the first of all."""
        return next((problem for problem in self.problems if problem.seq), next(iter(self.problems), None))

    @property
    def not_covered(self) -> int:
        """Events younger than the last trustworthy checkpoint: of these nothing is proved."""
        return self.size - self.trusted + self.unsealed

    def add(self, problem: Problem) -> None:
        self.faults += 1
        if len(self.problems) < PROBLEMS_KEPT:
            self.problems.append(problem)

    def take(self, part: Report) -> None:
        """Add what another process found."""
        for name in ("checked", "streams", "payloads", "erased", "faults"):
            setattr(self, name, getattr(self, name) + getattr(part, name))
        self.problems = (self.problems + part.problems)[:PROBLEMS_KEPT]

    def as_json(self) -> dict[str, object]:
        first = self.first_bad
        return {
            **asdict(self),
            "is_good": self.is_good,
            "not_covered": self.not_covered,
            "first_bad": first.place if first else "",
        }


_head_sources: dict[str, _HeadSource] = {}
_state_checks: dict[str, StateCheck] = {}


def register_head_source(prefix: str, heads: Heads, head_of: HeadOf | None = None) -> None:
    """Tell where the heads of streams `<prefix>:...` are kept. Called at start-up by the app that owns the rows.

    Args:
        heads: every head; use `.iterator()`, there may be millions.
        head_of: one head, for verifying a single stream; without it `heads` is searched through.
    """
    _head_sources[prefix.removesuffix(":")] = _HeadSource(heads, head_of)


def register_state_check(name: str, check: StateCheck) -> None:
    """Add a check of what the journal should have led to ("state": fold(events) equals the stored state of every run).

    Args:
        check: called with a stream name, or None for everything; yields problems. It must bear runs that go on meanwhile.
    """
    _state_checks[name] = check


def verify(
    stream: str | None = None, *, against: Path | None = None, jobs: int = 1, on_progress: Progress | None = None
) -> Report:
    """Check one stream, or everything.

    Args:
        against: a file with checkpoints kept elsewhere; everything only.
        jobs: processes to share the work among; inside a transaction there is one, whatever is asked.
        on_progress: told how many lines are done, after each batch, if there is one process.
    """
    began = clock.monotonic()
    report = Report(stream=stream or "", checks=["bytes", "chain", "gapless", "projections", "payloads", "heads"])
    if stream is None:
        for part in in_processes.each(_share, [(at, jobs, on_progress if jobs == 1 else None) for at in range(jobs)], jobs):
            report.take(part)
        for name, seq, payload in _orphans():
            report.add(Problem("payloads", name, seq, f"payload {payload!r} belongs to no event"))
        report.checks.append("erasures")
        for problem in checking.problems():
            report.add(problem)
        tree_checks.check(report, against=against, jobs=jobs)
    else:
        look = Inspector(report, _head_of, on_progress)
        head = _head_of(stream)
        look.streams({stream: head} if head else {stream: (0, chain.ZERO)}, LINES_AT_ONCE)
        if head is None:
            report.add(Problem("heads", stream, 0, "nobody keeps a head for this stream: its row is gone, or it never was"))
    for name, check in _state_checks.items():
        report.checks.append(name)
        for problem in check(stream):
            report.add(problem)
    return _finish(report, began)


def verify_leaves(first: int = 0, last: int | None = None, *, against: Path | None = None, jobs: int = 1) -> Report:
    """Check bytes, chain, tree and signatures of leaves first..last-1, and nothing else: quick enough for millions.

    What lies before `first` is taken from the stored tree, which must be under a checkpoint.
    """
    began = clock.monotonic()
    report = Report(checks=["bytes", "chain"])
    tree_checks.check(report, first=first, last=last, against=against, lines=True, jobs=jobs)
    report.checked = max(min(report.size, report.size if last is None else last) - first, 0)
    return _finish(report, began)


def _finish(report: Report, began: float) -> Report:
    report.checks.append("triggers")
    for fault in triggers.faults():
        report.add(Problem("triggers", "", 0, fault))
    report.duration_ms = int((clock.monotonic() - began) * 1000)
    return report


def _share(part: tuple[int, int, Progress | None]) -> Report:
    """One process' part of all streams."""
    at, of, on_progress = part
    report = Report()
    look = Inspector(report, _head_of, on_progress)
    seen: set[int] = set()
    for heads in _batches(_all_heads(), at, of):
        seen.update(hash(name) for name, _, _ in heads)
        look.streams({name: (seq, head) for name, seq, head in heads}, LINES_AT_ONCE)
    # Streams of which we have read no head: they began meanwhile, or the row that kept their head is gone.
    for name in _streams_with_lines():
        if hash(name) in seen or crc32(name.encode()) % of != at:
            continue
        head = _head_of(name)
        look.streams({name: head or (0, chain.ZERO)}, LINES_AT_ONCE)
        if head is None:
            report.add(Problem("heads", name, 1, "the row that keeps the head of this stream is gone"))
    return report


def _all_heads() -> Iterator[tuple[str, int, str]]:
    yield from Stream.objects.order_by("name").values_list("name", "seq", "head").iterator(chunk_size=LINES_AT_ONCE)
    for source in _head_sources.values():
        yield from source.heads()


def _head_of(stream: str) -> tuple[int, str] | None:
    source = _head_sources.get(stream.partition(":")[0])
    if source is None:
        return Stream.objects.filter(name=stream).values_list("seq", "head").first()
    if source.head_of is not None:
        return source.head_of(stream)
    return next(((seq, head) for name, seq, head in source.heads() if name == stream), None)


def _batches(heads: Iterator[tuple[str, int, str]], at: int, of: int) -> Iterator[Sequence[tuple[str, int, str]]]:
    if of > 1:
        heads = (head for head in heads if crc32(head[0].encode()) % of == at)
    while batch := list(islice(heads, STREAMS_AT_ONCE)):
        yield batch


def _streams_with_lines() -> Iterator[str]:
    names = Event.objects.order_by("stream").values_list("stream", flat=True).distinct()
    yield from names.iterator(chunk_size=LINES_AT_ONCE)


def _orphans() -> Iterator[tuple[str, int, str]]:
    has_event = Exists(Event.objects.filter(stream=OuterRef("stream"), seq=OuterRef("seq")))
    yield from Payload.objects.filter(~has_event).values_list("stream", "seq", "name")[:PROBLEMS_KEPT]
