"""Where runs meet in the memory database: resources, messages, and words between parents and children.

Each method promises what the module of the same business promises: `resources.rows`, `messages.delivery`, `children.rows`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aegis.core import canonical
from aegis.core.actors import SYSTEM, Actor, user_actor
from audit import chain
from audit.drafts import Context, Head
from orchestration.engine.children import telling
from orchestration.engine.children.rows import Kin
from orchestration.engine.children.wants import Child, Ended
from orchestration.engine.commit import Transition
from orchestration.engine.fold import fold
from orchestration.engine.moves import Message
from orchestration.engine.state import State
from tests.simulation import setting
from tests.simulation.tables import Letter, Place, Row, Wait, salts
from tests.simulation.violation import Violation

if TYPE_CHECKING:
    from datetime import datetime

Json = Any


@dataclass(kw_only=True)
class Meetings:
    """The part of the store that one run shares with others.

    Attributes:
        afterwards: what those do who have committed, right after it: they look for the other side. Who dies first does not.
        word_twice: is a child's word to its parent repeated this time?
    """

    resources: dict[str, uuid.UUID] = field(default_factory=dict)
    queue: dict[uuid.UUID, Place] = field(default_factory=dict)
    letters: dict[str, Letter] = field(default_factory=dict)
    waits: dict[uuid.UUID, Wait] = field(default_factory=dict)
    afterwards: list[Callable[[], bool]] = field(default_factory=list)
    word_twice: Callable[[], bool] = lambda: False

    if TYPE_CHECKING:  # of the store
        judge: Any
        rows: dict[uuid.UUID, Row]
        inbox: dict[uuid.UUID, list[Message]]
        payloads: dict[str, bytes]

        def clock(self) -> int: ...
        def post(self, row: Row, kind: str, *, actor: Actor, ref: str = "", outcome: str = "", **fields: Any) -> None: ...
        def _us(self, moment: datetime) -> int: ...
        def _context(self, row: Row, fence: int = 0) -> Context: ...
        def _write_row(self, row: Row, state: State, head: Head) -> None: ...
        def _write_lines(self, row: Row, lines: Sequence[chain.Line]) -> None: ...

    # --- resources ---

    def holder(self, key: str, run_id: uuid.UUID) -> str:
        if key in self.resources:
            return "" if self.resources[key] == run_id else str(self.resources[key])
        first = self._first(key, run_id)
        return str(first) if first else ""

    def is_free(self, key: str) -> bool:
        return key not in self.resources

    def write_resources(self, row: Row, transition: Transition) -> None:
        if transition.claims:
            self.resources[transition.claims] = row.id
        if transition.lets_go:
            self.let_go(row)
        if transition.queueing is not None:
            key = transition.queueing.resource
            self.queue[row.id] = Place(key, transition.queueing.id, row.priority, row.submitted_us)
            self.afterwards.append(lambda: self.grant(key))

    def let_go(self, row: Row) -> None:
        self.queue.pop(row.id, None)
        for key in [key for key, run_id in self.resources.items() if run_id == row.id]:
            del self.resources[key]
            self.afterwards.append(lambda key=key: self.grant(key))  # type: ignore[misc]

    def grant(self, key: str) -> bool:
        """Give a free resource to the first who waits for it."""
        first = self._first(key)
        if first is None or key in self.resources:
            return False
        self.resources[key] = first
        self.post(self.rows[first], "resource_granted", actor=SYSTEM, ref=str(self.queue.pop(first).wait))
        return True

    def grant_due(self) -> int:
        return sum(self.grant(key) for key in sorted({place.key for place in self.queue.values()}))

    def _first(self, key: str, but: uuid.UUID | None = None) -> uuid.UUID | None:
        found = [(place.priority, place.submitted_us, run_id.hex, run_id) for run_id, place in self.queue.items()
                 if place.key == key and run_id != but]  # fmt: skip
        return min(found)[-1] if found else None

    # --- messages ---

    def send(self, letter: Letter) -> None:
        """One transaction; whoever sent it delivers it in another, or the sweep does."""
        self.letters[letter.id] = letter
        self.payloads[f"message:{letter.id}/1"] = canonical.dump(letter.value)

    def deliver(self, letter: Letter) -> bool:
        """Hand a message that was just sent to the run that has waited longest for it."""
        found = [(wait.since_us, run_id.hex, run_id) for run_id, wait in self.waits.items() if wait.fits(letter)]
        return letter.status == "kept" and bool(found) and self.deliver_to(min(found)[-1])

    def deliver_to(self, run_id: uuid.UUID) -> bool:
        """Hand a run the oldest message that is kept for what it waits for."""
        wait = self.waits.get(run_id)
        kept = [letter for letter in self.letters.values() if letter.status == "kept" and wait and wait.fits(letter)]
        if wait is None or not kept:
            return False
        letter = kept[0]
        self.take_out(letter)
        del self.waits[run_id]
        self.post(
            self.rows[run_id], "message", actor=user_actor(setting.REQUESTER, auth="session"), ref=str(wait.id),
            outcome=letter.id, output=f"message:{letter.id}/1", value=letter.value,
        )  # fmt: skip
        return True

    def take_out(self, letter: Letter) -> None:
        letter.status = "delivered"

    def deliver_due(self) -> int:
        return sum(self.deliver_to(run_id) for run_id in list(self.waits))

    def write_waits(self, row: Row, transition: Transition) -> None:
        if transition.stops_listening:
            self.waits.pop(row.id, None)
        if (listening := transition.listening) is not None:
            since = self._us(transition.at)
            self.waits[row.id] = Wait(listening.id, listening.name, listening.key, row.release.workflow_id, since)
            self.afterwards.append(lambda: self.deliver_to(row.id))

    # --- families ---

    def write_family(self, row: Row, kin: Kin | None) -> None:
        if kin is None:
            return
        for child in kin.children:
            self._fork(row, child, kin)
        for tell in kin.tells:
            self.tell_child(self.rows[tell.run_id], tell.kind, tell.actor)
        if kin.ended:
            for _ in range(2 if self.word_twice() else 1):
                self.tell_parent(row, kin.ended)

    def tell_child(self, child: Row, kind: str, actor: Actor) -> None:
        self.post(child, kind, actor=actor)

    def tell_parent(self, row: Row, ended: Ended) -> None:
        """The word goes through its stored form and is read as `inbox` reads it."""
        parent = self.rows[ended.parent_id]
        parent.wake += 1
        word = telling.heard(telling.ref_of(ended, row.id), ordinal=parent.wake, outcome=ended.outcome)
        self.inbox[parent.id].append(word)

    def _fork(self, parent: Row, child: Child, kin: Kin) -> None:
        if child.id in self.rows:
            raise Violation("forked once", f"{parent.stream}: child {child.id} is there already")
        release = setting.body(child.release.id, child.first.data["path"])
        row = Row(child.id, release, parent.priority, self._us(kin.at), str(child.id), subject=parent.subject,
                  business_key=child.business_key or parent.business_key, parent=parent.id)  # fmt: skip
        lines, head = chain.seal(self._context(row), Head(), [child.first], kin.at, salts(row, 0))
        self._write_row(row, fold(State(), stream=row.stream, seq=1, type=child.first.type, data=child.first.data), head)
        self.rows[row.id], self.inbox[row.id] = row, []
        self._write_lines(row, lines)
        self.judge.committed(row, lines, None)
