"""Settings from the environment: read once, typed, loudly. `NAME_FILE` names a file that holds the value (secrets)."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


def text(name: str, default: str | None = None) -> str:
    """The value of `NAME`, or the content of the file `NAME_FILE`.

    Raises:
        ImproperlyConfigured: both are set, or neither and there is no default.
    """
    path = os.environ.get(f"{name}_FILE")
    value = os.environ.get(name)
    if path and value is not None:
        raise ImproperlyConfigured(f"{name} and {name}_FILE are both set; keep one")
    if path:
        return Path(path).read_text(encoding="utf-8").strip()
    if value is not None:
        return value
    if default is None:
        raise ImproperlyConfigured(f"{name} is not set (or {name}_FILE with the path of a file that holds it)")
    return default


def flag(name: str, default: bool) -> bool:
    value = text(name, "true" if default else "false").strip().lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off", ""}:
        return False
    raise ImproperlyConfigured(f"{name}={value!r} is neither true nor false")


def number(name: str, default: float, *, minimum: float = 0) -> float:
    value = text(name, str(default))
    try:
        result = float(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name}={value!r} is not a number") from None
    if result < minimum:
        raise ImproperlyConfigured(f"{name}={value!r} is below {minimum}")
    return result


def choice(name: str, default: str, among: tuple[str, ...]) -> str:
    value = text(name, default).strip().lower()
    if value not in among:
        raise ImproperlyConfigured(f"{name}={value!r} is none of {', '.join(among)}")
    return value


def names(name: str, default: str = "") -> list[str]:
    """A comma-separated list."""
    return [part.strip() for part in text(name, default).split(",") if part.strip()]


def pairs(name: str) -> dict[str, str]:
    """A comma-separated list of name=value, as headers. Never quoted in an error: values are secrets."""
    found = [part.partition("=") for part in names(name)]
    if any(not key.strip() or not sign for key, sign, _ in found):
        raise ImproperlyConfigured(f"{name} is no list of name=value, separated by commas")
    return {key.strip(): value.strip() for key, _, value in found}


def url(name: str) -> str:
    """An address of this installation: scheme and host only, no path; "" if unset."""
    value = text(name, "").strip().rstrip("/")
    parts = urlsplit(value)
    if value and (parts.scheme not in {"http", "https"} or not parts.hostname or parts.path or parts.query):
        raise ImproperlyConfigured(f"{name}={value!r} is not of the form https://host[:port]")
    return value


def database(url: str, *, data_dir: Path) -> dict[str, object]:
    """Django's connection settings for "sqlite:///path" or "postgresql://user:password@host:port/name".

    SQLite gets WAL, synchronous=FULL and IMMEDIATE transactions: a command answered 2xx survives power loss, and two writers
    queue instead of failing half way.
    """
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": parts.path.removeprefix("/") or str(data_dir / "aegis.sqlite3"),
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 30,
                "init_command": (
                    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
                    "PRAGMA recursive_triggers=ON; PRAGMA busy_timeout=30000;"
                ),
            },
        }
    if parts.scheme in {"postgres", "postgresql"}:
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(parts.path.lstrip("/")),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": parts.hostname or "",
            "PORT": str(parts.port or ""),
            "CONN_MAX_AGE": 60,
            "CONN_HEALTH_CHECKS": True,
            # The engine repeats few statements very often: prepared, they cost server and client a fifth less (docs/adr/0013).
            # By default PostgreSQL plans for disks that turn, and walks through a hundred thousand rows of the journal rather
            # than fetch the ten thousand that an index names: four to eight times as long on a solid disk (docs/adr/0055).
            "OPTIONS": {
                "server_side_binding": True,
                "prepare_threshold": 5,
                "options": "-c random_page_cost=1.1 -c work_mem=16MB",
            },
        }
    raise ImproperlyConfigured(f"AEGIS_DATABASE_URL: unknown scheme {parts.scheme!r}; use sqlite:/// or postgresql://")
