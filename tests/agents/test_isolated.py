"""An isolated agent runs in a process of its own, with nothing of the worker's; nothing of it is left when its call ends."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestration.agents import calls, isolated
from orchestration.agents.protocol import CallFailed, Done
from orchestration.workflows.definition import AgentVersion
from tests.agents.asking import REQUEST
from tests.hostile import agents as hostile


@pytest.fixture(autouse=True, scope="module")
def nursery() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("orchestration.agents.autoload.configured", lambda: ["tests.hostile.agents"])
        patch.setattr(isolated, "_nursery", isolated._Nursery())
        patch.setenv("AEGIS_SECRET_KEY", "the secret of the installation")
        patch.setenv("PGPASSWORD", "the password of the database")
        yield
        isolated._nursery.forget_parent()


def version(name: str, **connection: Any) -> AgentVersion:
    return AgentVersion(
        "id", "a", "d", "python", name, {"limit": 3}, (), "u1", {"python": name, "mode": "isolated", **connection}
    )


def ask(name: str, seconds: float = 10, **connection: Any) -> Any:
    return calls.call(version(name, **connection), REQUEST, fence=1, timeout=timedelta(seconds=seconds))


def processes(marker: str) -> list[int]:
    """Living processes with these words in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if marker in words and state != "Z":
                found.append(int(entry.name))
    return found


def children_of_the_nursery() -> list[int]:
    from orchestration.agents import nursery

    assert isolated._nursery._process is not None
    return nursery._children(isolated._nursery._process.pid)


def test_input_and_frozen_settings_go_in_and_a_checked_answer_comes_out():
    reply = ask("hostile-not.good")

    assert isinstance(reply, Done), reply
    assert (reply.output["echo"], reply.output["limit"]) == ({"text": "hi"}, 3)
    assert reply.output["pid"] != os.getpid()


def test_each_call_has_a_process_of_its_own():
    assert ask("hostile-not.good").output["pid"] != ask("hostile-not.good").output["pid"]


def test_a_child_has_no_socket_and_no_secret_of_the_worker():
    output = ask("hostile-not.about").output

    assert not {"AEGIS_SECRET_KEY", "PGPASSWORD", "DJANGO_SETTINGS_MODULE"} & output["environment"].keys()
    assert {"PATH", "PYTHONPATH"} <= output["environment"].keys()
    assert not {"django", "psycopg", "sqlite3"} & set(output["modules"])
    assert output["descriptors"].count("socket") == 1
    assert output["session"]


def test_variables_that_the_installation_names_are_handed_on(settings: Any, monkeypatch: pytest.MonkeyPatch):
    settings.AGENT_ENVIRONMENT = ["MODEL_CACHE"]
    monkeypatch.setenv("MODEL_CACHE", "/models")

    assert isolated._environment()["MODEL_CACHE"] == "/models"


def test_an_agent_nobody_registered_is_named():
    reply = ask("hostile.unheard-of")

    assert isinstance(reply, CallFailed)
    assert (reply.code, "unheard-of" in reply.detail) == ("agent_error", True)


def test_a_large_input_and_a_large_output_pass():
    large = replace(REQUEST, input={"text": "x" * 200_000})
    reply: Any = calls.call(version("hostile-not.good"), large, fence=1, timeout=timedelta(seconds=10))

    assert reply.output["echo"] == large.input


@pytest.mark.parametrize(
    ("name", "marker"),
    [
        ("child that sleeps", "sleep 60"), ("grandchildren that sleep", "sleep 60"), ("leaves its session", "sleep 61"),
    ],
)  # fmt: skip
def test_at_the_timeout_its_children_and_theirs_are_gone(name: str, marker: str):
    ask("hostile-not.good")
    started = time.monotonic()
    reply = ask(hostile.KINDS[name], seconds=1)

    assert isinstance(reply, CallFailed)
    assert reply.code == "timeout"
    assert time.monotonic() - started < 3
    assert processes(marker) == []
    assert children_of_the_nursery() == []


def test_a_call_that_failed_returns_when_its_processes_are_gone():
    """The nursery is slow on purpose; whoever asks again at once must not meet the first call's process."""
    ask("hostile-not.good")
    assert isolated._nursery._process is not None
    pid = isolated._nursery._process.pid
    timers = [threading.Timer(0.4, os.kill, (pid, signal.SIGSTOP)), threading.Timer(1.4, os.kill, (pid, signal.SIGCONT))]
    for timer in timers:
        timer.start()

    reply = ask(hostile.KINDS["sleeps"], seconds=0.8)
    left = children_of_the_nursery()
    for timer in timers:
        timer.join()

    assert isinstance(reply, CallFailed)
    assert (reply.code, left) == ("timeout", [])


def test_a_daemon_does_not_outlive_its_call():
    reply = ask(hostile.KINDS["daemon stays behind"])

    assert reply == Done(output={"left": "a daemon"})
    deadline = time.monotonic() + 5
    while children_of_the_nursery() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert children_of_the_nursery() == []


def test_memory_is_limited_beside_what_the_modules_take():
    reply = ask(hostile.KINDS["eats memory"], memory_mb=64)

    assert isinstance(reply, CallFailed)
    assert (reply.code, reply.detail) == ("agent_error", "MemoryError: ")


def test_after_the_nursery_is_killed_the_next_call_has_another():
    reply = ask(hostile.KINDS["kills the nursery"])
    assert isinstance(reply, CallFailed)
    assert reply.code == "agent_error"

    assert isinstance(ask("hostile-not.good"), Done)


def test_many_calls_at_once_are_answered_each_with_its_own():
    answers: dict[int, Any] = {}

    def one(number: int) -> None:
        numbered = replace(REQUEST, input={"number": number})
        answers[number] = calls.call(version("hostile-not.good"), numbered, fence=1, timeout=timedelta(seconds=30))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {number: answer.output["echo"]["number"] for number, answer in answers.items()} == {n: n for n in range(60)}


def test_when_the_worker_is_gone_so_is_the_nursery_and_all_it_made():
    private = isolated._Nursery()
    control = private._running()
    channel, theirs = isolated.socket.socketpair()
    leash, their_leash = isolated.socket.socketpair()
    private.bear(theirs, their_leash, 64, time.monotonic() + 5)
    theirs.close()
    their_leash.close()

    control.close()

    assert private._process is not None
    assert private._process.wait(timeout=10) == 0
    channel.settimeout(5)
    assert channel.recv(1) == b""
    leash.close()
    channel.close()
