"""One integer drives a storm: workflow shapes, kinds of orders, agents' behaviour, moments of faults.

`AEGIS_TEST_SEED=n` repeats a storm (as far as real processes can repeat one). A storm that found something leaves its seed in
`regressions.txt`, whose storms run with every change.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Final

from tests.support import databases
from tests.torture.ground import Server

REGRESSIONS: Final = Path(__file__).with_name("regressions.txt")


def draw() -> int:
    """The seed of this run."""
    return int(os.environ.get("AEGIS_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)


def regressions(fault: str) -> list[int]:
    """Seeds that once found something with this fault."""
    found = []
    for line in REGRESSIONS.read_text().splitlines():
        name, _, rest = line.partition("#")[0].strip().partition(" ")
        if name == fault:
            found.append(int(rest))
    return found


def remember(fault: str, seed: int, why: str) -> None:
    """Keep a failing seed; whoever mends the fault commits it with the mending."""
    if seed not in regressions(fault):
        with REGRESSIONS.open("a") as file:
            file.write(f"{fault} {seed}  # {' '.join(why.split())[:160]}\n")


def server_under_test() -> Server:
    """The sort of database that this run of pytest is on."""
    from django.db import connection

    if connection.vendor != "postgresql":
        return Server()
    return Server(os.environ["AEGIS_DATABASE_URL"], databases.redis_of_this_process())
