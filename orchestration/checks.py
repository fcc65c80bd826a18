"""System checks of the limits at which submission is refused (docs/adr/0018).

| id | what it refuses |
|---|---|
| E030 | a reserve that is no part of the backlog |
| E031 | a backlog that a batch can never fit into |
| E032 | a memory for request bodies that a batch can never fit into |
| W033 | too little space already |
| E034 | spans are to be sent by packages that are not installed |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError

from aegis.core.bodies import MAX_BATCH_BYTES
from orchestration.engine import pressure, space, verbs
from orchestration.engine.traces import exporter, otlp


@register()
def limits_make_sense(**_: Any) -> list[CheckMessage]:
    """E030, E031, E032."""
    reserve = settings.BACKLOG_RESERVE
    if not 0 < reserve < 1:
        return [
            Error(
                f"AEGIS_BACKLOG_RESERVE is {reserve:g}; it is the part of the backlog kept for others, above 0 and below 1",
                hint="Unset it for the default, 0.2.",
                id="aegis.E030",
            )
        ]
    messages: list[CheckMessage] = []
    share = pressure.limits().unquestioned
    if share < verbs.MAX_BATCH:
        messages.append(
            Error(
                f"With AEGIS_BACKLOG_LIMIT={settings.BACKLOG_LIMIT:,} one client may have {share:,} runs waiting;"
                f" a batch of {verbs.MAX_BATCH:,} could never be submitted",
                hint=f"Set it to at least {int(verbs.MAX_BATCH / (1 - reserve)) + 1:,}.",
                id="aegis.E031",
            )
        )
    # One caller gets at most half of it (aegis.core.bodies).
    if settings.BODY_BYTES_IN_FLIGHT < 2 * MAX_BATCH_BYTES:
        messages.append(
            Error(
                f"AEGIS_BODY_MB_IN_FLIGHT allows {settings.BODY_BYTES_IN_FLIGHT:,} bytes; a batch may have {MAX_BATCH_BYTES:,}",
                hint=f"Set it to at least {2 * MAX_BATCH_BYTES // 2**20}.",
                id="aegis.E032",
            )
        )
    return messages


@register()
def spans_can_be_sent(**_: Any) -> list[CheckMessage]:
    """E034."""
    if not exporter.is_wanted() or otlp.is_installed():
        return []
    return [
        Error(
            "AEGIS_OTLP_ENDPOINT is set, and OpenTelemetry is not installed",
            hint="Install requirements/otel.txt, or unset it.",
            id="aegis.E034",
        )
    ]


@register(Tags.database)
def there_is_space(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """W033: AEGIS starts all the same, because decisions and runs under way need little; submissions are refused."""
    if not databases:
        return []
    try:
        left = space.free_bytes()
    except DatabaseError:  # unreachable: other checks say so, and better
        return []
    if left is None or left >= settings.MIN_FREE_BYTES:
        return []
    return [
        Warning(
            f"{left / 2**20:,.0f} MiB are left for the database; submissions are refused below"
            f" {settings.MIN_FREE_BYTES / 2**20:,.0f} (AEGIS_MIN_FREE_MB)",
            hint="Make room on its disk, or raise AEGIS_DATABASE_MAX_MB if that is what bounds it.",
            id="aegis.W033",
        )
    ]
