"""The engine inside a worker process: what a nudge does, and the sweep that works without nudges.

The sweep is a thread in every worker process. Each second it expires requests and drives whatever is runnable: due timers, lost
leases, runs nobody was told of. It does not ring; it drives by itself, so a dead broker costs latency only.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog
from django.conf import settings
from django.db import connections

from approvals import gates
from audit import access
from orchestration.engine.driver import Driver

log = structlog.get_logger(__name__)

_driving = threading.Lock()
_look_again = threading.Event()
_stop = threading.Event()


def drive() -> None:
    """Drive until idle. One drive at a time per process: a call that finds one going on makes it look again instead."""
    _look_again.set()
    while _look_again.is_set() and not _stop.is_set():
        if not _driving.acquire(blocking=False):
            return
        try:
            _look_again.clear()
            Driver(stop=_stop).drive()
        finally:
            _driving.release()


def drive_for(seconds: float) -> None:
    """Drive until idle or until `seconds` have passed: for a command that shows progress while it works."""
    if not _driving.acquire(blocking=False):
        return
    pause = threading.Event()
    timer = threading.Timer(seconds, pause.set)
    timer.start()
    try:
        Driver(stop=pause).drive()
    finally:
        timer.cancel()
        _driving.release()


def housekeep() -> None:
    """What time brings: requests past their deadline, denials counted but not flushed."""
    gates.expire_due()
    access.flush_denials()


def start_sweep() -> None:
    """Start the sweep thread of this process (django-q2's `post_spawn`, right after the fork)."""
    threading.Thread(target=_sweep, name="aegis-sweep", daemon=True).start()


def stop() -> None:
    """Let the current drive finish its turn and give its runs back."""
    _stop.set()


def _sweep() -> None:
    connections.close_all()  # nothing of the parent's sockets survives the fork
    keeper = threading.Thread(target=_keep_house, name="aegis-housekeeping", daemon=True)
    keeper.start()
    while not _stop.wait(settings.SWEEP_SECONDS):
        _guarded(drive)


def _keep_house() -> None:
    while not _stop.wait(settings.SWEEP_SECONDS):
        _guarded(housekeep)


def _guarded(work: Callable[[], None]) -> None:
    try:
        work()
    except Exception:
        log.exception("sweep_failed")  # the next second tries again; a dead database must not end the thread
        connections.close_all()
