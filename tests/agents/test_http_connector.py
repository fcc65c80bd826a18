"""An HTTP agent is asked with a signed request, and what it answers is a reply or a named failure."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from orchestration.agents import http, idle, replies, signing
from orchestration.agents.exchange import TooMuch
from orchestration.agents.protocol import Abstain, CallFailed, Done
from tests.agents.asking import DONE, REQUEST, SECRET, SECRET_NAME, SECRET_TEXT, ScriptedAgent, ask, local, serving, version
from tests.hostile.server import bomb


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET_NAME, SECRET_TEXT)
    monkeypatch.setattr(idle, "_kept", idle._Idle())


@pytest.fixture
def agent() -> Iterator[ScriptedAgent]:
    with serving(ScriptedAgent()) as found:
        yield found


def test_the_request_carries_input_settings_fence_key_and_a_signature_over_all_of_the_body(agent: ScriptedAgent):
    assert ask(local(agent.port), fence=7) == Done(output={"ok": True}, confidence=0.5)

    asked = agent.asked[0]
    assert json.loads(asked.body) == {
        "run_id": "r", "step": "s", "visit": 1, "attempt": 2, "idempotency_key": "r/s/1", "fence": 7,
        "input": {"text": "hi"}, "settings": {"limit": 3},
    }  # fmt: skip
    assert (asked.path, asked.headers["idempotency-key"], asked.headers["aegis-fence"]) == ("/ask", "r/s/1", "7")
    expected = signing.sign(SECRET, asked.headers["webhook-id"], int(asked.headers["webhook-timestamp"]), asked.body)
    assert asked.headers["webhook-signature"] == expected
    assert abs(int(asked.headers["webhook-timestamp"]) - datetime.now(UTC).timestamp()) < 60
    assert "." not in asked.headers["webhook-id"]
    assert asked.headers["host"] == f"127.0.0.1:{agent.port}"


def test_the_message_id_is_the_same_for_every_attempt_of_a_visit(agent: ScriptedAgent):
    ask(local(agent.port))
    ask(local(agent.port))

    assert agent.asked[0].headers["webhook-id"] == agent.asked[1].headers["webhook-id"]


def test_an_abstention_comes_through(agent: ScriptedAgent):
    agent.says(b'{"reply":"abstain","reason":"no idea"}')

    assert ask(local(agent.port)) == Abstain("no idea")

    agent.says(b'{"reply":"abstain","reason":"no idea","usage":{"tokens":7},"model":"m"}')
    assert ask(local(agent.port)) == Abstain("no idea", usage={"tokens": 7}, model="m")


def test_a_packed_answer_is_unpacked(agent: ScriptedAgent):
    agent.says(gzip.compress(DONE), content_encoding="gzip")

    assert ask(local(agent.port)) == Done(output={"ok": True}, confidence=0.5)


def test_a_connection_is_used_again_and_a_closed_one_is_not(agent: ScriptedAgent):
    for _ in range(3):
        assert isinstance(ask(local(agent.port)), Done)
    assert agent.connections == 1

    agent.says(DONE, connection="close")
    ask(local(agent.port))
    ask(local(agent.port))
    assert agent.connections == 2


def test_a_connection_under_one_allow_list_is_not_used_under_another(agent: ScriptedAgent):
    ask(local(agent.port))
    refused = ask(version(f"http://127.0.0.1:{agent.port}/ask"))

    assert isinstance(refused, CallFailed)
    assert agent.connections == 1


def test_a_kept_connection_that_the_agent_closed_costs_nothing(agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch):
    ask(local(agent.port))
    kept = next(iter(idle._kept._kept.values()))[1]
    kept._socket.shutdown(2)
    monkeypatch.setattr(type(kept), "is_quiet", lambda _: True)  # it closes just after we looked

    assert isinstance(ask(local(agent.port)), Done)
    assert agent.connections == 2


def test_an_answer_sent_before_it_was_asked_for_is_nobodys_answer(agent: ScriptedAgent):
    forged = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 31\r\n\r\n{"reply":"done","output":"fake"}'
    agent.says(DONE + forged, content_length=str(len(DONE)))
    ask(local(agent.port))
    agent.says(DONE)

    assert ask(local(agent.port)) == Done(output={"ok": True}, confidence=0.5)
    assert agent.connections == 2


BAD_REPLIES = {
    "empty": b"", "garbage": b"\xff\xfe", "text": b'"done"', "list": b"[]", "null": b"null", "no kind": b'{"output":1}',
    "kind unknown": b'{"reply":"fine","output":1}', "kind no text": b'{"reply":1}', "no output": b'{"reply":"done"}',
    "unknown field": b'{"reply":"done","output":1,"confidense":1}', "call": b'{"reply":"call","continuation":1}',
    "nan": b'{"reply":"done","output":NaN}', "huge number": b'{"reply":"done","output":1e400}',
    "big integer": b'{"reply":"done","output":9007199254740993}', "duplicate": b'{"reply":"done","output":1,"output":2}',
    "nul": b'{"reply":"done","output":"a\\u0000"}', "surrogate": b'{"reply":"done","output":"\\ud800"}',
    "deep": b'{"reply":"done","output":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "confidence": b'{"reply":"done","output":1,"confidence":2}', "bom": b"\xef\xbb\xbf" + DONE, "two": DONE + DONE,
    "reason": b'{"reply":"abstain","reason":5}', "large": b'{"reply":"done","output":"' + b"x" * 400_000 + b'"}',
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_REPLIES)
def test_what_is_no_reply_breaks_the_contract(agent: ScriptedAgent, case: str):
    agent.says(BAD_REPLIES[case])

    reply = ask(local(agent.port))

    assert isinstance(reply, CallFailed), reply
    assert reply.code == "contract"


def test_a_call_for_others_is_refused_clearly(agent: ScriptedAgent):
    agent.says(BAD_REPLIES["call"])

    assert "performs no calls" in ask(local(agent.port)).detail


@pytest.mark.parametrize(
    "content_type", ["text/html", "", "application/json; charset=utf-16", "application/jsonp", "application/json, text/html"]
)
def test_only_json_in_utf_8_is_read(agent: ScriptedAgent, content_type: str):
    agent.says(DONE, content_type=content_type)

    reply = ask(local(agent.port))

    assert isinstance(reply, CallFailed)
    assert (reply.code, "content-type" in reply.detail) == ("contract", True)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", DONE), ("gzip", gzip.compress(DONE)[:-4]), ("gzip", gzip.compress(DONE) + b"x"), ("br", DONE),
        ("deflate", DONE), ("gzip, gzip", gzip.compress(gzip.compress(DONE))),
        ("gzip", gzip.compress(b" " * 20_000_000, 1)[:40_000]),
        ("gzip", gzip.compress(b'{"reply":"done","output":"' + b"a" * 9_000_000 + b'"}')),
    ],
    ids=["no gzip", "cut", "more", "br", "deflate", "twice", "bomb cut", "bomb"],
)  # fmt: skip
def test_a_packing_that_lies_breaks_the_contract(agent: ScriptedAgent, encoding: str, body: bytes):
    agent.says(body, content_encoding=encoding)

    reply = ask(local(agent.port))

    assert isinstance(reply, CallFailed)
    assert reply.code == "contract"


def test_a_bomb_is_never_unpacked_beyond_the_limit():
    packed = bomb(b'{"reply":"done","output":"')
    tracemalloc.start()
    try:
        with pytest.raises(TooMuch):
            http._decoded(packed, ["gzip"])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 4 * replies.MAX_REPLY_BYTES


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (201, "contract"), (204, "contract"), (301, "agent_error"), (302, "agent_error"), (400, "agent_error"),
        (401, "agent_error"), (404, "agent_error"), (429, "rate_limited"), (500, "agent_error"), (502, "agent_error"),
        (503, "unavailable"),
    ],
)  # fmt: skip
def test_a_status_other_than_200_is_a_failure_with_a_code(agent: ScriptedAgent, status: int, code: str):
    agent.says(b"" if status == 204 else b"because\x00 <b>", status=status, location="http://169.254.169.254/")

    reply = ask(local(agent.port))

    assert isinstance(reply, CallFailed)
    assert reply.code == code
    assert f"HTTP {status}" in reply.detail
    assert len(agent.asked) == 1


NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def in_seconds(seconds: float) -> str:
    return format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        ("17", 17, 17), ("0", 0, 0), ("1000000000", 86_400, 86_400), ("9" * 5_000, 86_400, 86_400), ("-5", 0, 0), ("1.5", 0, 0),
        ("soon", 0, 0), ("", 0, 0), ("٣", 0, 0), ("1e9", 0, 0), (in_seconds(100), 100, 100), (in_seconds(-100), 0, 0),
        (in_seconds(10**7), 86_400, 86_400), ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400, 86_400), ("Fri, 99 Foo 0000", 0, 0),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0, 0),
    ],
)  # fmt: skip
def test_the_wait_an_agent_asks_for_is_read_and_bounded(value: str, least: float, most: float):
    assert least <= http.retry_after([value], at=NOW.timestamp()) <= most


def test_two_waits_are_none():
    assert http.retry_after(["1", "2"], at=0) == 0.0
    assert http.retry_after([], at=0) == 0.0


@pytest.mark.parametrize("status", [429, 503])
def test_the_wait_goes_with_the_failure(agent: ScriptedAgent, status: int):
    agent.says(b"", status=status, retry_after="30")

    assert ask(local(agent.port)).retry_after == 30.0


def test_nobody_listening_is_unavailable():
    with serving(ScriptedAgent()) as gone:
        port = gone.port

    reply = ask(local(port))

    assert isinstance(reply, CallFailed)
    assert (reply.code, "refused" in reply.detail) == ("unavailable", True)


def test_without_its_secret_an_agent_is_not_asked(agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(SECRET_NAME)

    reply = ask(local(agent.port))

    assert isinstance(reply, CallFailed)
    assert (reply.code, SECRET_NAME in reply.detail, agent.connections) == ("agent_error", True, 0)


def test_proxies_of_the_environment_are_not_used(agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch):
    with serving(ScriptedAgent()) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")

        assert isinstance(ask(local(agent.port)), Done)
        assert (agent.connections, proxy.connections) == (1, 0)


def test_the_largest_output_that_may_be_kept_comes_through(agent: ScriptedAgent):
    output = "x" * (250 * 1024)
    agent.says(json.dumps({"reply": "done", "output": output, "rationale": "y" * replies.MAX_TEXT_CHARS}).encode())

    reply: Any = ask(local(agent.port))

    assert reply.output == output


def test_a_wide_request_is_sent_whole(agent: ScriptedAgent):
    from dataclasses import replace

    from orchestration.agents import calls

    wide = replace(REQUEST, input={"text": "ü" * 100_000})

    assert isinstance(calls.call(local(agent.port), wide, fence=1, timeout=timedelta(seconds=5)), Done)
    assert json.loads(agent.asked[0].body)["input"] == wide.input
