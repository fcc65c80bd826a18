"""The authority lock and epoch (DESIGN promise 1).

Lock order everywhere: authority, runs, requests, records, counters (by key), streams (by name).
"""

from __future__ import annotations

from django.db import connection
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
    # Raw, because every commit asks: building this query with the ORM costs five times what the database takes for it.
    with connection.cursor() as cursor:
        cursor.execute("SELECT epoch FROM identity_authorityepoch WHERE id = 1")
        row = cursor.fetchone()
    return row[0] if row else 0
