"""Named points at which a test lets a process die. Nothing happens unless `AEGIS_CRASH_AT` names one.

`AEGIS_CRASH_AT=committed:3` kills this process with SIGKILL when it passes the point "committed" for the third time: no handler
runs, nothing is flushed, as when the machine loses power under it. `committed:3:STOP` freezes it there instead, until somebody
sends SIGCONT: a worker that sleeps past its lease at a chosen place. A system check warns of the variable.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import Final

CRASH_AT_VARIABLE: Final = "AEGIS_CRASH_AT"

#: Every point there is, in the order a run passes them. A test asserts that each is reached.
CRASH_POINTS: Final = (
    "submit_written",  # run and first line written, not committed
    "submitted",  # committed; the bell not rung
    "claim_written",  # leases taken, not committed
    "claimed",  # leases committed, nothing done
    "planned",  # the turn is computed, nothing written
    "runs_moved",  # run rows updated (fence checked), nothing else written
    "waits_written",  # requests, review items, records, counters written; the journal not
    "journal_written",  # everything written, not committed
    "committed",  # committed; calls not started
    "call_starting",  # a call's intent stands; the call not made
    "call_answered",  # the answer is in memory only
    "effect_starting",
    "effect_answered",  # it happened outside; the answer is in memory only
    "decision_written",  # a vote and its inbox row written, not committed
    "expiry_written",  # a request closed by time and its inbox row written, not committed
    "driven",  # a nudge's work is done; the queue not told
    "sweeping",
    "leaves_written",  # events sealed, not committed
)

_SIGNALS: Final = {"": signal.SIGKILL, "KILL": signal.SIGKILL, "STOP": signal.SIGSTOP}

_armed, _left, _signal = "", 0, signal.SIGKILL


def arm(where: str) -> None:
    """Take "name[:pass[:KILL|STOP]]" as the point of this process; "" is none. For a process forked from a warmed parent.

    Raises:
        ValueError: no such point, pass or signal.
    """
    global _armed, _left, _signal
    name, _, rest = where.partition(":")
    count, _, how = rest.partition(":")
    if name and name not in CRASH_POINTS:
        raise ValueError(f"{CRASH_AT_VARIABLE}: no crash point {name!r}; there are {', '.join(CRASH_POINTS)}")
    if how not in _SIGNALS:
        raise ValueError(f"{CRASH_AT_VARIABLE}: {how!r} is neither KILL nor STOP")
    _armed, _left, _signal = name, int(count or 1), _SIGNALS[how]


def crash_point(name: str) -> None:
    """Die (or freeze) here, if this is the point and the pass that `AEGIS_CRASH_AT` names."""
    global _left
    if name != _armed:
        return
    _left -= 1
    if _left == 0:
        # Sent to this very thread: a signal to the process may be taken by one that sleeps, and until it wakes this one goes on
        # into the next transaction.
        signal.pthread_kill(threading.get_ident(), _signal)


arm(os.environ.get(CRASH_AT_VARIABLE, ""))
