"""What any release wrote still verifies, and still means what it meant."""

from __future__ import annotations

import orjson
import pytest

from aegis.core import canonical
from aegis.core.errors import IntegrityBroken
from audit import catalogue, chain
from orchestration.engine import events
from orchestration.engine import state as states
from orchestration.engine.fold import fold, fold_all
from orchestration.engine.state import State
from tests.simulation import golden

HISTORIES = list(golden.histories())
NEEDED = {
    "run.submitted", "step.started", "step.completed", "step.failed", "step.lost", "route.chosen", "verdict.given",
    "gate.opened", "gate.settled", "review.opened", "review.settled", "effect.intended", "effect.done", "effect.unknown",
    "effect.lost", "run.completed", "run.cancelled", "step.held", "step.resumed", "run.compensating", "run.compensated",
    "inbox.ignored", "run.quarantined",
}  # fmt: skip


@pytest.fixture(autouse=True)
def registered():
    catalogue.register(*events.TYPES)


@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: f"{history.path.parent.name}/{history.path.stem}")
def test_a_golden_history_folds_to_its_state_and_its_chain_holds(history):
    lines = [orjson.loads(text) for text in history.lines]

    previous = chain.ZERO
    for seq, (text, line) in enumerate(zip(history.lines, lines, strict=True), 1):
        assert canonical.dump_line(line).decode() == text
        assert (line["seq"], line["prev"], line["v"]) == (seq, previous, 1)
        assert catalogue.get(line["type"], line["type_version"]).sentence
        previous = chain.leaf_hash(text.encode())
    state = fold_all(lines[0]["stream"], lines)

    assert state == states.load(history.state)
    assert states.dump(state) == history.state


def test_the_histories_hold_every_kind_of_event_worth_keeping():
    told = {orjson.loads(text)["type"] for history in HISTORIES for text in history.lines}

    assert told >= NEEDED


def test_a_type_that_no_release_wrote_is_refused():
    with pytest.raises(IntegrityBroken):
        fold(State(), stream="run:1", seq=1, type="run.invented", data={})


def test_a_release_is_recorded_once():
    with pytest.raises(FileExistsError):
        golden.record(HISTORIES[0].path.parent.name)
