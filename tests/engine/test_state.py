"""The control state as stored on the run row: canonical, without empty fields, and read back whole."""

from __future__ import annotations

from orchestration.engine import state as states
from orchestration.engine.state import Approval, Ending, Intent, State, Undoable

FULL = State(
    step="pay",
    phase="acting",
    visit=2,
    attempt=1,
    visits={"pay": 2, "ask": 1},
    outputs={"ask": "run:1/3"},
    approval=Approval(request="r", digest="", policy="p"),
    intent=Intent(key="k", digest="d", capability="c", safety="keyed"),
    effects=(Undoable(step="book", visit=1, key="k1", compensation="unbook"), Undoable("hold", 1, "k2", "")),
    ending=Ending(ended="failed", code="denied", step="pay", visit=2),
)


def test_the_text_of_a_state_is_fixed():
    assert states.dump(State()) == '{"phase":"ready"}'
    assert states.dump(FULL) == (
        '{"approval":{"digest":"","policy":"p","request":"r"},"attempt":1,"effects":['
        '{"compensation":"unbook","key":"k1","step":"book","visit":1},{"compensation":"","key":"k2","step":"hold","visit":1}],'
        '"ending":{"by":"","code":"denied","ended":"failed","left":0,"step":"pay","undone":0,"visit":2},'
        '"intent":{"approval":"","capability":"c","digest":"d","heard":"","key":"k","policy":"","safety":"keyed"},'
        '"outputs":{"ask":"run:1/3"},"phase":"acting","step":"pay","visit":2,"visits":{"ask":1,"pay":2}}'
    )


def test_a_state_reads_back_whole():
    assert states.load(states.dump(FULL)) == FULL
    assert states.load("") == State()
