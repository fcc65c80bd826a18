"""What must hold after every event of a simulation, told by somebody who trusts neither the store nor the workers.

The judge keeps books of its own, made from the bytes of the journal alone, and compares.
"""

from __future__ import annotations

import hashlib
import uuid
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, get_args

import orjson

from audit import chain
from orchestration.engine import state as states
from orchestration.engine.fold import fold
from orchestration.engine.intended import AgentCall, EffectCall
from orchestration.engine.planner import MAX_LOSSES
from orchestration.engine.state import State, Status
from orchestration.engine.turn import Runaway
from orchestration.workflows.definition import ActStep
from tests.simulation import house, setting
from tests.simulation.census import Census
from tests.simulation.violation import Violation

if TYPE_CHECKING:
    from orchestration.engine.commit import Transition
    from tests.simulation.outside import Receivers
    from tests.simulation.store import Store
    from tests.simulation.tables import Item, Request, Row

DECLARED: Final = frozenset(get_args(Status))
#: Events that say that something was given up; the same commit must say where the run goes instead.
GIVEN_UP: Final = frozenset(
    {"step.abstained", "step.unsure", "contract.violated", "expression.failed", "effect.unknown", "run.quarantined",
     "run.faulted", "effect.diverged", "deadline.passed"}
)  # fmt: skip
SOMEWHERE: Final = frozenset(
    {"review.opened", "step.gave_up", "run.failed", "run.cancelled", "run.compensating", "step.stopping"}
)
#: Events that take the outcome of a request or of a review item.
SETTLED: Final = frozenset({"gate.settled", "review.settled", "rollback.approved", "rollback.refused"})
MOST_DEATHS: Final = 6  # workers one run may kill before its next commit: its holder, then MAX_CLAIMS that took it up


Place = tuple[str, int, bool]  # step, visit; is it about undoing


@dataclass(slots=True)
class Book:
    """What the judge knows of one run."""

    state: State = field(default_factory=State)
    seq: int = 0
    leaf: str = chain.ZERO
    consumed: set[int] = field(default_factory=set)
    intents: set[tuple[Place, int]] = field(default_factory=set)  # with the attempt
    tries: Counter[Place] = field(default_factory=Counter)  # intents since a person sent it back
    sent_back: Counter[Place] = field(default_factory=Counter)
    done: Counter[Place] = field(default_factory=Counter)  # effects recorded as done
    gates: Counter[str] = field(default_factory=Counter)  # outcomes by request
    deaths: int = 0


@dataclass
class Judge:
    """Raises `Violation` at the event that breaks a promise."""

    store: Store = field(init=False)
    books: dict[uuid.UUID, Book] = field(default_factory=lambda: defaultdict(Book))
    outcomes: Counter[uuid.UUID] = field(default_factory=Counter)  # of requests, as people settled them
    answers: Counter[uuid.UUID] = field(default_factory=Counter)  # of review items
    census: Census = field(default_factory=Census)

    # --- every commit ---

    def committed(self, row: Row, lines: Sequence[chain.Line], transition: Transition | None) -> None:
        book = self.books[row.id]
        if transition is not None and transition.fence != row.fence:
            raise Violation("stale worker", f"{row.stream} was written under fence {transition.fence}, it is {row.fence}")
        parsed = []
        for line in lines:
            before = book.state
            parsed.append(self._read(row, book, line.text))
            self._look(row, book, parsed[-1])
            self.census.read(row, line, before, parsed[-1])
            if transition is not None:
                self.census.heard_first(row, transition.seen, parsed[-1])
        self._compare(row, book, transition)
        self.census.committed(row, book.state, self.store)
        self._given_up(row, parsed)
        self.put_down(row)
        book.deaths = 0

    def _read(self, row: Row, book: Book, text: str) -> dict[str, Any]:
        """One line: its place in the chain, and what it makes of the state."""
        line: dict[str, Any] = orjson.loads(text)
        if (line["seq"], line["prev"], line["stream"]) != (book.seq + 1, book.leaf, row.stream):
            raise Violation("chain", f"{row.stream}/{line['seq']} does not follow {book.seq}")
        book.seq, book.leaf = line["seq"], hashlib.sha256(b"\x00" + text.encode()).hexdigest()
        book.state = fold(book.state, stream=row.stream, seq=line["seq"], type=line["type"], data=line["data"])
        return line

    def _compare(self, row: Row, book: Book, transition: Transition | None = None) -> None:
        """Row and lines agree. With a transition its state stands for the text on the row; in the end the text is read."""
        _heads_agree(row, book)
        if transition is not None:
            agrees = transition.state == book.state
        else:
            agrees = states.dump(book.state) == row.state and states.load(row.state) == book.state
        if not agrees:
            raise Violation("fold", f"{row.stream}/{row.seq}: the stored state is not what its events say")
        if (row.status, row.step) != (book.state.status, book.state.step) or row.status not in DECLARED:
            raise Violation("declared state", f"{row.stream}: {row.status} at {row.step}")

    def _look(self, row: Row, book: Book, line: dict[str, Any]) -> None:
        type_, data = line["type"], line["data"]
        place: Place = (data.get("step", ""), data.get("visit", 0), bool(data.get("undoes")))
        self._consume(row, book, line)
        match type_:
            case "step.started" | "effect.intended":
                book.intents.add((place, data["attempt"]))
                book.tries[place] += 1
                self._bounded_tries(row, book, place)
                self._allowed(row, line)
            case "effect.done" | "effect.stated":
                book.done[place] += 1
                if book.done[place] > 1:
                    raise Violation("effect twice", f"{row.stream}: {place} is recorded as done twice")
            case "run.retried":
                self._sent_back(book)
            case "review.settled" if data["outcome"] in ("retried", "not_happened"):
                self._sent_back(book)
            case "gate.settled" if data["request"]:
                book.gates[data["request"]] += 1
                if book.gates[data["request"]] > 1:
                    raise Violation("one outcome", f"{row.stream}: request {data['request']} was settled twice")
            case "review.opened":
                self._in_a_queue(row, data)
        if line["matrix"] and line["matrix"] != self.store.matrix:
            raise Violation("epoch", f"{row.stream}/{line['seq']}: matrix {line['matrix']}, {self.store.matrix} stands")

    def _consume(self, row: Row, book: Book, line: dict[str, Any]) -> None:
        kind, _, ref = line["cause"].partition(":")
        if kind == "inbox":
            book.consumed.add(int(ref))
        elif line["type"] in SETTLED and kind in ("request", "review"):
            found = [one.ordinal for one in self.store.inbox[row.id] if one.ref == ref and one.ordinal not in book.consumed]
            book.consumed.update(found[:1])
        elif kind == "message":
            found = [one.ordinal for one in self.store.inbox[row.id] if one.outcome == ref and one.ordinal not in book.consumed]
            book.consumed.update(found[:1])

    def _bounded_tries(self, row: Row, book: Book, place: Place) -> None:
        retry = getattr(row.release.definition.step(place[0]), "retry", None)
        if book.tries[place] > (retry.attempts if retry else 1) + MAX_LOSSES:
            raise Violation("attempts", f"{row.stream}: {book.tries[place]} tries of {place}")

    def _allowed(self, row: Row, line: dict[str, Any]) -> None:
        agent = row.release.agents[line["agent"]]
        if not setting.matrix(self.store.matrix).agents[agent.id].is_enabled:
            raise Violation("epoch", f"{row.stream}/{line['seq']}: {line['agent']} is disabled")
        if self.store.halt_of(agent.name, [str(row.release.workflow_id)]):
            raise Violation("epoch", f"{row.stream}/{line['seq']}: an intent under a halt")

    def _sent_back(self, book: Book) -> None:
        place: Place = (book.state.step, book.state.visit, bool(book.state.undoes))
        book.sent_back[place] += 1
        book.tries[place] = 0

    def _in_a_queue(self, row: Row, data: dict[str, Any]) -> None:
        item = self.store.items.get(data["item"])
        if item is None or item.run_id != row.id or item.opening.queue not in house.QUEUES:
            raise Violation("never silent", f"{row.stream}: {data['code']} is in nobody's queue")

    def _given_up(self, row: Row, lines: Sequence[dict[str, Any]]) -> None:
        """Every give-up is followed, in the same commit, by where the run went."""
        owed = ""
        for line in lines:
            type_, data = line["type"], line["data"]
            if type_ in SOMEWHERE:
                owed = ""
                if type_ == "run.failed" and not data["code"]:
                    raise Violation("never silent", f"{row.stream}: failed without a code")
            elif _gives_up(type_, data) and not line["cause"].startswith("message:"):  # a wait goes on behind a broken message
                owed = type_
        if owed:
            raise Violation("never silent", f"{row.stream}: {owed}, and then nothing")

    def put_down(self, row: Row) -> None:
        """What the row says it has read was consumed, on record."""
        book = self.books[row.id]
        for message in self.store.inbox[row.id]:
            if message.ordinal <= row.seen and message.ordinal not in book.consumed:
                raise Violation("wake lost", f"{row.stream}: message {message.ordinal} ({message.kind}) was never consumed")

    # --- calls, people, workers ---

    def calling(self, row: Row, call: AgentCall | EffectCall) -> None:
        if (_place(call), call.attempt) not in self.books[row.id].intents:
            raise Violation("intent first", f"{row.stream}: {call.step}, attempt {call.attempt}, has no intent on record")

    def effected(self, row: Row, call: EffectCall, receivers: Receivers) -> None:
        effect = (str(row.id), *_place(call))
        if receivers.applied[effect] > 1:
            raise Violation("effect twice", f"{effect} was applied {receivers.applied[effect]} times behind its key")
        allowed = 1 + self.books[row.id].sent_back[_place(call)]
        if call.handler in house.UNSAFE and receivers.naive[effect] > allowed:
            raise Violation("unsafe twice", f"{effect} happened {receivers.naive[effect]} times, people asked for {allowed}")

    def settled(self, request: Request, outcome: str) -> None:
        self.outcomes[request.id] += 1
        if self.outcomes[request.id] > 1:
            raise Violation("one outcome", f"request {request.id} was settled again: {outcome}")

    def answered(self, item: Item) -> None:
        self.answers[item.id] += 1
        if self.answers[item.id] > 1:
            raise Violation("one outcome", f"review item {item.id} was answered twice")

    def taken(self, row: Row) -> None:
        """A worker reads the row of a run: its lines are all there."""
        _heads_agree(row, self.books[row.id])

    def claimed(self, taken: Sequence[Row], left: Sequence[Row]) -> None:
        """Nothing more urgent was left lying beside what was taken."""
        if taken and left and min(row.priority for row in left) < max(row.priority for row in taken):
            raise Violation("fair", f"{taken[-1].stream} was taken before a run of a lower tier")

    def poisoned(self, row: Row, fence: int) -> None:
        if fence < row.fence:
            return  # a stale holder dies of its own pause, not of another claim
        book = self.books[row.id]
        book.deaths += 1
        if book.deaths > MOST_DEATHS:
            raise Violation("attempts", f"{row.stream} killed {book.deaths} workers in a row")

    def broke(self, row: Row, error: Exception) -> None:
        """The pure core raised. Only a definition that never rests may do that."""
        if not isinstance(error, Runaway):
            raise Violation("unforeseen", f"{row.stream}: {type(error).__name__}: {error}") from error

    # --- the end ---

    def at_rest(self, row: Row) -> str:
        """Why this run is not where it may stay; "" if it has ended or waits for somebody who can see it."""
        if row.lease_us is not None or row.wake > row.seen:
            return "runnable"
        state = self.books[row.id].state
        if row.ended:
            return ""
        if state.phase == "deciding":
            request = self.store.requests.get(state.request)
            return "" if request is not None and request.status == "open" else "waits for a request that is closed"
        if state.phase == "reviewing":
            item = self.store.items.get(state.item)
            return "" if item is not None and item.status == "open" else "waits for a review item that is closed"
        if state.phase == "held" and state.hold == "halt" and state.held_by in self.store.halts:
            return ""
        if row.due_us is not None and self._is_halted(row, state):
            return ""  # its clocks stand still
        if state.phase in ("joining", "recalling"):
            return self._waits_for_children(row, state)
        return f"{state.phase} for nobody"

    def _waits_for_children(self, row: Row, state: State) -> str:
        waits_for = {state.undoes} if state.phase == "recalling" else set(state.fork.open.values()) if state.fork else set()
        children = [child for child in self.census.children[row.id] if str(child.id) in waits_for]
        return "" if any(not child.ended for child in children) else "waits for children that have ended"

    def _is_halted(self, row: Row, state: State) -> bool:
        definition = row.release.definition
        step = definition.step(state.step) if state.step else None
        source = definition.step(step.source) if isinstance(step, ActStep) else step
        names = {"everything", str(row.release.workflow_id), getattr(source, "agent", "")}
        return any(target in names for target in self.store.halts.values())

    def final(self) -> None:
        """The stored text of every state; and of every third run everything once more from its bytes, from the first line."""
        for number, row in enumerate(self.store.rows.values()):
            book = self.books[row.id]
            if number % 3 == 0:
                book = Book()
                for text in self.store.lines[row.stream]:
                    self._read(row, book, text)
            self._compare(row, book)
        self.census.final(self.store)


def _heads_agree(row: Row, book: Book) -> None:
    if (row.seq, row.head) != (book.seq, book.leaf):
        raise Violation("chain", f"{row.stream}: the row's head is at {row.seq}, its lines end at {book.seq}")


def _place(call: AgentCall | EffectCall) -> Place:
    return (call.step, call.visit, isinstance(call, EffectCall) and "/undo" in call.key)


def _gives_up(type_: str, data: dict[str, Any]) -> bool:
    if type_ in ("step.failed", "effect.failed"):
        return not data["retry_at"]
    return type_ in GIVEN_UP or (type_ == "gate.settled" and data["outcome"] != "approved")
