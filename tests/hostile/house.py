"""One agent and one workflow per kind of misbehaviour, so that a run of each shows how it ends."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.agents.asking import SECRET_NAME
from tests.engine.house import document

TIMEOUT_SECONDS = 2
ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def hostile_server() -> Iterator[int]:
    """The hostile HTTP agent in a process of its own; yields its port."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.hostile.server"], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def name_of(connector: str, kind: str) -> str:
    return f"{connector}-{re.sub('[^a-z0-9]+', '-', kind.lower()).strip('-')}"


def over_http(port: int, path: str) -> dict:
    origin = f"http://127.0.0.1:{port}"
    return {"http": {"url": origin + path, "secret": SECRET_NAME, "allow": [origin]}}


def isolated(callable_: str) -> dict:
    return {"python": callable_, "mode": "isolated", "memory_mb": 256}


def agent(name: str, connector: dict) -> dict:
    return document("Agent", name, {"owner": "ada", "roles": [], "connector": connector})


def workflow(name: str, *, attempts: int = 1) -> dict:
    retry = {"attempts": attempts, "backoff": "1s", "cap": "1m"}
    step = {"id": "ask", "agent": name, "output": "anything@1", "timeout": f"{TIMEOUT_SECONDS}s", "retry": retry}
    spec = {"input": "request@1", "business_key": "input.id", "fallback": {"queue": "people"}, "steps": [step]}
    return document("Workflow", name, spec, title=name, owner="Support leads")


def around() -> list[dict]:
    """What every workflow here stands on."""
    return [
        document("Role", "Support leads", {"people": True, "grants": []}),
        document("ReviewQueue", "people", {"groups": ["Support leads"], "service_time": "4h", "owner": "Support leads"}),
        document(
            "Contract",
            "request@1",
            {
                "schema": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {"id": {"type": "string", "maxLength": 40}},
                }
            },
        ),
        document("Contract", "anything@1", {"schema": {"type": "object", "additionalProperties": True}}),
    ]
