"""Reading streams line by line with distrust: the inner loop of `audit.verify`.

One query for the lines of up to 500 streams, one for the payloads of each 2,000 lines.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, islice
from operator import attrgetter
from typing import NamedTuple, Protocol
from uuid import UUID

import orjson
from django.db.models import Q

from aegis.core import clock_text
from aegis.core.canonical import Json
from aegis.core.errors import AegisError
from audit import catalogue, chain
from audit.models import Event, Payload
from audit.problems import Problem

Head = tuple[int, str]


class Findings(Protocol):
    checked: int
    streams: int
    payloads: int
    erased: int

    def add(self, problem: Problem) -> None: ...


class Row(NamedTuple):
    stream: str
    seq: int
    line: str
    leaf: str
    type: str
    at: datetime
    actor_kind: str
    actor_ref: str
    scope: str
    scope_id: str
    run_id: UUID | None
    step: str
    agent: str
    capability: str
    outcome: str
    duration_ms: int | None


class PayloadRow(NamedTuple):
    stream: str
    seq: int
    name: str
    body: str
    salt: str
    erased_at: datetime | None


@dataclass(slots=True)
class _Last:
    """The line before, while walking one stream.

    Attributes:
        hashes: what the next line may name as its previous one (two if bytes and stored hash differ, which was reported).
        doubted: this line names another previous hash than the line before it has; one of the two was changed, the next tells.
    """

    seq: int = 0
    hashes: frozenset[str] = frozenset({chain.ZERO})
    leaf: str = chain.ZERO
    doubted: bool = False


class Inspector:
    def __init__(
        self,
        findings: Findings,
        head_of: Callable[[str], Head | None],
        on_progress: Callable[[int], None] | None = None,
    ) -> None:
        self.findings = findings
        self.head_of = head_of
        self.on_progress = on_progress

    def streams(self, heads: Mapping[str, Head], lines_at_once: int) -> None:
        """Check every line of some streams, and that each reaches the head that was read before."""
        rows = (
            Event.objects.filter(stream__in=list(heads))
            .order_by("stream", "seq")
            .values_list(*Row._fields)
            .iterator(chunk_size=lines_at_once)
        )
        walked: set[str] = set()
        for stream, lines in groupby(self._with_payloads(map(Row._make, rows), lines_at_once), key=lambda pair: pair[0].stream):
            walked.add(stream)
            last = _Last()
            for row, payloads in lines:
                last = self._line(row, payloads, last)
            self._tail(stream, last, heads[stream])
        for stream in heads.keys() - walked:
            self._tail(stream, _Last(), heads[stream])
        self.findings.streams += len(heads)

    def _with_payloads(self, rows: Iterator[Row], at_once: int) -> Iterator[tuple[Row, list[PayloadRow]]]:
        while batch := list(islice(rows, at_once)):
            payloads = _payloads_of(batch)
            for row in batch:
                yield row, payloads.get((row.stream, row.seq), [])
            self.findings.checked += len(batch)
            if self.on_progress is not None:
                self.on_progress(self.findings.checked)

    def _line(self, row: Row, payloads: list[PayloadRow], last: _Last) -> _Last:
        raw = row.line.encode("utf-8", "surrogatepass")
        leaf = chain.leaf_hash(raw)
        content = _content(raw)
        if row.seq != last.seq + 1:
            missing = f"line {last.seq + 1} is" if row.seq == last.seq + 2 else f"lines {last.seq + 1} to {row.seq - 1} are"
            self._report("gapless", row.stream, last.seq + 1, f"{missing} missing; line {row.seq} follows line {last.seq}")
        if leaf != row.leaf:
            self._report("bytes", row.stream, row.seq, "its bytes do not give the hash that was stored with them")
        if content is None:
            self._report("bytes", row.stream, row.seq, "it is no canonical line")
            return _Last(row.seq, frozenset({leaf, row.leaf}), row.leaf)
        doubted = False
        if row.seq != last.seq + 1:
            if last.doubted:
                self._report("chain", row.stream, last.seq, "it does not follow the line before it")
        elif content["prev"] not in last.hashes:
            doubted = self._unchained(row, last)
        elif last.doubted:
            # The line before is chained to this one, so it is as it was; what it names as previous is not.
            self._report(
                "chain",
                row.stream,
                last.seq - 1,
                f"line {last.seq} was written after another line than the one that stands here",
            )
        for why in _contradictions(row, content):
            self._report("projections", row.stream, row.seq, why)
        self._check_payloads(row, content, payloads)
        return _Last(row.seq, frozenset({leaf, row.leaf}), row.leaf, doubted)

    def _unchained(self, row: Row, last: _Last) -> bool:
        """`row` names another previous hash than its predecessor has. True: it is still open which of the two was changed."""
        if last.doubted:  # neither neighbour fits the one between them
            self._report("chain", row.stream, last.seq, "it fits neither the line before nor the line after it")
            return False
        if last.seq == 0:
            self._report("chain", row.stream, row.seq, "it is the first line, but names a line before it")
            return False
        return True

    def _tail(self, stream: str, last: _Last, head: Head) -> None:
        if last.seq > head[0]:
            # Appended after we read the head, then the head moved with it in one transaction; else the line is forged.
            head = self.head_of(stream) or head
            if head[0] > last.seq:
                return  # and moved on again: more lines than we read, each chained to one that we did
        seq, leaf = head
        fits = leaf in last.hashes
        if last.doubted:
            blamed = last.seq - 1 if seq == last.seq and fits else last.seq
            self._report("chain", stream, blamed, f"lines {last.seq - 1} and {last.seq} do not follow each other")
        elif seq > last.seq:
            self._report(
                "heads", stream, last.seq + 1, f"the end was cut off: the stream reached line {seq}, {last.seq} are left"
            )
        elif seq < last.seq:
            self._report("heads", stream, seq + 1, f"it stands behind the end of its stream, which is line {seq}")
        elif not fits:
            self._report("heads", stream, last.seq, "it is not the line that the head of its stream was taken from")

    def _check_payloads(self, row: Row, content: Mapping[str, Json], rows: list[PayloadRow]) -> None:
        committed = {str(entry.get("name")): entry.get("c") for entry in content["payload"]}
        for payload in rows:
            self.findings.payloads += 1
            commitment = committed.pop(payload.name, None)
            if commitment is None:
                self._report("payloads", row.stream, row.seq, f"its line knows no payload {payload.name!r}")
            elif payload.erased_at is not None:
                self.findings.erased += 1
                if payload.body or payload.salt:
                    self._report("payloads", row.stream, row.seq, f"payload {payload.name!r} is marked as erased but not empty")
            elif not _opens(commitment, payload):
                self._report("payloads", row.stream, row.seq, f"payload {payload.name!r} is not what its line committed to")
        for name in committed:
            self._report("payloads", row.stream, row.seq, f"payload {name!r} is gone")

    def _report(self, check: str, stream: str, seq: int, why: str) -> None:
        self.findings.add(Problem(check, stream, seq, why))


def _content(raw: bytes) -> dict[str, Json] | None:
    """The line as a mapping if its bytes are the canonical form of a line, else None."""
    try:
        content = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    # Duplicate keys, white space, another order or another spelling of a character do not survive writing it again.
    is_line = isinstance(content, dict) and orjson.dumps(content, option=orjson.OPT_SORT_KEYS) == raw and _has_shape(content)
    return content if is_line else None


def _has_shape(content: Mapping[str, Json]) -> bool:
    return (
        content.keys() == chain.KEYS
        and content["v"] == chain.FORMAT
        and isinstance(content["actor"], dict)
        and isinstance(content["payload"], list)
        and all(isinstance(entry, dict) for entry in content["payload"])
    )


def _contradictions(row: Row, content: Mapping[str, Json]) -> Iterator[str]:
    actor = content["actor"]
    pairs: Sequence[tuple[str, object, object]] = (
        ("stream", row.stream, content["stream"]),
        ("seq", row.seq, content["seq"]),
        ("type", row.type, content["type"]),
        ("at", clock_text.render(row.at), content["at"]),
        ("actor_kind", row.actor_kind, actor.get("kind")),
        ("actor_ref", row.actor_ref, actor.get("ref")),
        ("scope", row.scope, content["scope"]),
        ("scope_id", row.scope_id, content["scope_id"]),
        ("run_id", str(row.run_id) if row.run_id else "", content["run"]),
        ("step", row.step, content["step"]),
        ("agent", row.agent, content["agent"]),
        ("capability", row.capability, content["capability"]),
        ("outcome", row.outcome, content["outcome"]),
        ("duration_ms", row.duration_ms, content["duration_ms"]),
    )
    for name, shown, said in pairs:
        if shown != said:
            yield f"column {name} reads {shown!r}, its line says {said!r}"
    try:
        catalogue.get(content["type"], content["type_version"])
    except AegisError as error:
        yield error.detail


def _opens(commitment: Json, payload: PayloadRow) -> bool:
    try:
        return bool(chain.commitment(payload.salt, payload.body.encode("utf-8", "surrogatepass")) == commitment)
    except ValueError:  # the salt is no hex any more
        return False


def _payloads_of(rows: Sequence[Row]) -> dict[tuple[str, int], list[PayloadRow]]:
    """The payload rows of consecutive lines; only the first and last stream may be there in part."""
    first, last = rows[0], rows[-1]
    if first.stream == last.stream:
        where = Q(stream=first.stream, seq__gte=first.seq, seq__lte=last.seq)
    else:
        between = {row.stream for row in rows} - {first.stream, last.stream}
        where = Q(stream=first.stream, seq__gte=first.seq) | Q(stream=last.stream, seq__lte=last.seq)
        where |= Q(stream__in=sorted(between))
    found = map(PayloadRow._make, Payload.objects.filter(where).values_list(*PayloadRow._fields))
    result: dict[tuple[str, int], list[PayloadRow]] = defaultdict(list)
    for payload in sorted(found, key=attrgetter("name")):
        result[(payload.stream, payload.seq)].append(payload)
    return result
