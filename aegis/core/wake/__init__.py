"""The bell: the only room that knows django-q2. A ring says "look", never what to do (DESIGN promise 4).

Losing, repeating or delaying every ring changes latency only, because every worker process looks by itself each second.

With Redis a ring is a message in django-q2's queue, which a worker takes at once. The queue in the database can only be polled,
so without Redis a ring goes to the worker processes of this machine (`local`), and into the queue if there are none: for those
of other machines. When Redis does not answer, the local bell is rung instead.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from multiprocessing import util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from django.conf import settings
from django.db import connection, transaction

from aegis.core.wake import local

if TYPE_CHECKING:
    from aegis.core.wake.brokers import OrmBroker
    from aegis.core.wake.redis_queue import RedisBroker

BEAT_FILE_VARIABLE = "AEGIS_BEAT_FILE"  # set by the supervisor for its own worker: the file each canary touches
CANARY_SETTINGS = {"AEGIS_CANARY_SECONDS": 5.0, "AEGIS_STALL_SECONDS": 60.0}  # seconds: sent so often, missed after so long
SILENCE_SECONDS = 2.0  # a Redis that did not answer is not asked again for so long: its silence costs one request its second
LISTEN_SECONDS = 1.0  # how soon the listening thread notices that it shall end

log = structlog.get_logger(__name__)

_on_nudge: Callable[[], bool] | None = None
_on_worker_start: Callable[[], None] | None = None
_on_worker_stop: Callable[[], None] | None = None

_ear: local.Ear | None = None
_brokers: dict[int, OrmBroker | RedisBroker] = {}  # by process: a forked one connects by itself
_silent_until = 0.0


def register(*, on_nudge: Callable[[], bool], on_worker_start: Callable[[], None], on_worker_stop: Callable[[], None]) -> None:
    """Called once by the engine at start-up.

    Args:
        on_nudge: makes this process look for runnable runs. In a worker process it returns at once, and False says that it has
            no room for more. Must be callable from any thread.
        on_worker_start: starts what a worker process runs beside its queue, right after its fork.
        on_worker_stop: ends that; returns at once, and the process waits for its threads.
    """
    global _on_nudge, _on_worker_start, _on_worker_stop
    _on_nudge, _on_worker_start, _on_worker_stop = on_nudge, on_worker_start, on_worker_stop
    from django_q.signals import post_spawn

    post_spawn.connect(_worker_started, dispatch_uid="aegis.core.wake")


def is_answered() -> bool:
    return _on_nudge is not None and _on_worker_start is not None


# --- ringing: any process --------------------------------------------------------------------------------------------------


def nudge() -> None:
    """Ring once after the open transaction commits. Never fails its caller: a dead broker costs latency only."""
    # One that is registered already covers us: a savepoint whose rollback would take it along encloses us, too.
    if not any(function is _ring for _, function, *_ in connection.run_on_commit):
        transaction.on_commit(_ring, robust=True)


def send_canary() -> bool:
    """Send a task that proves the queue works by touching the supervisor's file. False: the broker does not answer."""
    from aegis.core.wake.brokers import CANARY_TASK, signed

    try:
        _broker().enqueue(signed(CANARY_TASK))
    except Exception as error:  # whatever the broker raises
        log.warning("broker_silent", error=str(error))
        return False
    return True


def bells() -> Path:
    """Where the worker processes of this machine have their sockets."""
    return Path(settings.DATA_DIR) / "bells"


def _ring() -> None:
    if "redis" in settings.Q_CLUSTER:
        if not _ring_queue():
            local.ring(bells())
    elif not local.ring(bells()):
        _ring_queue()


def _ring_queue() -> bool:
    """Put a nudge into the queue. False: it does not answer."""
    global _silent_until
    from aegis.core.wake.brokers import NUDGE_TASK, signed

    if time.monotonic() < _silent_until:
        return False
    try:
        _broker().ring(signed(NUDGE_TASK))
    except Exception as error:  # whatever the broker raises: the sweep will find the work
        _silent_until = time.monotonic() + SILENCE_SECONDS
        log.warning("nudge_lost", error=str(error))
        return False
    return True


def _broker() -> OrmBroker | RedisBroker:
    from django_q.brokers import get_broker

    number = os.getpid()
    if number not in _brokers:
        _brokers.clear()
        _brokers[number] = get_broker()
    return _brokers[number]


# --- hearing: worker processes ---------------------------------------------------------------------------------------------


def on_nudge() -> None:
    """The queue's task: look, or hand the ring to a neighbour if this process is full."""
    if _ear is not None:
        _broker().nudge_taken()
    _heard(local.HOPS)


def on_canary() -> None:
    """The canary's end, in a worker process."""
    if path := os.environ.get(BEAT_FILE_VARIABLE):
        Path(path).touch()


def start_worker() -> None:
    """Start in this process what every worker process runs: the engine, and an ear for the bell of this machine."""
    global _ear
    if _on_worker_start is None:
        return
    _on_worker_start()
    try:
        _ear = local.Ear(bells())
    except OSError as error:
        log.warning("bell_not_hung", folder=str(bells()), error=str(error))  # the queue and the sweep remain
    else:
        threading.Thread(target=_listen, args=(_ear,), name="aegis-ear", daemon=True).start()


def stop_worker() -> None:
    """Tell the engine to stop, and let nobody ring here any more. Returns at once."""
    global _ear
    ear, _ear = _ear, None
    if ear is not None:
        ear.take_down()
    if _on_worker_stop is not None:
        _on_worker_stop()


def run_cluster() -> None:
    """Run django-q2's cluster in this process until SIGTERM."""
    from aegis.core.wake.cluster import Cluster

    Cluster().run()


def _heard(hops: int) -> None:
    if _on_nudge is not None and not _on_nudge() and hops > 0:
        local.ring(bells(), hops=hops - 1, but=_ear.name if _ear else "")


def _listen(ear: local.Ear) -> None:
    while _ear is ear:
        hops = ear.wait(LISTEN_SECONDS)
        if hops is not None:
            _heard(hops)
    ear.close()


def _worker_started(**_: Any) -> None:
    """django-q2 sends post_spawn in its worker processes only, after the fork, in their main thread."""
    from aegis.core.wake.cluster import on_sigterm

    orders: queue.SimpleQueue[None] = queue.SimpleQueue()

    def obey() -> None:
        orders.get()
        stop_worker()

    start_worker()
    threading.Thread(target=obey, name="aegis-orders", daemon=True).start()
    on_sigterm(lambda: orders.put(None))  # `put` is reentrant; setting an event in a signal handler is not
    util.Finalize(None, stop_worker, exitpriority=10)  # the queue said STOP: before the process waits for its threads
