"""The bell: the only module that knows django-q2. A message says "look", never what to do (DESIGN promise 4).

Losing, repeating or delaying every message changes latency only, because the sweep of every worker process looks by itself.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog
from django.db import transaction

NUDGE_TASK = "aegis.core.wake.on_nudge"
CANARY_TASK = "aegis.core.wake.on_canary"
BEAT_FILE_VARIABLE = "AEGIS_BEAT_FILE"  # set by the supervisor for its own worker: the file each canary touches

#: At most one ring per process in this time: a nudge drains everything that is runnable, and the sweep is never far.
MIN_INTERVAL_SECONDS = 0.05

_last_ring = 0.0

log = structlog.get_logger(__name__)

_on_nudge: Callable[[], None] | None = None
_on_worker_start: Callable[[], None] | None = None


def register(*, on_nudge: Callable[[], None], on_worker_start: Callable[[], None]) -> None:
    """Called once by the engine at start-up.

    Args:
        on_nudge: drives runnable runs until none is left; runs in a worker process.
        on_worker_start: starts the sweep thread of a worker process that was just forked.
    """
    global _on_nudge, _on_worker_start
    _on_nudge, _on_worker_start = on_nudge, on_worker_start
    from django_q.signals import post_spawn

    post_spawn.connect(_worker_started, dispatch_uid="aegis.core.wake")


def is_answered() -> bool:
    return _on_nudge is not None and _on_worker_start is not None


def nudge() -> None:
    """Ring after the open transaction commits. Never fails its caller: a dead broker costs latency only."""
    transaction.on_commit(_ring, robust=True)


def on_nudge() -> None:
    """The queue's task. No arguments on purpose: nothing in a message is ever trusted or needed."""
    if _on_nudge is not None:
        _on_nudge()


def send_canary() -> bool:
    """Send a task that proves the queue works by touching the supervisor's file. False: the broker does not answer."""
    from django_q.tasks import async_task

    try:
        async_task(CANARY_TASK, q_options={"save": False, "ack_failure": True})
    except Exception as error:  # whatever the broker raises
        log.warning("broker_silent", error=str(error))
        return False
    return True


def on_canary() -> None:
    """The canary's end, in a worker process."""
    if path := os.environ.get(BEAT_FILE_VARIABLE):
        Path(path).touch()


def broker_answers() -> bool:
    """Can a cluster be started now? django-q2's refuses to, without its broker."""
    from django_q.brokers import get_broker

    try:
        return bool(get_broker().ping())
    except Exception as error:  # whatever the broker raises
        log.warning("broker_silent", error=str(error))
        return False


def start_sweep() -> None:
    """Start the sweep in this process, as in a worker process of the cluster."""
    if _on_worker_start is not None:
        _on_worker_start()


def _ring() -> None:
    global _last_ring
    from django_q.tasks import async_task

    moment = time.monotonic()
    if moment - _last_ring < MIN_INTERVAL_SECONDS:
        return
    _last_ring = moment

    try:
        async_task(NUDGE_TASK, q_options={"save": False, "ack_failure": True})
    except Exception as error:  # whatever the broker raises: the sweep will find the work
        log.warning("nudge_lost", error=str(error))


def _worker_started(**_: Any) -> None:
    # django-q2 sends post_spawn in its worker processes only, after the fork.
    start_sweep()
