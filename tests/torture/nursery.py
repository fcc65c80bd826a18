"""A warmed parent for the processes of fault tests: Django is set up once, every further process is a fork away (20 ms).

python -m tests.torture.nursery        with the environment of a stack; JSON lines in, JSON lines out (see `cradle`)

Each child leads a process group of its own, dies with the nursery, and is what its role says: the product's own sweep, cluster
or WSGI application. What a process makes of itself only once (its incarnation, its dice) is made anew after the fork.
"""

from __future__ import annotations

import ctypes
import faulthandler
import importlib
import json
import os
import random
import signal
import sys
import traceback
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

_PR_SET_PDEATHSIG = 1


def sweep() -> None:
    """A worker process: driver, housekeeping, no queue."""
    from django.core.management import call_command

    call_command("sweep", skip_checks=True)


def cluster() -> None:
    """A worker as `manage.py qcluster` runs it: queue, pool processes, a sweep in each."""
    from django.core.management import call_command

    call_command("qcluster", skip_checks=True)


def web() -> None:
    """The WSGI application behind a plain threaded server on AEGIS_TEST_PORT."""
    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler

    from aegis.wsgi import application

    class Quiet(WSGIRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Quiet: the client's history is the log."""

    server = ThreadedWSGIServer(("127.0.0.1", int(os.environ["AEGIS_TEST_PORT"])), Quiet)
    server.daemon_threads = True
    server.set_app(application)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    server.serve_forever(poll_interval=0.05)


def task() -> None:
    """Call `AEGIS_TEST_TASK` ("module:function") with the JSON of AEGIS_TEST_ARGUMENTS; the answer goes to AEGIS_TEST_OUT."""
    module, _, name = os.environ["AEGIS_TEST_TASK"].partition(":")
    answer = getattr(importlib.import_module(module), name)(**json.loads(os.environ["AEGIS_TEST_ARGUMENTS"]))
    out = os.environ["AEGIS_TEST_OUT"]
    with open(out + ".new", "w") as file:
        json.dump(answer, file)
    os.replace(out + ".new", out)


ROLES: Mapping[str, Callable[[], None]] = {"sweep": sweep, "cluster": cluster, "web": web, "task": task}


def main() -> None:
    import django

    django.setup()
    _warm()
    _say({"ready": os.getpid()})
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "start":
            _say({"pid": _fork(order["role"], order["env"], order["log"])})
        elif order["do"] == "reap":
            _say({"status": _reap(order["pid"])})


def _warm() -> None:
    """Load what the roles would load, and touch nothing that a fork must not share."""
    from django.db import connections
    from django.urls import get_resolver

    for name in (
        "aegis.wsgi",
        "orchestration.engine.worker",
        "django_q.cluster",
        "tests.torture.plants",
        "tests.torture.facts",
    ):
        importlib.import_module(name)
    importlib.import_module("django.core.servers.basehttp")
    _ = get_resolver().url_patterns
    connections.close_all()


def _fork(role: str, env: Mapping[str, str], log: str) -> int:
    pid = os.fork()
    if pid:
        with suppress(PermissionError, ProcessLookupError):
            os.setpgid(pid, pid)  # here and in the child: whoever is told the pid may kill the group at once
        return pid
    try:
        _become_own(env, log)
        ROLES[role]()
    except Exception:
        traceback.print_exc()
        raise SystemExit(70) from None
    raise SystemExit  # out of `main`: like any program it waits for its threads and children at its end


def _become_own(env: Mapping[str, str], log: str) -> None:
    os.setpgid(0, 0)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDWR)
    for number, target in ((0, null), (1, file), (2, file)):
        os.dup2(target, number)
    os.environ.update(env)
    faulthandler.register(signal.SIGUSR1)  # a process that hangs can be asked where (`Process.where`)

    from aegis.core import faults
    from orchestration.engine import lease, worker
    from tests.torture import plants

    faults.arm(os.environ.get(faults.CRASH_AT_VARIABLE, ""))
    lease.INCARNATION = f"{os.getpid()}-{uuid.uuid4().hex}"  # the pid tells the harness who holds what
    if os.environ.get("AEGIS_TEST_HOUSEKEEPING") == "off":
        worker._keep_house = worker._keep_watch = lambda: None
    random.seed()
    plants.plant(os.environ.get(plants.VARIABLE, ""))


def _reap(pid: int) -> int | None:
    """The wait status of a dead child; None while it lives."""
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def _say(answer: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
