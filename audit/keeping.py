"""What the record needs each second: new events sealed, a checkpoint signed and a verification begun
when they are due, followers brought up to date. Called by every worker process."""

from __future__ import annotations

from audit import checkpoints, following, sealer, verifications


def keep() -> None:
    """One look. Each part is done even if another breaks: what cannot be sealed must not keep followers from what is.

    Raises:
        Exception: the first fault, after the others were done.
    """
    faults = []
    for work in (sealer.seal, checkpoints.keep, following.follow_all, verifications.keep):
        try:
            work()
        except Exception as fault:
            faults.append(fault)
    if faults:
        raise faults[0]
