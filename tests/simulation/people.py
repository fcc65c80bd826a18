"""People: leads who decide and answer, a requester who cancels. They come late, twice, and sometimes not at all."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from orchestration.engine.commit import Transition
from tests.generated import house as lists
from tests.simulation import outside, setting
from tests.simulation.store import SECOND
from tests.simulation.tables import Item, Letter, Request, Row, Settled, state_of

if TYPE_CHECKING:
    from tests.simulation.simulator import Simulation


@dataclass
class People:
    sim: Simulation
    rng: Random
    is_home: bool = False  # they have all gone: nothing more is decided

    def notice(self, transition: Transition) -> None:
        """A commit put something before people."""
        store = self.sim.store
        for opening in transition.openings:
            request = store.requests[str(opening.id)]
            for person in setting.PEOPLE:
                if self.rng.random() < 0.7:
                    self._later(8, self._look, request, person)
        for opening in transition.items:
            if self.rng.random() < 0.9:
                self._later(6, self._answer, store.items[str(opening.id)])
        row = store.rows[transition.run_id]
        if row.status in ("failed", "waiting_retry") and self.rng.random() < 0.25:
            self._later(5, self._tell, row, "retry")
        if row.status == "completed" and transition.state.effects and self.rng.random() < 0.6:
            self._later(6, self._tell, row, "rollback")
        if transition.listening is not None and self.rng.random() < 0.6:
            self._later(6, self._send, transition.listening.name, transition.listening.key)
        if transition.kin and self.rng.random() < 0.06:
            for child in transition.kin.children:
                self._later(6, self._tell, store.rows[child.id], "cancel")

    def watch(self, row: Row) -> None:
        """A run was submitted: its requester may come to think better of it."""
        if self.rng.random() < 0.12:
            self._later(15, self._tell, row, "cancel")
        if self.rng.random() < 0.25:
            self._send(self.rng.choice(lists.MESSAGES), row.business_key)  # before anybody waits for it
        if self.rng.random() < 0.05:
            self._later(15, self._send, self.rng.choice(lists.MESSAGES), "nobody")

    def _later(self, seconds: float, step: object, *args: object) -> None:
        def go_on() -> None:
            if not self.is_home:
                with contextlib.suppress(Settled):
                    step(*args)  # type: ignore[operator]

        self.sim.later(int(self.rng.random() * seconds * SECOND) + 1, go_on)

    def _look(self, request: Request, person: str) -> None:
        """Read the page; decide on what it said some time later."""
        if request.status == "open":
            verdict = "approve" if self.rng.random() < 0.8 else "reject"
            self._later(3, self._decide, request, person, verdict, self.sim.store.shown(request))

    def _decide(self, request: Request, person: str, verdict: str, seen_digest: str) -> None:
        if self._fails("decision_written"):
            self._later(1, self._decide, request, person, verdict, seen_digest)  # rolled back; asked again
            return
        self.sim.store.decide(request, person, verdict, seen_digest)
        if self.sim.chance("vote_lost"):
            self._later(1, self._decide, request, person, verdict, seen_digest)  # it stands, but nobody told them
        self.sim.nudge()

    def _answer(self, item: Item) -> None:
        rng, opening = self.rng, item.opening
        person = rng.choice(sorted(setting.PEOPLE))
        ways = self.sim.store.ways_out(state_of(self.sim.store.rows[item.run_id].state))
        draw = rng.random()
        if draw < 0.65 and opening.choices:
            self.sim.store.answer(item, person, "completed", case=rng.choice(opening.choices))
        elif draw < 0.65 and opening.contract:
            self.sim.store.answer(item, person, "completed", output=outside.message(rng, opening.contract))
        elif draw < 0.75 and "happened" in ways:
            self._look_outside(item, person)
        elif draw < 0.8 and "left" in ways:
            self.sim.store.answer(item, person, "left")
        else:
            self.sim.store.answer(item, person, "retried" if draw < 0.85 else "cancelled")
        if rng.random() < 0.1:
            self._later(1, self._answer, item)  # and again from another tab
        self.sim.nudge()

    def _look_outside(self, item: Item, person: str) -> None:
        """Did it happen? Whoever runs the receiver knows; what is still on its way nobody does."""
        store = self.sim.store
        state = state_of(store.rows[item.run_id].state)
        effect = (str(item.run_id), state.step, state.visit, bool(state.undoes))
        if self.sim.receivers.naive[effect]:
            store.answer(item, person, "happened", output={"reference": "R-1", "result": None})
        else:
            store.answer(item, person, "not_happened")

    def _send(self, name: str, key: str) -> None:
        """A message, now and then one that breaks its contract or is sent again; its sender may die before it is delivered."""
        rng, store = self.rng, self.sim.store
        value = outside.message(rng, "facts@1") if rng.random() < 0.85 else {"kind": 7}
        letter = Letter(str(setting.derived("message", self.sim.seed, len(store.letters))), name, key, value)
        store.send(letter)
        if rng.random() < 0.15:
            self._later(8, self._send, name, key)
        if not self.sim.chance("missed"):
            self._later(1, self._deliver, letter)

    def _deliver(self, letter: Letter) -> None:
        if self.sim.store.deliver(letter):
            self.sim.nudge()

    def _tell(self, row: Row, kind: str) -> None:
        self.sim.store.tell(row, kind, setting.REQUESTER)
        self.sim.nudge()

    def _fails(self, point: str) -> bool:
        return self.sim.dies_at(point)
