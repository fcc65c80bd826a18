"""The agents that the guide shows do what the guide says."""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from aegis.core import clock
from orchestration.agents import calls
from orchestration.agents.protocol import Abstain, CallFailed, Done
from tests.agents.asking import REQUEST, SECRET_TEXT, version

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "agents.md"
NAME = "AEGIS_AGENT_SECRET_REFUNDS"


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The HTTP agent of the guide, answering on a port of its own."""
    monkeypatch.setenv(NAME, SECRET_TEXT)
    code = next(block for block in re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL) if "is_signed" in block)
    names: dict[str, Any] = {"__name__": "shown"}
    exec(compile(code, str(GUIDE), "exec"), names)
    names["Agent"].log_message = lambda *_: None
    server = names["ThreadingHTTPServer"](("127.0.0.1", 0), names["Agent"])
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    origin = f"http://127.0.0.1:{server.server_port}"
    yield version(f"{origin}/refunds", (origin,), secret=NAME)
    server.shutdown()
    server.server_close()


def ask(agent: Any, **given: Any) -> Any:
    return calls.call(agent, replace(REQUEST, input=given), fence=1, timeout=timedelta(seconds=10))


def test_the_http_agent_of_the_guide_answers_what_aegis_signed(shown: Any):
    assert ask(shown, currency="EUR") == Done(output={"verdict": "refund"}, confidence=0.93)
    assert ask(shown, currency="USD") == Abstain("I only know refunds in EUR")


def test_it_knows_one_of_two_secrets_while_they_are_rotated(shown: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(NAME, "whsec_" + "bmV3" * 12 + " " + SECRET_TEXT)

    assert isinstance(ask(shown, currency="EUR"), Done)


def test_it_refuses_what_another_secret_signed(shown: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(NAME, "whsec_" + "bmV3" * 12)
    reply = ask(shown, currency="EUR")

    assert isinstance(reply, CallFailed)
    assert "401" in reply.detail


def test_it_refuses_an_old_message(shown: Any, monkeypatch: pytest.MonkeyPatch):
    an_hour_ago = clock.now() - timedelta(hours=1)
    monkeypatch.setattr(clock, "now", lambda: an_hour_ago)

    assert "401" in ask(shown, currency="EUR").detail
