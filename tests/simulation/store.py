"""A database in memory that promises what `engine.commit`, `lease`, `inbox` and the verbs of people promise, no more.

Each public method is one transaction: it checks, then writes everything at once. `Store.split` (a plant) is the exception.
Times are microseconds of virtual time; `skew_us` is how far the clock that leases are judged by was set wrong.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from aegis.core import canonical
from aegis.core.actors import SYSTEM, Actor, user_actor
from audit import chain
from audit.drafts import Context, Draft, Head
from orchestration.engine import starting
from orchestration.engine import state as states
from orchestration.engine.commit import Transition
from orchestration.engine.fold import fold
from orchestration.engine.intended import Opening
from orchestration.engine.lease import Turns
from orchestration.engine.moves import Message
from orchestration.engine.planner import may_cancel, may_retry, may_roll_back
from orchestration.engine.scene import REFUSALS
from orchestration.engine.state import State
from orchestration.engine.steps.effect import is_repeatable
from orchestration.engine.steps.proposals import bound_digest
from orchestration.engine.world_port import PastEffect
from tests.engine.world import START
from tests.simulation import setting
from tests.simulation.halts import Halts
from tests.simulation.meetings import Meetings
from tests.simulation.tables import Committed, Item, Refused, Request, Row, Settled, salts, state_of, urgency

Json = Any
SECOND: Final = 1_000_000


@dataclass
class Store(Meetings, Halts):
    """All tables. `judge` is told of every commit and of every settlement."""

    judge: Any
    lease_us: int
    notice: Callable[[Transition], None]  # told of every commit: what it put before people
    now_us: int = 0
    skew_us: int = 0
    epoch: int = 1
    matrix: int = 1
    rows: dict[uuid.UUID, Row] = field(default_factory=dict)
    keys: dict[str, Row] = field(default_factory=dict)
    lines: dict[str, list[str]] = field(default_factory=dict)
    journal: list[str] = field(default_factory=list)  # every line, in the order of commits
    payloads: dict[str, bytes] = field(default_factory=dict)  # "<stream>/<seq>" -> input, output or items
    recorded: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # stream -> types that count as on record
    inbox: dict[uuid.UUID, list[Message]] = field(default_factory=dict)
    requests: dict[str, Request] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    records: dict[tuple[str, str], tuple[int, Mapping[str, Json]]] = field(default_factory=dict)
    authors: dict[str, str] = field(default_factory=dict)  # place of an output -> the person who wrote it
    effect_keys: set[str] = field(default_factory=set)
    proposals: dict[tuple[uuid.UUID, str, int], bytes] = field(default_factory=dict)  # by run, step and visit
    pasts: dict[str, tuple[bytes, Mapping[str, bytes]]] = field(
        default_factory=dict
    )  # key -> proposal, payloads of what was done

    def now(self) -> datetime:
        return START + timedelta(microseconds=self.clock())

    def clock(self) -> int:
        return self.now_us + self.skew_us

    # --- submitting ---

    def submit(self, key: str, seed: int, payload: Json, *, priority: int) -> Row:
        """One run per key, however often it is asked for."""
        if key in self.keys:
            return self.keys[key]
        release = setting.release(seed)
        run_id = setting.derived("run", key, seed)
        row = Row(run_id, release, priority, self.clock(), key, setting.subject(key), payload["id"])
        data = {
            "workflow": release.workflow, "version": release.version, "priority": priority,
            "next": release.definition.steps[0].common.id, "input_digest": canonical.digest_of(payload),
            **starting._deadline(release, self.now()),
        }  # fmt: skip
        draft = Draft("run.submitted", user_actor(setting.REQUESTER, auth="session"), data=data,
                      payloads={"input": canonical.dump(payload)}, outcome="accepted")  # fmt: skip
        lines, head = chain.seal(self._context(row), Head(), [draft], self.now(), salts(row, 0))
        state = fold(State(), stream=row.stream, seq=1, type=draft.type, data=data)
        self._write_row(row, state, head)
        self.rows[row.id] = self.keys[key] = row
        self.inbox[row.id] = []
        self._write_lines(row, lines)
        self.judge.committed(row, lines, None)
        return row

    # --- leases ---

    def claim(self, limit: int, worker: str, turns: Turns) -> list[tuple[Row, bool]]:
        """(row, was lost), chosen as `engine.lease` chooses: a lost one alone, else the due, then the woken in their turn."""
        now = self.clock()
        free = [row for row in self.rows.values() if row.lease_us is None]
        lost = [row for row in self.rows.values() if row.lease_us is not None and row.lease_us < now]
        if lost:
            found = sorted(lost, key=urgency)[:1]
        else:
            due = sorted((row for row in free if row.due_us is not None and row.due_us <= now), key=urgency)
            woken = [row for row in free if row.wake > row.seen]
            found = due[: (limit + 1) // 2 if woken else limit]
            found += self._in_turn([row for row in woken if row not in found], limit - len(found), turns)
        for row in found:
            self.judge.taken(row)
            row.fence += 1
            row.lease_by, row.lease_us = worker, now + self.lease_us
            self.count_claim(row)
        return [(row, bool(lost)) for row in found]

    def _in_turn(self, woken: list[Row], room: int, turns: Turns) -> list[Row]:
        if not woken or room <= 0:
            return []
        oldest = sorted(woken, key=lambda row: (row.submitted_us, row.id.hex))[: turns.oldest_places(room)]
        candidates = [(row.id, row.release.workflow_id, row.priority, row.submitted_us) for row in woken if row not in oldest]
        chosen = [self.rows[run_id] for run_id in turns.order(candidates, room - len(oldest))]
        self.judge.claimed(chosen, [row for row in woken if row not in oldest and row not in chosen])
        return [*oldest, *chosen]

    def count_claim(self, row: Row) -> None:
        row.claims += 1

    def renew(self, held: Sequence[tuple[uuid.UUID, int]]) -> dict[uuid.UUID, int]:
        until = self.clock() + self.lease_us
        wakes = {}
        for run_id, fence in held:
            row = self.rows[run_id]
            if row.fence == fence and row.lease_us is not None:
                row.lease_us = until
                wakes[run_id] = row.wake
        return wakes

    def release(self, held: Sequence[tuple[uuid.UUID, int]]) -> None:
        for run_id, fence in held:
            row = self.rows[run_id]
            if row.fence == fence and row.lease_us is not None:
                row.lease_us, row.claims = self.clock(), 0

    def put_down(self, row: Row, fence: int, *, due_us: int | None, seen: int) -> None:
        if row.fence == fence:
            row.lease_us, row.due_us, row.seen, row.claims = None, due_us, seen, 0
            self.judge.put_down(row)

    def lay_down(self, row: Row, fence: int) -> None:
        if row.fence == fence:
            row.lease_us, row.claims = None, 0

    def unread(self, run_id: uuid.UUID, *, seen: int, wake: int) -> list[Message]:
        return [message for message in self.inbox[run_id] if seen < message.ordinal <= wake]

    # --- the commit ---

    def commit(self, batch: Sequence[Transition]) -> list[Committed | Refused]:
        """A group: as if each were committed alone, in order of their ids."""
        order = sorted(range(len(batch)), key=lambda index: batch[index].run_id.hex)
        outcomes = {index: self._commit_one(batch[index]) for index in order}
        return [outcomes[index] for index in range(len(batch))]

    def _commit_one(self, transition: Transition) -> Committed | Refused:
        row = self.rows[transition.run_id]
        if not self.epoch_holds(transition):
            return Refused("epoch")
        if not self.is_holder(transition):
            return Refused("lease")
        if self.has_news(transition):
            return Refused("news")
        for opening in transition.openings:
            if not self._electors(opening):
                return Refused("voters", opening.policy)
        if transition.claims and not self.is_free(transition.claims):
            return Refused("resource")
        for patch in transition.patches:
            version, _ = self.records.get((patch.record.type, patch.record.key), (0, None))
            if version != patch.record.version or patch.effect_key in self.effect_keys:
                return Refused("record")
        lines, head = chain.seal(
            self._context(row, transition.fence), transition.head, transition.drafts, transition.at,
            salts(row, transition.head.seq),
        )  # fmt: skip
        self.write(transition, lines, head)
        return Committed(head, row.wake)

    def epoch_holds(self, transition: Transition) -> bool:
        return transition.epoch is None or transition.epoch == self.epoch

    def is_holder(self, transition: Transition) -> bool:
        row = self.rows[transition.run_id]
        return row.fence == transition.fence and row.seq == transition.head.seq

    def has_news(self, transition: Transition) -> bool:
        """Something is given up because time passed, and the run was told something before."""
        return transition.is_by_time and self.rows[transition.run_id].wake > transition.seen

    def write(self, transition: Transition, lines: Sequence[chain.Line], head: Head) -> None:
        self.move_run(transition, head)
        self.write_rest(transition, lines)

    def move_run(self, transition: Transition, head: Head) -> None:
        row = self.rows[transition.run_id]
        self._write_row(row, transition.state, head)
        row.seen, row.claims = transition.seen, 0
        row.due_us = self._us(transition.due_at) if transition.due_at else None
        # The lease counts from when the world was read, as in the commit itself.
        row.lease_us = self._us(transition.at) + self.lease_us if transition.keeps_lease else None

    def write_rest(self, transition: Transition, lines: Sequence[chain.Line]) -> None:
        row = self.rows[transition.run_id]
        if transition.closes_waits:
            self._close_waits(row.id)
        self.write_resources(row, transition)
        self.write_waits(row, transition)
        for opening in transition.openings:
            self._open(row, opening, self._us(transition.at))
        for item in transition.items:
            self.items[str(item.id)] = Item(item.id, row.id, item)
        for patch in transition.patches:
            body = canonical.parse(patch.body)
            self.records[(patch.record.type, patch.record.key)] = (patch.record.version + 1, body)
            self.effect_keys.add(patch.effect_key)
        self._write_lines(row, lines)
        self.write_family(row, transition.kin)
        self.judge.committed(row, lines, transition)
        self.notice(transition)

    # --- people ---

    def post(self, row: Row, kind: str, *, actor: Actor, ref: str = "", outcome: str = "", **fields: Any) -> None:
        row.wake += 1
        message = Message(ordinal=row.wake, kind=kind, ref=ref, outcome=outcome, actor=actor, reason=fields.pop("reason", ""),
                          **fields)  # fmt: skip
        self.inbox[row.id].append(message)

    def shown(self, request: Request) -> str:
        """The digest of what stands now: what a person who looks sees, and what a vote must be about."""
        opening = request.opening
        if opening.question != "effect":
            return request.effect
        proposal = canonical.parse(opening.evidence["proposal"])
        resource = proposal["resource"]
        version, _ = self.records.get((resource["type"], resource["id"]), (0, None))
        capability = setting.matrix(self.matrix).capabilities.get(proposal["capability"])
        return bound_digest(capability.digest if capability else "", proposal, version)

    def decide(self, request: Request, person: str, verdict: str, seen_digest: str) -> None:
        """One vote. Raises `Settled` when it does not count."""
        if not self.may_decide(request) or person in request.bound or person in request.votes:
            raise Settled
        if self.clock() >= request.deadline_us:
            raise Settled
        standing = self.shown(request)
        if standing != request.effect:
            request.effect, request.votes = standing, []  # what they voted on is gone: votes are void
            raise Settled
        if seen_digest != standing:
            raise Settled
        request.votes.append(person)
        quorum = sum(stage.quorum for stage in setting.rules()[request.opening.policy].stages)
        if verdict == "reject" or len(request.votes) >= quorum:
            outcome = "rejected" if verdict == "reject" else "approved"
            self._settle(request, outcome, user_actor(person, auth="session"))

    def may_decide(self, request: Request) -> bool:
        return request.status == "open"

    def expire_due(self) -> None:
        now = self.clock()
        for request in self.requests.values():
            if request.status == "open" and request.deadline_us <= now:
                self._settle(request, "expired", SYSTEM)

    def answer(self, item: Item, person: str, outcome: str, *, output: Json = None, case: str = "") -> None:
        """Complete, retry or cancel a review item. Raises `Settled` when somebody was faster."""
        if item.status != "open":
            raise Settled
        if outcome not in ("completed", "cancelled", *self.ways_out(state_of(self.rows[item.run_id].state))):
            raise Settled
        item.status = outcome
        place = ""
        if output is not None:
            place = f"review:{item.id}/1"
            self.payloads[place] = canonical.dump(output)
            self.authors[place] = person
        self.judge.answered(item)
        self.post(self.rows[item.run_id], "review_settled", actor=user_actor(person, auth="session"), ref=str(item.id),
                  outcome=outcome, output=place, value=output, case=case)  # fmt: skip

    def tell(self, row: Row, kind: str, person: str) -> None:
        """Cancel, retry or roll back a run. Raises `Settled` when the run is in no state for it."""
        state = state_of(row.state)
        fits = {
            "cancel": may_cancel(state),
            "retry": may_retry(state) and not (row.parent and row.ended),
            "rollback": bool(row.release.definition.rollback)
            and row.parent is None
            and may_roll_back(state)
            and not any(message.kind == "rollback" and message.ordinal > row.seen for message in self.inbox[row.id]),
        }[kind]
        if not fits or (kind == "retry" and state.phase == "reviewing" and "retried" not in self.ways_out(state)):
            raise Settled
        self.post(row, kind, actor=user_actor(person, auth="session"), reason="because")

    def edit_matrix(self, number: int) -> None:
        self.matrix, self.epoch = number, self.epoch + 1

    def ways_out(self, state: State) -> tuple[str, ...]:
        """Answers a review item takes beside an output and the end of the run, as `engine.standing` says."""
        intent, is_undo = state.intent, bool(state.undoes)
        is_open = intent is not None and intent.heard != "nothing"
        is_diverged = bool(state.item) and self.items[state.item].opening.code == "effect_diverged"
        is_free = not is_open or is_repeatable(intent, setting.matrix(self.matrix))
        ways = {
            "happened": is_undo or is_open,
            "not_happened": intent is not None and (is_open or is_diverged),
            "retried": is_free and not is_diverged and not state.stopped_by,
            "left": is_undo,
        }
        return tuple(way for way, is_there in ways.items() if is_there)

    def past(self, key: str) -> PastEffect | None:
        if key not in self.pasts:
            return None
        proposal, payloads = self.pasts[key]
        said = {name: canonical.parse(body) for name, body in payloads.items()}
        return PastEffect(canonical.parse(proposal), said.get("before"), said.get("after"), said.get("output"))

    def edit_record(self, type_: str, key: str, body: Mapping[str, Json]) -> None:
        version, _ = self.records.get((type_, key), (0, None))
        self.records[(type_, key)] = (version + 1, body)

    # --- parts ---

    def _settle(self, request: Request, outcome: str, actor: Actor) -> None:
        request.status = outcome
        self.judge.settled(request, outcome)
        digest = request.effect if outcome == "approved" else ""
        self.post(self.rows[request.run_id], "gate_settled", actor=actor, ref=str(request.id), outcome=outcome, digest=digest)

    def _open(self, row: Row, opening: Opening, at_us: int) -> None:
        if str(opening.id) in self.requests:
            return
        deadline = int(setting.rules()[opening.policy].deadline / timedelta(microseconds=1))
        request = Request(opening.id, row.id, opening, at_us + deadline, self._bound(opening), "")
        request.effect = self.shown(request) if opening.question == "effect" else state_of(row.state).digest
        self.requests[str(opening.id)] = request

    def _bound(self, opening: Opening) -> frozenset[str]:
        authors = {self.authors[place] for place in opening.places if place in self.authors}
        return frozenset(authors | ({opening.asked_by} if opening.asked_by else set()))

    def _electors(self, opening: Opening) -> bool:
        quorum = sum(stage.quorum for stage in setting.rules()[opening.policy].stages)
        return len(setting.PEOPLE) - len(self._bound(opening)) >= quorum

    def _close_waits(self, run_id: uuid.UUID) -> None:
        for request in self.requests.values():
            if request.run_id == run_id and request.status == "open":
                request.status = "withdrawn"
        for item in self.items.values():
            if item.run_id == run_id and item.status == "open":
                item.status = "cancelled"

    def _write_row(self, row: Row, state: State, head: Head) -> None:
        row.state, row.status, row.step, row.ended = states.dump(state), state.status, state.step, state.is_ended
        row.seq, row.head = head.seq, head.leaf

    def _write_lines(self, row: Row, lines: Sequence[chain.Line]) -> None:
        texts = self.lines.setdefault(row.stream, [])
        for line in lines:
            texts.append(line.text)
            self.journal.append(line.text)
            for name, body, _ in line.payloads:
                if name in ("input", "output", "items"):
                    self.payloads[line.place] = body
            self._remember(row, line.draft)

    def _remember(self, row: Row, draft: Draft) -> None:
        """What undoing an effect will need, as `engine.past` finds it in the journal."""
        if draft.outcome not in REFUSALS:
            self.recorded[row.stream].add(draft.type)
        data, place = draft.data, (row.id, str(draft.data.get("step")), int(draft.data.get("visit", 0)))
        if draft.type in ("verdict.given", "effect.intended") and not data.get("undoes"):
            self.proposals[place] = draft.payloads["proposal"]
        if draft.type == "effect.done":
            self.pasts[data["key"]] = (self.proposals[place], draft.payloads)
        elif draft.type == "effect.stated":
            self.pasts[data["key"]] = (self.proposals[place], {"output": self.payloads[data["output"]]})

    def _context(self, row: Row, fence: int = 0) -> Context:
        release = row.release
        return Context(
            stream=row.stream, scope="workflow", scope_id=str(release.workflow_id), run_id=row.id,
            subject=row.subject, trace=row.id.hex, definition=release.digest, fence=fence,
        )  # fmt: skip

    def _us(self, moment: datetime) -> int:
        return (moment - START) // timedelta(microseconds=1)
