"""The authority lock and epoch (DESIGN promise 1).

Lock order everywhere: authority, runs, requests, records, counters (by key), streams (by name).
"""

from __future__ import annotations

from django.db.models import F

from aegis.core.db import advisory_lock
from aegis.identity.models import AuthorityEpoch

LOCK_KEY = 0x4145_4749_53  # "AEGIS"; the one advisory lock of the product


def hold_shared() -> int:
    """Take the authority lock shared for the rest of the transaction and return the epoch.

    While it is held nobody changes rights. Call it first in every transaction that records a verdict, an intent or a decision.
    """
    advisory_lock(LOCK_KEY, shared=True)
    return current_epoch()


def raise_epoch() -> int:
    """Take the lock exclusively and raise the epoch. Call it in every transaction that changes rights, before the change."""
    advisory_lock(LOCK_KEY, shared=False)
    AuthorityEpoch.objects.update_or_create(id=1)
    AuthorityEpoch.objects.filter(id=1).update(epoch=F("epoch") + 1)
    return current_epoch()


def current_epoch() -> int:
    """The epoch as this transaction sees it; 0 on an empty database."""
    return AuthorityEpoch.objects.filter(id=1).values_list("epoch", flat=True).first() or 0
