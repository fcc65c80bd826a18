"""System checks of the design's assumptions, with stable ids (`aegis.E001` ...) and hints.

| id | what it refuses |
|---|---|
| E001 | a secret key that can be guessed |
| E002 | (deploy) a secret key that was not given to this installation by its environment |
| E003 | debug pages in reach of others |
| E004 | (deploy) answering under any host name |
| E005 | SQLite that could lose or half-write a committed command |
| E006 | PostgreSQL that could lose a committed command |
| E007 | (deploy) a public address without TLS |
| E008 | a queue that would decide anything by itself |

Ports that nobody registered are checked by the app that declares them (E010-E019), triggers by audit (E020).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import DatabaseError, connections

MIN_SECRET_CHARS = 50
MIN_SECRET_VARIETY = 10

# What must hold of a connection as this process opens it: pragma -> (accepted values, words).
SQLITE_PRAGMAS: dict[str, tuple[frozenset[str], str]] = {
    "journal_mode": (frozenset({"wal", "memory"}), "WAL"),  # memory: the in-memory databases of tests
    "synchronous": (frozenset({"2", "3"}), "FULL"),
    "foreign_keys": (frozenset({"1"}), "ON"),
    "recursive_triggers": (frozenset({"1"}), "ON (a replacing insert would pass the append-only triggers)"),
}
POSTGRES_SETTINGS: dict[str, frozenset[str]] = {
    "fsync": frozenset({"on"}),
    "full_page_writes": frozenset({"on"}),
    "synchronous_commit": frozenset({"on", "remote_apply", "remote_write", "local"}),
}


@register(Tags.security)
def secret_key_is_strong(**_: Any) -> list[CheckMessage]:
    """E001: sessions, signatures and queue messages rest on it."""
    key = settings.SECRET_KEY
    if len(key) >= MIN_SECRET_CHARS and len(set(key)) >= MIN_SECRET_VARIETY:
        return []
    return [
        Error(
            f"The secret key has {len(key)} characters; at least {MIN_SECRET_CHARS} random ones are needed",
            hint="Set AEGIS_SECRET_KEY_FILE to a file made by: python3 -c 'import secrets; print(secrets.token_urlsafe(50))'",
            id="aegis.E001",
        )
    ]


@register(Tags.security, deploy=True)
def secret_key_is_given(**_: Any) -> list[CheckMessage]:
    """E002: a key made in the data folder differs on every host, and lies beside the data it protects."""
    if settings.SECRET_KEY_IS_GIVEN:
        return []
    return [
        Error(
            "The secret key was made in the data folder, not given by the environment",
            hint="Set AEGIS_SECRET_KEY or AEGIS_SECRET_KEY_FILE, the same on every host.",
            id="aegis.E002",
        )
    ]


@register(Tags.security)
def debug_stays_here(**_: Any) -> list[CheckMessage]:
    """E003: debug pages show settings and local variables."""
    if not (settings.DEBUG and settings.PUBLIC_URL):
        return []
    return [
        Error(
            "AEGIS_DEBUG is on while AEGIS_PUBLIC_URL names an address for others",
            hint="Unset AEGIS_DEBUG.",
            id="aegis.E003",
        )
    ]


@register(Tags.security, deploy=True)
def hosts_are_named(**_: Any) -> list[CheckMessage]:
    """E004: links in mails and redirects are made from the host a request names."""
    loose = [host for host in settings.ALLOWED_HOSTS if host == "*" or host.startswith(".")]
    if settings.ALLOWED_HOSTS and not loose:
        return []
    return [
        Error(
            f"AEGIS answers under any host name ({', '.join(loose)})" if loose else "AEGIS answers under no host name",
            hint="Set AEGIS_PUBLIC_URL, and AEGIS_ALLOWED_HOSTS for further names.",
            id="aegis.E004",
        )
    ]


@register(Tags.security, deploy=True)
def public_url_is_https(**_: Any) -> list[CheckMessage]:
    """E007: secure cookies, HSTS and the redirect to TLS all follow from this address."""
    if settings.PUBLIC_URL.startswith("https://"):
        return []
    return [
        Error(
            f"AEGIS_PUBLIC_URL is {settings.PUBLIC_URL!r}" if settings.PUBLIC_URL else "AEGIS_PUBLIC_URL is not set",
            hint='Set it to the address people use, for instance "https://aegis.example.org".',
            id="aegis.E007",
        )
    ]


@register(Tags.database)
def commits_are_durable(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """E005, E006: a command that was answered 2xx survives power loss."""
    messages: list[CheckMessage] = []
    for alias in databases or ():
        connection = connections[alias]
        try:
            if connection.vendor == "sqlite":
                mode = connection.settings_dict.get("OPTIONS", {}).get("transaction_mode")
                messages += sqlite_faults(_pragmas(alias), mode)
            elif connection.vendor == "postgresql":
                messages += postgres_faults(_postgres_settings(alias))
        except DatabaseError:  # unreachable: whatever runs next says so, and better
            continue
    return messages


def sqlite_faults(pragmas: dict[str, str], transaction_mode: str | None) -> list[CheckMessage]:
    """E005 for values as read from a connection."""
    wrong = [
        f"{name} is {pragmas[name]}, not {words}" for name, (good, words) in SQLITE_PRAGMAS.items() if pragmas[name] not in good
    ]
    if transaction_mode != "IMMEDIATE":
        wrong.append(f"transaction_mode is {transaction_mode}, not IMMEDIATE (two writers would fail half way)")
    hint = "These come from aegis.core.env.database; something overrides them."
    return [Error(f"SQLite: {what}", hint=hint, id="aegis.E005") for what in wrong]


def postgres_faults(values: dict[str, str]) -> list[CheckMessage]:
    """E006 for values as read from a connection."""
    return [
        Error(
            f"PostgreSQL: {name} is {values[name]}: a power loss could take back what AEGIS has promised",
            hint=f"Set {name} = on for the server (and not otherwise for this role or database).",
            id="aegis.E006",
        )
        for name, good in POSTGRES_SETTINGS.items()
        if values[name] not in good
    ]


@register()
def the_queue_decides_nothing(**_: Any) -> list[CheckMessage]:
    """E008: the queue is a hint (DESIGN promise 4); each of these settings has a reason in LIBRARIES or HAZARDS T7-T13."""
    queue: dict[str, Any] = settings.Q_CLUSTER
    wanted: dict[str, tuple[bool, str]] = {
        "retry": (queue.get("retry", 60) > max(queue.get("timeout") or 0, 0), "greater than timeout"),
        "timeout": (queue.get("timeout") == -1, "-1: a drive serves many runs, each call has its own timeout"),
        "max_attempts": (queue.get("max_attempts") == 1, "1: attempts are counted by the engine"),
        "ack_failures": (queue.get("ack_failures") is True, "True: a bad message must not come back"),
        "save_limit": (queue.get("save_limit") == -1, "-1: results are unsigned pickles"),
        "bulk": (queue.get("bulk") == 1, "1: one bad message must not hold others"),
        "broker_class": (str(queue.get("broker_class")).startswith("aegis.core.wake."), "ours: others die of a bad message"),
        "scheduler": (queue.get("scheduler") is False, "False: its rows name any callable"),
    }
    return [
        Error(
            f"Q_CLUSTER[{name!r}] is {queue.get(name)!r}; it must be {words}",
            hint="Restore aegis/settings.py.",
            id="aegis.E008",
        )
        for name, (is_good, words) in wanted.items()
        if not is_good
    ]


def _pragmas(alias: str) -> dict[str, str]:
    with connections[alias].cursor() as cursor:
        values = {}
        for name in SQLITE_PRAGMAS:
            cursor.execute(f"PRAGMA {name}")
            values[name] = str(cursor.fetchone()[0]).lower()
    return values


def _postgres_settings(alias: str) -> dict[str, str]:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(POSTGRES_SETTINGS)])
        return dict(cursor.fetchall())
