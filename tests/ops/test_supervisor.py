"""The supervisor goes on where the machine, or whoever listens to it, does not."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

import pytest

from aegis.portal.management.supervisor import Child, Supervisor

DIES = [sys.executable, "-c", ""]
STAYS = [sys.executable, "-c", "import time; time.sleep(60)"]
DEAF = [sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"]


@pytest.fixture(autouse=True)
def _own_signals() -> Iterator[None]:
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def test_a_program_that_cannot_be_started_for_a_moment_is_tried_again() -> None:
    starts = [DIES, ["/nowhere/at/all"], STAYS]
    child = Child("web", lambda: starts.pop(0))
    said: list[str] = []

    def stop_when_up() -> None:
        if not starts and child.is_running:
            supervisor.stop_signals += 1

    supervisor = Supervisor([child], say=said.append, each_tick=stop_when_up)
    supervisor.run()

    assert said == [
        "web: ended with code 0; starting again in 0.5 s",
        "web: not started (No such file or directory); starting again in 1 s",
    ]
    assert not child.is_running


def test_a_program_that_was_never_there_is_no_reason_to_try_for_ever() -> None:
    with pytest.raises(FileNotFoundError):
        Supervisor([Child("web", lambda: ["/nowhere/at/all"])], say=lambda _: None).run()


def test_a_terminal_that_is_gone_leaves_nobody_behind() -> None:
    deaf = Child("worker", lambda: DEAF)
    ticks = iter(range(1_000))

    def say(_: str) -> None:
        raise BrokenPipeError

    def stop_after_a_while() -> None:
        if next(ticks) == 5:
            supervisor.stop_signals += 1

    dying = Child("web", lambda: DIES)
    supervisor = Supervisor([dying, deaf], say=say, stop_seconds=0.3, each_tick=stop_after_a_while)
    supervisor.run()

    assert deaf.process is not None
    with pytest.raises(ProcessLookupError):
        os.killpg(deaf.process.pid, 0)
    assert next(ticks) == 6  # it ran until it was told to stop, not until it first had something to say
