"""Books about what runs have to do with one another: children, resources, messages. Kept by the judge, from the journal alone,
and held against the tables.
"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from audit import chain
from orchestration.engine.state import State
from orchestration.engine.steps.resources import AT_REST
from tests.simulation.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.store import Store
    from tests.simulation.tables import Row

ENDINGS = ("run.completed", "run.failed", "run.cancelled", "run.rolled_back")


@dataclass
class Census:
    """Raises `Violation` at the commit that breaks a promise."""

    ends: Counter[str] = field(default_factory=Counter)  # by child
    joined: Counter[str] = field(default_factory=Counter)
    ignored: Counter[str] = field(default_factory=Counter)
    received: Counter[str] = field(default_factory=Counter)  # by message
    wanted: dict[uuid.UUID, str] = field(default_factory=dict)  # run -> key of the resource it named last
    holders: dict[str, uuid.UUID] = field(default_factory=dict)
    children: dict[uuid.UUID, list[Row]] = field(default_factory=lambda: defaultdict(list))

    def read(self, row: Row, line: chain.Line, before: State, said: Mapping[str, Any]) -> None:
        """One line of a run.

        Args:
            before: the state that it was added to.
            said: the line, parsed.
        """
        type_, data = said["type"], said["data"]
        match type_:
            case "run.forked":
                self.children[uuid.UUID(data["parent"])].append(row)
            case "child.ended" | "child.undone":
                self._join(row, before, data["child"])
            case "inbox.ignored" if data["kind"] == "child_ended":
                self._ignore(row, before, data["ref"])
            case "message.received" | "contract.violated" if said["cause"].startswith("message:"):
                self._receive(row, said["cause"])
            case "resource.claimed" | "resource.waited":
                named = [body for name, body, _ in line.payloads if name == "key"]
                self.wanted[row.id] = named[0].decode() if named else self.wanted[row.id]
        if type_ in ENDINGS and row.parent is not None:
            self.ends[str(row.id)] += 1

    def _join(self, row: Row, before: State, child: str) -> None:
        self.joined[child] += 1
        if self.joined[child] > self.ends[child]:
            raise Violation(
                "joined once", f"{row.stream}: {child} ended {self.ends[child]} times, counted {self.joined[child]}"
            )

    def _ignore(self, row: Row, before: State, child: str) -> None:
        self.ignored[child] += 1
        if before.fork is not None and child in before.fork.open.values():
            raise Violation("joined once", f"{row.stream}: {child} is awaited, and its end was not counted")

    def _receive(self, row: Row, cause: str) -> None:
        message = cause.partition(":")[2]
        self.received[message] += 1
        if self.received[message] > 1:
            raise Violation("message once", f"{row.stream}: message {message} was read {self.received[message]} times")

    def committed(self, row: Row, state: State, store: Store) -> None:
        """After every commit of a run: what it holds, and whom it has left behind."""
        self._holds(row, state, store)
        awaited = set(state.fork.open.values()) if state.fork and not state.fork.stopping else set()
        for child in self.children[row.id]:
            if child.ended or str(child.id) in awaited or str(child.id) == state.undoes:
                continue
            if not any(message.kind in ("cancel", "recall") for message in store.inbox[child.id]):
                raise Violation("child forgotten", f"{row.stream} goes on without {child.stream}, which was not told to end")

    def _holds(self, row: Row, state: State, store: Store) -> None:
        key = self.wanted.get(row.id, "")
        if state.holds:
            if self.holders.setdefault(key, row.id) != row.id:
                raise Violation("one holder", f"{row.stream} claims {key}, which {self.holders[key]} holds")
            claim = row.release.definition.resource
            if state.is_ended or (claim and claim.hold == "while_running" and state.phase in AT_REST):
                raise Violation("let go", f"{row.stream} holds {key} and is {state.phase}")
        elif self.holders.get(key) == row.id:
            del self.holders[key]
        has_row = row.id in store.resources.values()
        if has_row != state.holds and not (has_row and state.phase == "queueing"):
            raise Violation("let go", f"{row.stream}: it says {state.holds}, the table says {has_row}")

    def heard_first(self, row: Row, seen: int, said: Mapping[str, Any]) -> None:
        """Time yields: nothing had reached the run that was not read before it gave up."""
        if said["type"] == "deadline.passed" and row.wake > seen:
            raise Violation("time first", f"{row.stream}: {said['data']['code']} passed, {row.wake - seen} messages unread")

    def final(self, store: Store) -> None:
        for parent, children in self.children.items():
            for child in children:
                self._settled(store.rows[parent], child)

    def _settled(self, parent: Row, child: Row) -> None:
        ref = str(child.id)
        joined, ignored, ends = self.joined[ref], self.ignored[ref], self.ends[ref]
        if joined > ends or joined + ignored < ends:
            told = f"{child.stream} ended {ends} times, counted {joined} and ignored {ignored}"
            raise Violation("joined once", f"{parent.stream}: {told}")
