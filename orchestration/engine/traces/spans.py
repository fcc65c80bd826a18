"""From the lines of a run to its spans: the run, its visits of steps, attempts, effects, and the waits for people. Pure.

A span is made by the line that ends it. Which spans a line makes depends on the lines of its stream before it alone, so sending
again sends the same. Attributes are ids, names from configuration, codes and outcomes; no payload is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from aegis.core import clock_text, tracing
from orchestration.engine.state import ENDINGS

Line = Mapping[str, Any]
Key = tuple[str | int, ...]  # kind, and what it is about

_ATTEMPT_ENDS: Final = frozenset(
    {"step.completed", "step.unsure", "step.abstained", "step.failed", "contract.violated", "step.lost"}
)
_EFFECT_ENDS: Final = frozenset(
    {"effect.done", "effect.failed", "effect.unknown", "effect.diverged", "effect.conflicted", "effect.lost"}
)
_FAULTS: Final = frozenset(
    {"run.failed", "step.failed", "step.lost", "contract.violated"}
    | {"effect.failed", "effect.unknown", "effect.diverged", "effect.lost"}
)
_TOLD: Final = ("attempt", "policy", "queue", "code", "table", "case", "rule", "handler", "contract", "request", "item")


@dataclass(frozen=True, slots=True)
class Span:
    """One span, ended. Ids in hex; `parent` is "" for the first one of a trace of our own."""

    trace: str
    id: str
    parent: str
    name: str
    start: datetime
    end: datetime
    attributes: Mapping[str, str | int]
    fault: str = ""  # code or type of what went wrong
    is_call: bool = False


@dataclass(frozen=True, slots=True)
class _Open:
    id: str
    parent: str
    name: str
    start: datetime
    attributes: Mapping[str, str | int]
    place: tuple[str, int, int] = ("", 0, 0)  # step, visit, attempt
    is_call: bool = False


@dataclass(slots=True)
class Life:
    """A run as far as its lines were read."""

    seq: int = 0
    endings: int = 0
    root: _Open | None = None
    visit: _Open | None = None
    visited_at: datetime | None = None  # its last line
    visits: dict[tuple[str, int], int] = field(default_factory=dict)
    open: dict[Key, _Open] = field(default_factory=dict)


def take(life: Life, line: Line) -> list[Span]:
    """Read the next line of the run's stream. Returns the spans that it ends."""
    life.seq = line["seq"]
    reader = _Reader(life, line)
    return list(reader.spans()) if line["run"] else []


class _Reader:
    def __init__(self, life: Life, line: Line) -> None:
        self.life, self.line, self.data = life, line, line["data"]
        self.run = UUID(line["run"]).hex if line["run"] else ""
        self.type: str = line["type"]
        self.at = clock_text.parse(line["at"])

    def spans(self) -> Iterator[Span]:
        life, kind = self.life, self.type
        if life.root is None:
            self._begin()
        yield from self._visit()
        if kind == "step.started":
            self._open_attempt()
        elif kind in _ATTEMPT_ENDS:
            yield from self._close(("attempt", *self._place()))
        elif kind == "effect.intended":
            self._open_effect(is_call=True)
        elif kind in _EFFECT_ENDS:
            yield from self._close_effect()
        elif kind in ("gate.opened", "review.opened"):
            self._open_wait()
        elif kind in ("gate.settled", "review.settled"):
            yield from self._close(self._wait()[0])
        elif kind in ENDINGS:
            yield from self._end()

    def _begin(self) -> None:
        """What goes on after it had ended (sent on, rolled back) is a span beside the first, under it."""
        first, again = tracing.span_of_run(self.run), self.life.endings
        if again:
            span, parent = tracing.span_of(self.run, "run", again), first
        elif self.type == "run.forked":
            span = first
            parent = tracing.span_of_visit(UUID(self.data["parent"]).hex, self.data["parent_step"], self.data["parent_visit"])
        else:
            span, parent = first, self.data.get("parent_span", "")
        told: dict[str, str | int] = {
            f"aegis.{name}": self.data[name] for name in ("workflow", "version", "priority") if name in self.data
        }
        name = f"run {self.data['workflow']}" if "workflow" in self.data else "run, again"
        self.life.root = _Open(span, parent, name, self.at, told)

    def _visit(self) -> Iterator[Span]:
        """Where the run stands, as its lines tell. What undoes an earlier effect names its place, and is not there."""
        place = (self.data.get("step"), self.data.get("visit"))
        if "undoes" in self.data or not isinstance(place[0], str) or not place[0] or not isinstance(place[1], int):
            if self.life.visit is not None and self.type != "run.retried" and self.type not in ENDINGS:
                self.life.visited_at = self.at
            return
        step, visit = place[0], place[1]
        if self.life.visit is not None and self.life.visit.place == (step, visit, 0):
            self.life.visited_at = self.at
            return
        yield from self._leave()
        times = self.life.visits[step, visit] = self.life.visits.get((step, visit), 0) + 1
        first = tracing.span_of_visit(self.run, step, visit)
        span = first if times == 1 else tracing.span_of(self.run, "visit", step, visit, times)
        told: dict[str, str | int] = {"aegis.step": step, "aegis.visit": visit}
        self.life.visit = _Open(span, self._root().id, f"step {step}", self.at, told, place=(step, visit, 0))
        self.life.visited_at = self.at

    def _leave(self) -> Iterator[Span]:
        if self.life.visit is not None:
            yield self._span(self.life.visit, self.life.visited_at or self.at, is_own=False)
            self.life.visit = None

    def _place(self) -> tuple[str, int, int]:
        return self.data["step"], self.data["visit"], self.data.get("attempt", 0)

    def _open_attempt(self) -> None:
        place = self._place()
        span = tracing.span_of_attempt(self.run, *place, self.line["fence"])
        self._open(("attempt", *place), span, f"agent {self.line['agent']}", is_call=True)

    def _open_effect(self, *, is_call: bool) -> Key:
        key, attempt = self.data["key"], self.data["attempt"]
        span = tracing.span_of_effect(self.run, key, attempt, self.line["fence"])
        self._open(("effect", key, attempt), span, f"effect {self.line['capability']}", is_call=is_call)
        return "effect", key, attempt

    def _close_effect(self) -> Iterator[Span]:
        """What tells no key is about the one that was sent from that place."""
        place = self._place()
        about = next((key for key, one in self.life.open.items() if key[0] == "effect" and one.place == place), ("effect",))
        if "key" in self.data:
            about = ("effect", self.data["key"], self.data["attempt"])
            if about not in self.life.open:  # a local effect: it is done in the commit that says so
                self._open_effect(is_call=False)
        yield from self._close(about)

    def _open_wait(self) -> None:
        about, span = self._wait()
        self._open(about, span, f"{about[0]} {self.data['policy' if about[0] == 'gate' else 'queue']}")

    def _wait(self) -> tuple[Key, str]:
        if self.type.startswith("gate."):
            request = self.data["request"]
            return ("gate", request), tracing.span_of_gate(self.run, request)
        item = self.data["item"]
        return ("review", item), tracing.span_of_review(self.run, item)

    def _open(self, about: Key, span: str, name: str, *, is_call: bool = False) -> None:
        """Under the visit where the run stands; what undoes an effect of an earlier one, under the run."""
        parent = self._root() if "undoes" in self.data else self.life.visit or self._root()
        place = self._place()
        told = {"aegis.step": place[0], "aegis.visit": place[1], **self._told()}
        self.life.open[about] = _Open(span, parent.id, name, self.at, told, place, is_call)

    def _close(self, about: Key) -> Iterator[Span]:
        if (begun := self.life.open.pop(about, None)) is not None:
            yield self._span(begun, self.at)

    def _end(self) -> Iterator[Span]:
        """The run ended: nobody waits any more for what is open."""
        for begun in self.life.open.values():
            yield self._span(begun, self.at, is_own=False)
        self.life.open.clear()
        yield from self._leave()
        yield self._span(self._root(), self.at)
        self.life.root = None
        self.life.endings += 1

    def _root(self) -> _Open:
        assert self.life.root is not None
        return self.life.root

    def _told(self) -> dict[str, str | int]:
        found = {f"aegis.{name}": self.data[name] for name in _TOLD if isinstance(self.data.get(name), str | int)}
        named = {f"aegis.{name}": self.line[name] for name in ("agent", "agent_version", "capability") if self.line[name]}
        return {**found, **named}

    def _span(self, begun: _Open, end: datetime, *, is_own: bool = True) -> Span:
        """Args: is_own: this line says how it ended; otherwise it only tells that it is over."""
        attributes = {**begun.attributes, "aegis.run.id": self.line["run"]}
        if is_own:
            attributes |= self._told() | {"aegis.outcome": self.line["outcome"] or self.data.get("outcome") or self.type}
            if self.line["duration_ms"] is not None:
                attributes["aegis.duration_ms"] = self.line["duration_ms"]
        fault = str(self.data.get("code") or self.type) if is_own and self.type in _FAULTS else ""
        return Span(
            trace=self.line["trace"] or self.run,
            id=begun.id,
            parent=begun.parent,
            name=begun.name,
            start=begun.start,
            end=max(end, begun.start),
            attributes=attributes,
            fault=fault,
            is_call=begun.is_call,
        )
