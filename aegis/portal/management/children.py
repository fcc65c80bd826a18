"""The two programs AEGIS consists of, and how they are run together."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from django.conf import settings

from aegis.core import env, wake
from aegis.portal.management.canary import Canary, beat_file_of
from aegis.portal.management.supervisor import Child, Say, Supervisor

MANAGE = str(Path(settings.BASE_DIR) / "manage.py")


def web_child(host: str, port: int) -> Child:
    """Granian serving WSGI: one process, blocking threads, each with a database connection of its own."""
    threads = str(int(env.number("AEGIS_WEB_THREADS", 8, minimum=1)))
    argv = [
        *(sys.executable, "-m", "granian", "aegis.wsgi:application", "--interface", "wsgi"),
        *("--host", host, "--port", str(port), "--workers", "1", "--blocking-threads", threads),
        *("--http", "1", "--no-ws", "--log-level", "error", "--workers-kill-timeout", "5"),
    ]
    return Child("web", lambda: argv, env={"PYTHONPATH": str(settings.BASE_DIR)})


def worker_child() -> Child:
    """django-q2's cluster. It starts without its broker, too: the sweep in its processes needs none."""
    argv = [sys.executable, MANAGE, "qcluster", "--skip-checks"]
    return Child("worker", lambda: argv, env={wake.BEAT_FILE_VARIABLE: str(beat_file_of(settings.DATA_DIR))})


def run_supervised(children: Sequence[Child], *, say: Say, each_tick: Callable[[], None] = lambda: None) -> None:
    """Run until SIGTERM or Ctrl-C; the child called "worker" is also watched by a canary."""
    worker = next(child for child in children if child.name == "worker")
    beat_file = Path(worker.env[wake.BEAT_FILE_VARIABLE])
    canary = Canary(
        beat_file,
        send_every=env.number("AEGIS_CANARY_SECONDS", wake.CANARY_SETTINGS["AEGIS_CANARY_SECONDS"], minimum=0.2),
        stalled_after=env.number("AEGIS_STALL_SECONDS", wake.CANARY_SETTINGS["AEGIS_STALL_SECONDS"], minimum=1),
        broker_may_be_away="redis" in settings.Q_CLUSTER,
    )

    def tick() -> None:
        canary.send_if_due()
        if not worker.is_running:
            canary.excuse()
        elif canary.is_stalled:
            canary.excuse()
            supervisor.restart(worker, why="no canary came through the queue")
        each_tick()

    supervisor = Supervisor(children, say=say, stop_seconds=env.number("AEGIS_STOP_SECONDS", 8, minimum=0.5), each_tick=tick)
    try:
        supervisor.run()
    finally:
        beat_file.unlink(missing_ok=True)
