"""The search brought up to the end of the journal, as the sweep of a worker does each second."""

from __future__ import annotations

from audit import following, sealer
from audit.index import following_things, projection


def caught_up() -> None:
    sealer.seal()
    following.catch_up(projection.NAME)
    following.catch_up(following_things.NAME)
