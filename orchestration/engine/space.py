"""How much space is left for the database, where that can be known."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import connection

from aegis.core import clock

SIZE_SECONDS: Final = 10.0  # PostgreSQL looks at every file of a database to tell its size
_LOCAL: Final = {"", "localhost", "127.0.0.1", "::1"}

_size: tuple[float, int | None] = (float("-inf"), None)


def free_bytes() -> int | None:
    """Bytes the database may still grow by; None if nothing is known about that.

    SQLite: the free part of its file system, or of the pages it may have (`PRAGMA max_page_count`), whichever is less.
    PostgreSQL: what DATABASE_MAX_BYTES leaves, if set, and the file system of a server on this machine.
    """
    known = _sqlite() if connection.vendor == "sqlite" else _postgres()
    return min(known, default=None)


def of_disk(path: Path | str) -> int | None:
    """Bytes free on the file system of a folder; None if it is not there or may not be asked."""
    try:
        found = os.statvfs(path)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


def _sqlite() -> list[int]:
    known = []
    path = Path(str(connection.settings_dict["NAME"]))
    if path.is_file() and (disk := of_disk(path.parent)) is not None:
        known.append(disk)
    with connection.cursor() as cursor:
        pages = {}
        for name in ("page_size", "page_count", "max_page_count", "freelist_count"):
            cursor.execute(f"PRAGMA {name}")
            pages[name] = cursor.fetchone()[0]
    known.append((pages["max_page_count"] - pages["page_count"] + pages["freelist_count"]) * pages["page_size"])
    return known


def _postgres() -> list[int]:
    global _size
    now = clock.monotonic()
    if now - _size[0] > SIZE_SECONDS:
        _size = (now, min(_postgres_asked(), default=None))
    return [] if _size[1] is None else [_size[1]]


def _postgres_asked() -> list[int]:
    known = []
    with connection.cursor() as cursor:
        if settings.DATABASE_MAX_BYTES:
            cursor.execute("SELECT pg_database_size(current_database())")
            known.append(max(0, settings.DATABASE_MAX_BYTES - cursor.fetchone()[0]))
        if connection.settings_dict["HOST"] in _LOCAL:
            # NULL for a role that may not know; and a server in a container names a folder that is not on this machine.
            cursor.execute("SELECT setting FROM pg_settings WHERE name = 'data_directory'")
            row = cursor.fetchone()
            if row and row[0] and (disk := of_disk(row[0])) is not None:
                known.append(disk)
    return known
