"""Idempotency keys: what a client names a command by, so that repeating it after a lost answer is not doing it twice. Pure."""

from __future__ import annotations

import re
from typing import Final

from aegis.core.errors import Invalid

HEADER: Final = "Idempotency-Key"
MAX_KEY_CHARS: Final = 120

_KEY: Final = re.compile(r"[\x21-\x7e][\x20-\x7e]*")


def check_key(key: str, *, max_chars: int = MAX_KEY_CHARS) -> str:
    """The key, if it can be kept.

    Raises:
        Invalid
    """
    if len(key) > max_chars or not _KEY.fullmatch(key):
        raise Invalid(f"{HEADER} must be 1 to {max_chars} printable ASCII characters")
    return key
