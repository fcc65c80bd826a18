"""Work shared among processes, for reading millions of rows. Forked, so nothing has to be loaded again."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from typing import TypeVar

from django.db import connections

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(work: Callable[[Item], Result], items: Sequence[Item], jobs: int) -> list[Result]:
    """`work` of every item, in their order. `work` is a function of a module, items and results can be pickled.

    Args:
        jobs: processes; 1 = in this one. Inside a transaction it is this one always: no other would see what it wrote.
    """
    if jobs < 2 or len(items) < 2 or any(one.in_atomic_block for one in connections.all(initialized_only=True)):
        return [work(item) for item in items]
    connections.close_all()  # a child that inherits a connection would speak on it
    with multiprocessing.get_context("fork").Pool(min(jobs, len(items))) as pool:
        return pool.map(work, items, chunksize=1)
