"""The connector for agents that are asked over HTTP. What comes back is a stranger's: bounded in time and size, read strictly.

One POST per call, signed by Standard Webhooks (`signing.py`), to an address that may be connected to (`addresses.py`), under an
idempotency key that is the same for every attempt of one visit. Redirects are not followed.
"""

from __future__ import annotations

import re
import threading
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from django.conf import settings

from aegis.core import canonical, clock
from aegis.core.canonical import Json
from aegis.core.errors import Malformed
from orchestration.agents import addresses, idle, replies, signing
from orchestration.agents.addresses import Allowance, Denied
from orchestration.agents.dialing import Unreachable, connect, remaining
from orchestration.agents.exchange import Answer, Broken, Connection, Stale, TooMuch
from orchestration.agents.protocol import AgentRequest, CallFailed, Reply
from orchestration.workflows.definition import AgentVersion

MAX_QUOTED_BYTES: Final = 2_000  # of an answer that is an error
MAX_RETRY_AFTER: Final = 86_400.0  # seconds believed; the step's retry rules bound it again
_LARGE_BYTES: Final = 32 * 1024

_JSON_TYPE = re.compile(r"application/(?:json|[a-z0-9.+-]+\+json)\s*(?:;\s*charset\s*=\s*\"?utf-8\"?\s*)?", re.IGNORECASE)

# A large answer takes up to thirty times its bytes while it is read: a thousand at a time would fill the memory. One at a time
# loses nothing, since reading holds the interpreter's lock.
_reading = threading.Lock()


class _Failure(Exception):
    def __init__(self, code: str, detail: str, retry_after: float = 0.0) -> None:
        super().__init__(detail)
        self.failed = replies.failed(code, detail, retry_after=retry_after)


def call(
    agent: AgentVersion, request: AgentRequest, *, fence: int, timeout: timedelta, keys: Sequence[bytes] = ()
) -> Reply | CallFailed:
    """Ask an agent once over HTTP. Ends by `timeout`, with a `Reply` that can be recorded or a `CallFailed`.

    Args:
        keys: the signing secrets issued to it that are valid now.

    Codes: timeout; contract (an answer that is no reply); rate_limited (429) and unavailable (503, no connection), with the
    wait it asked for; agent_error (any other status, an address or secret that cannot be used).
    """
    deadline = clock.monotonic() + timeout.total_seconds()
    try:
        return _judge(_ask(agent, request, fence, keys, deadline), deadline)
    except _Failure as failure:
        return failure.failed
    except TimeoutError:
        return replies.failed("timeout", f"no whole answer within {timeout.total_seconds():g} s")
    except Denied as error:
        return replies.failed("agent_error", f"its address may not be used: {error}")
    except (signing.SecretUnusable, Broken) as error:
        return replies.failed("agent_error", str(error))
    except Unreachable as error:
        return replies.failed("unavailable", str(error))
    except (TooMuch, Malformed) as error:
        return replies.failed("contract", str(error))


def allowance_of(connection: Mapping[str, Json]) -> Allowance:
    """What an agent's document and the installation open to it.

    Raises:
        Denied: naming an entry that cannot be read.
    """
    return addresses.allowance((*settings.AGENT_HOSTS, *connection.get("allow", ())))


def _ask(agent: AgentVersion, request: AgentRequest, fence: int, keys: Sequence[bytes], deadline: float) -> Answer:
    spec = agent.connection["http"]
    allowed = allowance_of(spec)
    endpoint = addresses.endpoint(spec["url"], allowed)
    body = replies.request_document(request, agent.settings, fence=fence)
    headers = _headers(signing.all_of(spec.get("secret", ""), keys), request, fence, body)
    while True:
        connection = idle.take((endpoint.origin, allowed)) or Connection(connect(endpoint, allowed, deadline=deadline))
        try:
            answer = connection.post(
                endpoint,
                headers,
                body,
                max_bytes=replies.MAX_REPLY_BYTES,
                kept_bytes=MAX_QUOTED_BYTES,
                deadline=deadline,
            )
        except Stale:  # only a kept connection is; there is an end of those
            connection.close()
            continue
        except BaseException:
            connection.close()
            raise
        if answer.is_whole and connection.is_reusable():
            idle.keep((endpoint.origin, allowed), connection)
        else:
            connection.close()
        return answer


def _headers(secrets: Sequence[bytes], request: AgentRequest, fence: int, body: bytes) -> dict[str, str]:
    """`webhook-id` is the same for every attempt of one visit, as the standard wants it, and without a full stop."""
    message_id = "msg_" + canonical.digest(request.idempotency_key.encode())[:32]
    signed = signing.headers(secrets, message_id=message_id, timestamp=int(clock.now().timestamp()), body=body)
    return {
        "content-type": "application/json",
        "accept": "application/json",
        "accept-encoding": "gzip",
        "user-agent": "aegis",
        "Idempotency-Key": request.idempotency_key,
        "AEGIS-Fence": str(fence),
        **({"traceparent": request.traceparent} if request.traceparent else {}),
        **signed,
    }


def _judge(answer: Answer, deadline: float) -> Reply:
    match answer.status:
        case 200:
            return _read(answer, deadline)
        case 429:
            raise _Failure("rate_limited", _quoted(answer), _wait(answer))
        case 503:
            raise _Failure("unavailable", _quoted(answer), _wait(answer))
        case status if 300 <= status < 400:
            raise _Failure("agent_error", f"HTTP {status}: redirects are not followed")
        case status if 200 < status < 300:
            raise _Failure("contract", f"HTTP {status} is no answer; a reply comes with 200")
        case _:
            raise _Failure("agent_error", _quoted(answer))


def _read(answer: Answer, deadline: float) -> Reply:
    types = answer.values(b"content-type")
    if len(types) != 1 or not _JSON_TYPE.fullmatch(types[0].strip()):
        raise Malformed(f"content-type must be application/json in UTF-8, is {', '.join(types)[:100] or 'not given'!r}")
    encodings = [part.strip().lower() for value in answer.values(b"content-encoding") for part in value.split(",")]
    if encodings in ([], ["identity"]) and len(answer.body) <= _LARGE_BYTES:
        return replies.read(answer.body)
    if not _reading.acquire(timeout=remaining(deadline)):
        raise TimeoutError
    try:
        return replies.read(_decoded(answer.body, encodings))
    finally:
        _reading.release()


def _decoded(body: bytes, encodings: list[str]) -> bytes:
    """The body as it was before compression, which must say the truth about its size."""
    if encodings in ([], ["identity"]):
        return body
    if encodings not in (["gzip"], ["x-gzip"]):
        raise Malformed(f"content-encoding {', '.join(encodings)[:100]!r} was not asked for; send gzip or none")
    inflater = zlib.decompressobj(wbits=31)
    try:
        data = inflater.decompress(body, replies.MAX_REPLY_BYTES + 1)
    except zlib.error as error:
        raise Malformed(f"content-encoding is gzip, the body is not ({error})") from None
    if len(data) > replies.MAX_REPLY_BYTES:
        raise TooMuch(f"the answer is larger than {replies.MAX_REPLY_BYTES:,} bytes once unpacked")
    if not inflater.eof or inflater.unused_data:
        raise Malformed("the gzip body is cut off, or more follows it")
    return data


def _wait(answer: Answer) -> float:
    return retry_after(answer.values(b"retry-after"), at=clock.now().timestamp())


def retry_after(values: Sequence[str], *, at: float) -> float:
    """Seconds of a Retry-After header, a number or a date, from 0 to `MAX_RETRY_AFTER`; 0 for what is neither.

    Args:
        at: now, in seconds since 1970.
    """
    text = values[0].strip() if len(values) == 1 else ""
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), MAX_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(text[:64])
    except (ValueError, TypeError, OverflowError):
        return 0.0
    try:
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - at
    except (ValueError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


def _quoted(answer: Answer) -> str:
    said = " ".join(answer.body[:400].decode("utf-8", "replace").split())
    return f"HTTP {answer.status}: {said[:200]}" if said else f"HTTP {answer.status}"
