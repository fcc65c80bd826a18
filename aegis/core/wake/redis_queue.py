"""The queue in Redis. Bounded in time: who rings is a web request, and Redis may be slow, silent or gone."""

from __future__ import annotations

from typing import Any

import redis
import structlog
from django_q.brokers import redis_broker
from django_q.conf import Conf
from redis.backoff import NoBackoff
from redis.retry import Retry

from aegis.core.wake.brokers import renewed, was_silent

TIMEOUT_SECONDS = 0.25  # to connect, and for each answer: a ring has at most four of these in it (AUTH, SELECT, the script)
TAKE_SECONDS = 1  # how long Redis holds a request for a message; also the longest it delays a stop

#: A nudge that waits for a worker covers every later one. Should it be lost, rings count again after this time.
COVERED_MILLISECONDS = 1000
MAX_WAITING = 100  # messages kept while no worker takes any
_RING = f"""
if not redis.call('SET', KEYS[2], '1', 'NX', 'PX', {COVERED_MILLISECONDS}) then return 0 end
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('LTRIM', KEYS[1], -{MAX_WAITING}, -1)
return 1
"""

log = structlog.get_logger(__name__)


class RedisBroker(redis_broker.Redis):  # type: ignore[misc]  # django-q2 has no types
    """The queue is a list in Redis."""

    @staticmethod
    def get_connection(list_key: str | None = None) -> redis.Redis:  # noqa: ARG004  django-q2 asks so
        return _client(TIMEOUT_SECONDS)

    def __init__(self, list_key: str | None = None) -> None:
        super().__init__(list_key=list_key)
        self._patient = _client(TAKE_SECONDS + 1.0)  # for the one request that Redis is meant to hold
        self._ring = self.connection.register_script(_RING)

    def __setstate__(self, state: Any) -> None:
        raise TypeError("a broker is inherited by fork, never sent")

    @property
    def _cover(self) -> str:
        return f"{self.list_key}:nudged"

    def ring(self, message: str) -> None:
        """Put a nudge in the queue, unless one is under way that no worker has answered yet.

        Raises:
            RedisError: it does not answer, within about a second.
        """
        self._ring(keys=[self.list_key, self._cover], args=[message])

    def nudge_taken(self) -> None:
        """From now on a ring counts again. To be called before looking: what commits later must not be covered."""
        try:
            self.connection.delete(self._cover)
        except redis.RedisError as error:
            log.warning("queue_silent", error=str(error))  # the cover expires

    def dequeue(self) -> list[tuple[None, str]] | None:
        try:
            taken = self._patient.blpop([self.list_key], TAKE_SECONDS)
        except redis.RedisError as error:
            was_silent(error)
            return None
        message = renewed(_text(taken[1])) if taken else ""
        return [(None, message)] if message else None

    def ping(self) -> bool:
        """The cluster asks when it starts. It may: its broker will come back, and the sweep works without one."""
        return True

    def set_stat(self, key: str, value: str, timeout: int) -> None:
        """Nobody reads django-q2's statistics; a silent Redis must not hold up its guard loop."""


def _client(seconds: float) -> redis.Redis:
    """A client that gives up after `seconds` per answer, says nothing but what it is asked to, and tries once."""
    return redis.Redis.from_url(
        Conf.REDIS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        socket_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        driver_info=None,
    )


def _text(message: bytes | str) -> str:
    return message if isinstance(message, str) else message.decode("utf-8", "replace")
