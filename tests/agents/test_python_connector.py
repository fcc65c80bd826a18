"""Whatever an agent does, its answer ends as a reply that can be recorded or as a named failure (HAZARDS F18)."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from orchestration.agents import protocol, python, replies
from orchestration.agents.protocol import Abstain, AgentRequest, CallFailed, Done
from orchestration.workflows.definition import AgentVersion

REQUEST = AgentRequest(run_id="r", step="s", visit=1, attempt=1, idempotency_key="k", input={"text": "hi"})


def agent(callable_: str = "test.agent") -> AgentVersion:
    return AgentVersion("id", "a", "d", "python", callable_, {"limit": 3}, (), "u1")


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Any:
    def register(behave: Any) -> None:
        monkeypatch.setitem(protocol._registry, "test.agent", behave)

    return register


def raising(error: BaseException) -> Any:
    def behave(_: AgentRequest) -> Any:
        raise error

    return behave


def test_a_good_reply_comes_back_and_the_agent_sees_its_frozen_settings(answering: Any):
    answering(lambda request: Done(output={"n": request.settings["limit"], "in": request.input}, confidence=1, model="m"))

    reply = python.call(agent(), REQUEST)

    assert reply == Done(output={"n": 3, "in": {"text": "hi"}}, confidence=1.0, model="m")


def test_an_abstention_is_no_failure(answering: Any):
    answering(lambda _: Abstain("no idea"))

    assert python.call(agent(), REQUEST) == Abstain("no idea")


def test_an_output_kept_by_the_agent_cannot_change_afterwards(answering: Any):
    kept = {"amount": 1}
    answering(lambda _: Done(output=kept))

    reply = python.call(agent(), REQUEST)
    kept["amount"] = 1_000_000

    assert reply == Done(output={"amount": 1})


def test_an_unregistered_name_is_a_failure_that_says_so():
    reply = python.call(agent("os.system"), REQUEST)

    assert isinstance(reply, CallFailed)
    assert (reply.code, "os.system" in reply.detail) == ("agent_error", True)


@pytest.mark.parametrize("error", [ValueError("boom"), RecursionError(), MemoryError(), SystemExit(3), KeyError("x")])
def test_an_exception_is_a_named_failure(answering: Any, error: BaseException):
    answering(raising(error))

    reply = python.call(agent(), REQUEST)

    assert isinstance(reply, CallFailed)
    assert reply.code == "agent_error"
    assert reply.detail.startswith(type(error).__name__)


def test_an_interrupt_of_the_worker_is_not_swallowed(answering: Any):
    answering(raising(KeyboardInterrupt()))

    with pytest.raises(KeyboardInterrupt):
        python.call(agent(), REQUEST)


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


class Liar(dict[str, Any]):
    def items(self) -> Any:
        raise RuntimeError("no")


class Trap:
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


HOSTILE = {
    "none": None, "text": "hello", "dict": {"output": 1}, "trap": Trap(),
    "nan": Done(output=float("nan")), "infinity": Done(output={"a": float("inf")}), "set": Done(output={"a": {1}}),
    "bytes": Done(output=b"x"), "tuple": Done(output=(1,)), "int key": Done(output={1: 2}), "big int": Done(output=2**60),
    "nul": Done(output={"a": "x\x00y"}), "surrogate": Done(output="\ud800"), "deep": Done(output=deep(200)),
    "huge": Done(output="x" * 300_000), "liar": Done(output=Liar(a=1)), "object": Done(output=object()),
    "rationale": Done(output=1, rationale=5), "long rationale": Done(output=1, rationale="x" * 9_000),
    "confidence text": Done(output=1, confidence="0.9"), "confidence 2": Done(output=1, confidence=2),
    "confidence true": Done(output=1, confidence=True), "confidence nan": Done(output=1, confidence=float("nan")),
    "sources": Done(output=1, sources="abc"), "source int": Done(output=1, sources=(1,)),
    "many sources": Done(output=1, sources=("x",) * 51), "usage": Done(output=1, usage={"tokens": -1}),
    "usage float": Done(output=1, usage={"tokens": 1.5}), "usage list": Done(output=1, usage=[1]),
    "model": Done(output=1, model="m" * 200), "abstain none": Abstain(reason=None),
    "abstain usage": Abstain("?", usage={"tokens": -1}), "abstain model": Abstain("?", model="m" * 200),
    "abstain nul": Abstain(reason="a\x00"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_reply_breaks_the_contract_and_nothing_else(answering: Any, case: str):
    answering(lambda _: HOSTILE[case])

    reply = python.call(agent(), REQUEST)

    assert isinstance(reply, CallFailed), reply
    assert reply.code == "contract"
    assert len(reply.detail) <= replies.MAX_DETAIL_CHARS
    assert "\x00" not in reply.detail


def test_the_text_of_an_exception_is_cut_and_can_be_stored(answering: Any):
    answering(raising(ValueError("\ud800\x00" + "x" * sys.maxunicode)))

    reply = python.call(agent(), REQUEST)

    assert isinstance(reply, CallFailed)
    assert len(reply.detail) == replies.MAX_DETAIL_CHARS
    reply.detail.encode()
