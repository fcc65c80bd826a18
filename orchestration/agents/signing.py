"""Signatures of requests to agents, as Standard Webhooks has them, and the secrets they are made with.

Secrets are issued to the agent (`credentials.py`), or named in its document and kept in the environment (`NAME`, or `NAME_FILE`
with the path of a file that holds it); never in a row. To rotate one of the environment, put the new one beside the old,
separated by a space. Whatever is valid signs, and the agent may know any of them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

#: Only these names: a document must not have requests signed with the installation's own key or a database password.
NAME: Final = re.compile(r"AEGIS_AGENT_SECRET_[A-Z0-9_]{1,60}")
PREFIX: Final = "whsec_"
MIN_SECRET_BYTES: Final = 24
MAX_SECRETS: Final = 4


class SecretUnusable(Exception):
    """The secret of an agent is missing or cannot be used. Never quotes it."""


def all_of(name: str, issued: Sequence[bytes]) -> tuple[bytes, ...]:
    """What signs the calls to one agent.

    Args:
        name: of the secret that its document names; "" for none. One that the environment has no longer is not missed while
            issued ones sign.
        issued: those that were issued to it and are valid now.

    Raises:
        SecretUnusable: nothing is there to sign with.
    """
    if not name and not issued:
        raise SecretUnusable("no signing secret of it is valid; issue one on its page")
    if not name:
        return tuple(issued)
    try:
        return (*issued, *secrets_of(name))
    except SecretUnusable:
        if not issued:
            raise
        return tuple(issued)


def secrets_of(name: str) -> tuple[bytes, ...]:
    """The secrets kept under a name, all of which sign. A file is read again when it changes.

    Raises:
        SecretUnusable: it is not set, set twice, or no base64 of at least `MIN_SECRET_BYTES` bytes.
    """
    if not NAME.fullmatch(name):
        raise SecretUnusable(f"{name[:80]!r} is no name of an agent's secret")
    path, value = os.environ.get(f"{name}_FILE"), os.environ.get(name)
    if path and value is not None:
        raise SecretUnusable(f"{name} and {name}_FILE are both set; keep one")
    if path:
        try:
            found = Path(path).stat()
            value = _content(path, found.st_mtime_ns, found.st_size, found.st_ino)
        except (OSError, UnicodeDecodeError) as error:
            raise SecretUnusable(f"{name}_FILE cannot be read ({type(error).__name__})") from None
    if not value or not value.strip():
        raise SecretUnusable(f"{name} is not set (or {name}_FILE with the path of a file that holds it)")
    return _read(name, value)


def headers(secrets: Sequence[bytes], *, message_id: str, timestamp: int, body: bytes) -> Mapping[str, str]:
    """The three headers of a signed message.

    Args:
        message_id: without a full stop, which separates what is signed.
        timestamp: seconds since 1970.
    """
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(sign(secret, message_id, timestamp, body) for secret in secrets),
    }


def sign(secret: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """One signature, version 1: HMAC-SHA256 of id, time and body."""
    signed = b"%s.%d.%s" % (message_id.encode("ascii"), timestamp, body)
    return "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()


def text_of(secret: bytes) -> str:
    """A secret as people paste it."""
    return PREFIX + base64.b64encode(secret).decode()


@lru_cache(maxsize=64)
def _read(name: str, value: str) -> tuple[bytes, ...]:
    texts = value.split()
    if len(texts) > MAX_SECRETS:
        raise SecretUnusable(f"{name} holds {len(texts)} secrets; at most {MAX_SECRETS} sign")
    secrets = []
    for text in texts:
        try:
            secret = base64.b64decode(text.removeprefix(PREFIX), validate=True)
        except (binascii.Error, ValueError):
            raise SecretUnusable(f"{name} is no base64 text (with or without {PREFIX} before it)") from None
        if len(secret) < MIN_SECRET_BYTES:
            raise SecretUnusable(f"{name} is shorter than {MIN_SECRET_BYTES} bytes")
        secrets.append(secret)
    return tuple(secrets)


@lru_cache(maxsize=64)
def _content(path: str, _mtime_ns: int, _size: int, _inode: int) -> str:
    return Path(path).read_text(encoding="utf-8")
