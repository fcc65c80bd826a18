"""Sweeps over requests, a transaction each: one that fails is logged and keeps nothing from the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError

log = structlog.get_logger(__name__)


def each(ids: Iterable[UUID], work: Callable[[UUID], bool], *, failed: Callable[[UUID], object] | None = None) -> int:
    """Do the work for each request. Returns for how many it changed something.

    Args:
        failed: called, after its transaction was rolled back, for one whose work failed.

    Raises:
        OperationalError, InterfaceError: the database itself does not answer; the others would fail, too.
    """
    changed = 0
    for request_id in ids:
        try:
            changed += work(request_id)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            log.exception("request_not_swept", request=str(request_id))
            if failed is not None:
                failed(request_id)
    return changed
