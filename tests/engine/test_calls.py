"""Calls in threads: each becomes an answer, whatever is called does, and no thread is lost with one. No database."""

from __future__ import annotations

import queue
import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from orchestration.agents import protocol
from orchestration.agents.protocol import AgentRequest, CallFailed
from orchestration.engine import calls, effects
from orchestration.engine.intended import AgentCall, EffectCall
from orchestration.engine.moves import EffectAnswered, Replied
from orchestration.workflows.definition import AgentVersion
from tests.hostile.agents import Quiet, Unspeakable

AGENT = AgentVersion("id", "a", "d", "python", "test.hostile", {}, (), "u1", {"python": "test.hostile"})
ASKED = AgentCall("s", 1, 1, AGENT, AgentRequest("r", "s", 1, 1, "k", {}), timedelta(seconds=5))
SENT = EffectCall("s", 1, 1, "k", "test.hostile", {}, {}, timedelta(seconds=5))
RAISED = [Quiet(), KeyboardInterrupt(), SystemExit(3), GeneratorExit(), Unspeakable(), ValueError("a\x00\ud800")]


def raising(error: BaseException) -> Callable[[Any], Any]:
    def behave(_: Any) -> Any:
        raise error

    return behave


def made(call: AgentCall | EffectCall) -> Replied | EffectAnswered:
    got: list[calls.Answer] = []
    calls.make(call, uuid.UUID(int=1), 7, got.append)
    [answer] = got
    assert (answer.run_id, answer.fence) == (uuid.UUID(int=1), 7)
    return answer.news


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
def test_whatever_an_agent_raises_its_call_is_answered(monkeypatch: pytest.MonkeyPatch, error: BaseException):
    monkeypatch.setitem(protocol._registry, "test.hostile", raising(error))

    news = made(ASKED)

    assert isinstance(news, Replied)
    assert isinstance(news.reply, CallFailed)
    assert news.reply.code == "agent_error"


@pytest.mark.parametrize("error", [*RAISED, effects.EffectRefused("\ud800")], ids=lambda error: type(error).__name__)
def test_whatever_a_handler_raises_is_an_answer_and_unknown_unless_it_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, error: BaseException
):
    monkeypatch.setitem(effects._registry, "test.hostile", raising(error))

    news = made(SENT)

    assert isinstance(news, EffectAnswered)
    assert news.error == ("refused" if isinstance(error, effects.EffectRefused) else "unknown")
    news.detail.encode()


def test_work_that_breaks_takes_no_thread_of_the_pool_along():
    pool = calls.Pool(2)
    done: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in range(20):
        pool.start(raising_work if number % 2 else lambda: done.put(threading.get_ident()))

    idents = {done.get(timeout=5) for _ in range(10)}

    assert len(idents) <= 2


def raising_work() -> None:
    raise Quiet
