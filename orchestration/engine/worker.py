"""The engine inside a worker process: one thread drives when the bell rings and each second by itself; another keeps house.

The look of each second is the sweep: due timers, lost leases, runs nobody was told of. It does not ring; it drives by itself,
so a dead broker costs latency only. What rings never waits for a drive: a queue whose tasks took as long as the work would
starve the canary that goes through it.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

import structlog
from django.conf import settings
from django.db import connections

from aegis.core.faults import crash_point
from aegis.identity import emergency
from approvals import gates, shortage, sweep
from approvals.alerts import judging
from approvals.notices import outbox
from audit import access, keeping
from orchestration.authority import lapsing
from orchestration.engine.driver import Driver
from orchestration.engine.erasing import retention
from orchestration.engine.guards import freezing, waking
from orchestration.engine.messages import delivery
from orchestration.engine.resources import rows as resources
from orchestration.engine.traces import exporter

log = structlog.get_logger(__name__)

_driving = threading.Lock()
_look_again = threading.Event()
_stop = threading.Event()
_driver: Driver | None = None  # at work now
_resident: threading.Thread | None = None
_rings: queue.SimpleQueue[None] = queue.SimpleQueue()


def look() -> bool:
    """The bell rang. A worker process looks for work at once, a busy one once more; any other process drives until idle.

    Returns:
        False: this process has its hands full, and somebody else might be idle. It looks all the same, when it can.
    """
    if _resident is None:
        drive()
        return True
    _look_again.set()  # before reading `_driver`: a drive that ends now sees it, or the ring below starts the next one
    driver = _driver
    if driver is None:
        _rings.put(None)
        return not _stop.is_set()
    driver.look()
    return driver.has_room


def drive() -> None:
    """Drive until idle. One drive at a time per process: a call that finds one going on makes it look again instead."""
    global _driver
    _look_again.set()
    while _look_again.is_set() and not _stop.is_set():
        if not _driving.acquire(blocking=False):
            return
        try:
            _look_again.clear()
            _driver = Driver(stop=_stop)
            _driver.drive()
            if _driver.committed:
                crash_point("driven")
        finally:
            _driver = None
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


#: What missed each other: messages and the runs that wait for them, resources and the runs that queue for them.
_MEETINGS = (delivery.deliver_due, delivery.expire_due, resources.grant_due)


def housekeep() -> None:
    """What time brings: requests past their deadline, denials counted but not flushed, held runs whose turn it is, clocks that
    halts stop. Each is done even if another breaks: a request that cannot expire must not keep runs held.

    Raises:
        Exception: the first fault, after the others were done.
    """
    crash_point("sweeping")
    faults = []
    for work in (
        gates.expire_due,
        sweep.keep_due,
        shortage.watch,
        lapsing.watch,
        access.flush_denials,
        emergency.end_due,
        emergency.tell_late_reviews,
        waking.wake_due,
        freezing.keep,
        waking.tidy,
        retention.keep,
        *_MEETINGS,
    ):
        try:
            work()
        except Exception as fault:
            faults.append(fault)
    if faults:
        raise faults[0]


def start() -> None:
    """Start the threads of this worker process (right after its fork). The process ends when they have: see `stop`."""
    global _resident
    connections.close_all()  # nothing of the parent's sockets survives the fork
    _stop.clear()
    _resident = threading.Thread(target=_attend, name="aegis-driver", daemon=False)
    _resident.start()
    threading.Thread(target=_keep_house, name="aegis-housekeeping", daemon=True).start()
    # A thread of its own: a follower that has much to catch up with keeps no deadline waiting.
    threading.Thread(target=_keep_record, name="aegis-record", daemon=True).start()
    # A thread of its own: a mail server or a webhook that does not answer keeps no deadline waiting.
    threading.Thread(target=_keep_telling, name="aegis-notices", daemon=True).start()
    # A thread of its own: rules that catch up after a weekend keep no deadline waiting.
    threading.Thread(target=_keep_watch, name="aegis-alerts", daemon=True).start()
    if exporter.is_wanted():  # and a collector neither
        threading.Thread(target=_keep_traces, name="aegis-traces", daemon=True).start()


def stop() -> None:
    """Let the drive end its turn, wait a little for its calls, and give its runs back. Returns at once."""
    _stop.set()
    _rings.put(None)
    if (driver := _driver) is not None:
        driver.look()


def _attend() -> None:
    while not _stop.is_set():
        _guarded(drive)
        try:
            _rings.get(timeout=settings.SWEEP_SECONDS)
            while True:  # rings that came together are one
                _rings.get_nowait()
        except queue.Empty:
            continue
    connections.close_all()


def _keep_house() -> None:
    _again_and_again(housekeep)


def _keep_record() -> None:
    _again_and_again(keeping.keep)


def _keep_telling() -> None:
    _again_and_again(outbox.look, least=2)


def _keep_watch() -> None:
    _again_and_again(lambda: judging.watch(_stop.is_set))


def _keep_traces() -> None:
    _again_and_again(exporter.look)


def _again_and_again(work: Callable[[], object], *, least: float = 0) -> None:
    while not _stop.wait(max(settings.SWEEP_SECONDS, least)):
        _guarded(work)
    connections.close_all()


def _guarded(work: Callable[[], object]) -> None:
    try:
        work()
    except Exception:
        log.exception("sweep_failed")  # the next second tries again; a dead database must not end the thread
        connections.close_all()
