"""Whatever happens in whatever order: the state is the fold of the events, and no effect is sent or undone twice blindly.
Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.engine import state as states
from orchestration.engine.moves import EffectAnswered, Message, Taken
from orchestration.workflows.definition import OnFailure, Retry
from tests.effects.house import PERSON, act, ask, go_on, planned, proposal, world
from tests.engine.world import Life

#: What the world may do to a run next. Those that do not fit its state are late, doubled or misplaced messages.
HAPPENINGS = (
    "done", "refused", "unavailable", "unknown", "stale", "lost", "cancel", "wait", "retry", "retried", "happened",
    "not_happened",
    "left", "cancelled", "approved", "rejected", "refund denied", "refund allowed", "somebody writes", "pay is unsafe",
)  # fmt: skip
KNOWN_NOT = ("refused", "unavailable", "moved", "no_handler")


@dataclass
class Ledger:
    """What an outsider may conclude from the events, kept apart from the product's own state."""

    open: dict[str, str] = field(default_factory=dict)  # key that may have happened -> class it was intended under
    keys: dict[tuple[str, int, str], str] = field(default_factory=dict)  # step, visit, what it undoes -> its one key
    done: list[str] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)

    def read(self, type_: str, data: dict) -> None:
        key, undoes = data.get("key", ""), data.get("undoes", "")
        match type_:
            case "effect.intended":
                assert self.open.get(key) != "unsafe", "an unsafe effect whose outcome is open was sent again"
                place = (data["step"], data["visit"], undoes)
                assert self.keys.setdefault(place, key) == key, "the key changed between two attempts"
                self.open[key] = data["safety"]
            case "review.settled" if data["outcome"] == "not_happened":
                self.open.clear()  # a person has looked
            case "effect.failed" if data["code"] in KNOWN_NOT:
                self.open.pop(key, None)
            case "effect.done" | "effect.stated" | "effect.left":
                self.open.pop(key, None)
                undoes = key if type_ == "effect.left" else undoes
                told = self.undone if undoes else self.done
                assert (undoes or key) not in told, "done or undone twice"
                told.append(undoes or key)


def lives(safety: str) -> Life:
    of = world(safety, ticket__restore="gate")
    few = Retry(attempts=2, jitter=False)
    steps = (
        act("reply"),
        act("pay", retry=few, effect_failed=OnFailure("compensate"), effect_unknown=OnFailure("compensate")),
        act("again", retry=few),
        ask("last"),
    )
    second = proposal("ticket.pay", amount=6)
    return planned(of, *steps, reply=proposal("ticket.reply", status="x"), pay=proposal("ticket.pay", amount=5), again=second)


def happen(life: Life, what: str) -> None:
    state, ordinal = life.state, 2
    match what:
        case "done" | "refused" | "unavailable" | "unknown" | "stale":
            if state.phase != "acting":
                return
            key = "another/key/1/0" if what == "stale" else state.intent.key
            error = "" if what in ("done", "stale") else what
            life.turn(EffectAnswered(state.step, state.visit, key, state.attempt, None, error, "", 1))
        case "lost":
            life.turn(Taken())
        case "cancel" | "retry":
            life.turn(Message(ordinal, what, "", "", PERSON, "why"))
        case "wait":
            life.turn()
            if life.due_at:
                life.world.now = life.due_at
                life.turn()
        case "retried" | "happened" | "not_happened" | "left" | "cancelled":
            if what == "happened" and not (state.intent or state.ending):
                return  # the verb refuses it: there is no effect to state anything about
            if what == "left" and not state.ending:
                return
            output = "review:i/2" if what == "happened" else ""
            life.turn(Message(ordinal, "review_settled", state.item, what, PERSON, "", output=output, value={}))
        case "approved" | "rejected":
            life.turn(Message(ordinal, "gate_settled", state.request, what, PERSON, "", digest=state.digest))
        case "refund denied" | "refund allowed":
            for grant in life.world.matrix_document["roles"]["desk"]["grants"]:
                if grant["capability"] == "ticket.refund":
                    grant["effect"] = "deny" if what == "refund denied" else "allow"
        case "somebody writes":
            version, body = life.world.records[("ticket", "T-1")]
            life.world.records[("ticket", "T-1")] = (version + 1, {**body, "n": version})
        case "pay is unsafe":
            life.world.matrix_document["capabilities"]["ticket.pay"]["safety"] = "unsafe"
    go_on(life)


def check_life(safety: str, happenings: list[str]) -> None:
    """Live through it and look at every event as an outsider would.

    Args:
        safety: class of the payment; "loosened" = intended as unsafe, declared keyed afterwards.

    Raises:
        AssertionError: something was done or undone that must not be.
    """
    life = lives("unsafe" if safety == "loosened" else safety)
    if safety == "loosened":
        for name in ("ticket.pay", "ticket.refund"):
            life.world.matrix_document["capabilities"][name]["safety"] = "keyed"
    ledger, read = Ledger(), 0
    for what in ["", *happenings]:
        if what:
            happen(life, what)
        for type_, data in life.events[read:]:
            ledger.read(type_, data)
        read = len(life.events)

        assert life.refold() == life.state
        assert states.load(states.dump(life.state)) == life.state
    assert ledger.undone == [key for key in reversed(ledger.done) if key in ledger.undone], "undone out of order"
    if life.state.ended == "cancelled" or life.state.is_compensated:
        assert not life.state.effects


@settings(max_examples=400)
@given(safety=st.sampled_from(["keyed", "unsafe", "loosened"]), happenings=st.lists(st.sampled_from(HAPPENINGS), max_size=24))
def test_no_effect_is_sent_twice_blindly_or_undone_twice_whatever_happens(safety, happenings):
    check_life(safety, happenings)
