"""Bytes of request bodies in work in this process: a body is admitted before it is read, so that floods do not fill the memory.

A body costs several times its size while it is parsed, checked and written. A caller who has some in work may take no more than
what stays free, so that one who sends large bodies leaves room for those who send small ones.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.http import HttpRequest

from aegis.core.canonical import MAX_PAYLOAD_BYTES
from aegis.core.errors import Overloaded

# A body carries one payload (at most 256 KiB as stored) and its envelope; escapes may make the text longer than what is stored.
MAX_BODY_BYTES = 4 * MAX_PAYLOAD_BYTES
MAX_BATCH_BYTES = 4 * MAX_BODY_BYTES
PART_BYTES = 64 * 1024
WAIT_SECONDS = 1.0  # a request is in work for fractions of a second


class TooManyBytes(Overloaded):
    code, title = "too_many_bytes", "Too much is being sent at once"


_lock = threading.Lock()
_held: Counter[str] = Counter()  # by caller


@contextmanager
def admitted(request: HttpRequest, caller: str, *, at_most: int) -> Iterator[None]:
    """Hold the bytes of a request's body while it is in work. Use it around everything that reads or parses the body.

    Args:
        caller: whose request it is.
        at_most: what the parser accepts; a body that does not tell its length counts as so much.

    Raises:
        TooManyBytes: come again in a moment.
    """
    size = min(_length(request, at_most), at_most)
    with _lock:
        free = settings.BODY_BYTES_IN_FLIGHT - _held.total() - size
        mine = _held[caller] + size
        is_room, held = mine <= free, _held.total()
        if is_room:
            _held[caller] = mine
    if not is_room:
        _pass_over(request, at_most)
        raise TooManyBytes(f"{held:,} bytes are in work", retry_after=WAIT_SECONDS)
    try:
        yield
    finally:
        with _lock:
            _held[caller] -= size
            if not _held[caller]:
                del _held[caller]


def _pass_over(request: HttpRequest, at_most: int) -> None:
    """Read what is being sent and keep nothing of it: a server that answers and hangs up while the client still sends is taken
    for one that died, and its answer is lost. Who sends more than any request may have is hung up on.
    """
    left = at_most
    while left > 0 and (part := request.read(min(left, PART_BYTES))):
        left -= len(part)


def _length(request: HttpRequest, unknown: int) -> int:
    text = request.META.get("CONTENT_LENGTH") or ""
    return int(text) if text.isascii() and text.isdigit() else unknown
