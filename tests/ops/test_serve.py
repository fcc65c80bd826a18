"""`manage.py serve` with real processes: it answers, it mends, it stops, and it leaves nobody behind."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from aegis.portal.demo_people import PERSONAS
from tests.support.report import say
from tests.support.serving import Serving, serving, signal_all

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]


def nobody_is_left(portal: Serving) -> bool:
    return not portal.processes()


def test_a_killed_worker_and_a_killed_web_process_come_back(tmp_path: Path) -> None:
    with serving(tmp_path) as portal:
        portal.start().wait_ready()
        old_worker, old_group = portal.leader("worker"), set(portal.group("worker"))
        os.kill(old_worker, signal.SIGKILL)

        portal.wait_until(
            lambda: bool(portal.group("worker")) and not old_group & set(portal.group("worker")),
            "the worker's whole group is replaced, orphans of the dead leader included",
        )

        os.kill(portal.leader("web"), signal.SIGKILL)
        portal.wait_until(lambda: "web: killed by SIGKILL" in portal.log, "the death is told")
        portal.wait_until(portal.answers, "the web process answers again")

        assert portal.stop() == 0
        assert nobody_is_left(portal)
        assert "AEGIS has stopped." in portal.log


def test_sigterm_to_every_process_at_once_stops_all_in_order(tmp_path: Path) -> None:
    """What systemd does by default; django-q2 alone hangs then (HAZARDS T10), until somebody kills it."""
    with serving(tmp_path) as portal:
        portal.start().wait_ready()

        signal_all(tmp_path, signal.SIGTERM)

        assert portal.stop() == 0
        assert "killed" not in portal.log
        assert nobody_is_left(portal)


def test_a_cluster_wedged_by_the_death_of_idle_processes_is_replaced(tmp_path: Path) -> None:
    """kill -9 of a process that waits for a task takes the lock of the queue along: django-q2 looks well, and takes no work."""
    with serving(tmp_path, AEGIS_CANARY_SECONDS="0.5", AEGIS_STALL_SECONDS="4") as portal:
        portal.start().wait_ready()
        beat = tmp_path / f"worker-{portal.process.pid}.beat"  # type: ignore[union-attr]
        portal.wait_until(beat.exists, "a canary comes through")
        wedged = portal.leader("worker")
        waiting = [int(bell.name.partition("-")[0]) for bell in (tmp_path / "bells").iterdir()]
        assert len(waiting) == 2

        for pid in waiting:
            os.kill(pid, signal.SIGKILL)

        portal.wait_until(lambda: "no canary came through the queue" in portal.log, "the canary is missed", 60)
        portal.wait_until(lambda: wedged not in portal.processes(), "the wedged cluster is gone")
        arrived = beat.stat().st_mtime
        portal.wait_until(lambda: beat.stat().st_mtime > arrived, "canaries come through the new one", 60)
        assert portal.stop() == 0


def test_a_worker_that_runs_but_takes_no_work_is_replaced(tmp_path: Path) -> None:
    with serving(tmp_path, AEGIS_CANARY_SECONDS="0.5", AEGIS_STALL_SECONDS="6") as portal:
        portal.start().wait_ready()
        beat = tmp_path / f"worker-{portal.process.pid}.beat"  # type: ignore[union-attr]
        portal.wait_until(beat.exists, "a canary comes through")
        wedged = portal.leader("worker")

        os.killpg(wedged, signal.SIGSTOP)

        portal.wait_until(lambda: "no canary came through the queue" in portal.log, "the canary is missed")
        portal.wait_until(lambda: wedged not in portal.processes(), "the wedged group is gone")
        arrived = beat.stat().st_mtime
        portal.wait_until(lambda: beat.stat().st_mtime > arrived, "canaries come through the new one")
        assert portal.stop() == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's parent-death signal is Linux only")
def test_a_killed_supervisor_leaves_nobody_behind(tmp_path: Path) -> None:
    with serving(tmp_path) as portal:
        portal.start().wait_ready()

        portal.stop(signal.SIGKILL)

        portal.wait_until(lambda: nobody_is_left(portal), "web and worker end by themselves")


def test_a_silent_broker_leaves_the_worker_at_work(tmp_path: Path) -> None:
    """Nothing listens on port 1. django-q2's cluster would refuse to start, and with it the sweep of its processes."""
    with serving(
        tmp_path, AEGIS_REDIS_URL="redis://127.0.0.1:1/0", AEGIS_CANARY_SECONDS="0.5", AEGIS_STALL_SECONDS="2"
    ) as portal:
        portal.start().wait_ready()
        worker = portal.leader("worker")

        time.sleep(4)  # longer than the stall: a broker that is away is not the worker's fault

        assert portal.leader("worker") == worker
        assert portal.answers()
        assert portal.stop() == 0


def test_the_demo_prints_the_same_logins_again_and_ctrl_c_stops_it(tmp_path: Path) -> None:
    with serving(tmp_path, "--demo") as portal:
        portal.start().wait_ready()
        portal.wait_until(lambda: "Ctrl-C stops it." in portal.log, "the log-ins are printed")
        assert portal.stop(signal.SIGINT) == 0
        assert nobody_is_left(portal)
        first = portal.log

        started = time.monotonic()
        portal.log_file.unlink()
        portal.start().wait_ready()
        say(f"the second start took {time.monotonic() - started:.1f} s")
        portal.wait_until(lambda: "Ctrl-C stops it." in portal.log, "the log-ins are printed")
        portal.stop(signal.SIGINT)

        logins = [line for line in first.splitlines() if line.startswith("  ")]
        assert len(logins) == len(PERSONAS)
        assert [line for line in portal.log.splitlines() if line.startswith("  ")] == logins


def test_a_taken_port_is_named_before_anything_starts(tmp_path: Path) -> None:
    import socket

    with serving(tmp_path) as portal, socket.socket() as other:
        other.bind(("127.0.0.1", portal.port))
        other.listen()

        assert portal.start().process.wait(30) != 0  # type: ignore[union-attr]

        assert f"Cannot listen on 127.0.0.1:{portal.port}" in portal.log
        assert "PORT=8001" in portal.log


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_demo_people_are_served_on_loopback_only(tmp_path: Path, host: str) -> None:
    with serving(tmp_path, "--demo", "--host", host) as portal:
        assert portal.start().process.wait(60) != 0  # type: ignore[union-attr]

        assert "loopback only" in portal.log
        assert not (tmp_path / "demo_logins.json").exists()
