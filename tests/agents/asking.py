"""An HTTP agent on loopback that a test scripts, and a version of an agent that asks it."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from orchestration.agents import calls
from orchestration.agents.protocol import AgentRequest, CallFailed, Reply
from orchestration.workflows.definition import AgentVersion

SECRET_NAME = "AEGIS_AGENT_SECRET_TEST"
SECRET = b"a secret of thirty-two bytes ..."
SECRET_TEXT = "whsec_" + base64.b64encode(SECRET).decode()

REQUEST = AgentRequest(run_id="r", step="s", visit=1, attempt=2, idempotency_key="r/s/1", input={"text": "hi"})
DONE = b'{"reply":"done","output":{"ok":true},"confidence":0.5}'


@dataclass
class Asked:
    """What the agent was sent."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class ScriptedAgent:
    """Answers (status, headers, body) as told; remembers what it was sent."""

    answer: Callable[[Asked], tuple[int, dict[str, str], bytes]] = lambda _: (200, {"content-type": "application/json"}, DONE)
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    def says(self, body: bytes, status: int = 200, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answer = lambda _: (status, {"content-type": "application/json", **named}, body)


@contextmanager
def serving(agent: ScriptedAgent, wrap: Callable[[Any], Any] = lambda sock: sock) -> Iterator[ScriptedAgent]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            agent.connections += 1
            super().setup()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            asked = Asked(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            agent.asked.append(asked)
            status, headers, answer = agent.answer(asked)
            self.send_response(status)
            for name, value in {"content-length": str(len(answer)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Nothing: the test asserts."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = wrap(server.socket)
    agent.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield agent
    finally:
        server.shutdown()
        server.server_close()


def version(url: str, allow: tuple[str, ...] = (), **spec: Any) -> AgentVersion:
    connection = {"http": {"url": url, "secret": SECRET_NAME, "allow": list(allow), **spec}}
    return AgentVersion("id", "a", "d", "http", "", {"limit": 3}, (), "u1", connection)


def local(port: int, path: str = "/ask") -> AgentVersion:
    """An agent on loopback, allowed by name."""
    origin = f"http://127.0.0.1:{port}"
    return version(origin + path, (origin,))


def ask(agent: AgentVersion, *, seconds: float = 5.0, fence: int = 7) -> Reply | CallFailed:
    return calls.call(agent, REQUEST, fence=fence, timeout=timedelta(seconds=seconds))
