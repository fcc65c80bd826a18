"""Who rings: once per transaction, after its commit, never held up or failed by what is rung (HAZARDS F13, F17, T7 to T9)."""

from __future__ import annotations

import os
import pickle
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core import signing
from django.db import transaction
from django_q.conf import Conf
from django_q.models import OrmQ
from django_q.signing import PickleSerializer, SignedPackage

from aegis.core import wake
from aegis.core.wake import brokers, local, redis_queue

PATIENCE = 20.0  # seconds after which a ringer counts as hung

commits = pytest.mark.django_db(transaction=True)
pytestmark = pytest.mark.django_db


class SilentServer:
    """Accepts connections and says nothing for ever: a Redis that swaps, or that a firewall swallows."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._socket.getsockname()[1]}/1"
        self.guests: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                self.guests.append(self._socket.accept()[0])
            except OSError:
                return

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(autouse=True)
def _own_bell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that an earlier test learned of its broker."""
    monkeypatch.setattr(wake, "_brokers", {})
    monkeypatch.setattr(wake, "_silent_until", 0.0)


@pytest.fixture
def rings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with every ring."""
    counted: list[int] = []

    def ring(folder: Path, **_: Any) -> bool:
        counted.append(1)
        return True

    monkeypatch.setattr(local, "ring", ring)
    monkeypatch.setattr(wake, "_ring_queue", lambda: bool(ring(Path())))
    return counted


@pytest.fixture
def redis_at(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Lets the process believe that its queue is in the Redis at an address."""

    def choose(url: str) -> None:
        settings.Q_CLUSTER = {**settings.Q_CLUSTER, "redis": url}
        monkeypatch.setattr(Conf, "REDIS", url)
        monkeypatch.setattr(Conf, "BROKER_CLASS", "aegis.core.wake.redis_queue.RedisBroker")

    return choose


@pytest.fixture
def ear() -> Iterator[local.Ear]:
    made = local.Ear(wake.bells())
    yield made
    made.close()


@commits
def test_many_nudges_of_one_transaction_ring_once_and_after_it(rings: list[int]) -> None:
    with transaction.atomic():
        for _ in range(100):
            wake.nudge()
            with transaction.atomic():
                wake.nudge()
        assert rings == []

    assert rings == [1]

    wake.nudge()
    assert rings == [1, 1]


@commits
def test_a_savepoint_rolled_back_takes_only_its_own_nudge_along(rings: list[int]) -> None:
    def fail(*, after: bool) -> None:
        with transaction.atomic():
            try:
                with transaction.atomic():
                    wake.nudge()
                    raise ValueError
            except ValueError:
                pass
            if after:
                wake.nudge()

    fail(after=False)
    assert rings == []

    fail(after=True)
    assert rings == [1]


@commits
def test_nothing_rings_for_work_that_was_rolled_back(rings: list[int]) -> None:
    def submit_in_vain() -> None:
        with transaction.atomic():
            wake.nudge()
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        submit_in_vain()

    assert rings == []


@commits
def test_without_redis_the_bell_rings_and_the_queue_stays_empty(ear: local.Ear, settings: Any) -> None:
    settings.Q_CLUSTER = {name: value for name, value in settings.Q_CLUSTER.items() if name != "redis"}

    wake.nudge()

    assert ear.wait(PATIENCE) == local.HOPS
    assert not OrmQ.objects.exists()


@commits
def test_where_no_worker_hears_the_queue_holds_one_nudge_however_many_rang(orm_queue: brokers.OrmBroker) -> None:
    for _ in range(10):
        wake.nudge()
    assert OrmQ.objects.count() == 1

    assert taken(orm_queue) == brokers.NUDGE_TASK
    assert not OrmQ.objects.exists()

    wake.nudge()  # never lost: what rang after the message was taken is a message again
    assert OrmQ.objects.count() == 1


@commits
def test_a_bell_that_is_broken_fails_nobody(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DATA_DIR = tmp_path
    (tmp_path / "bells").write_text("in the way")

    def broken() -> Any:
        raise RuntimeError("no broker at all")

    monkeypatch.setattr(wake, "_broker", broken)

    with transaction.atomic():
        wake.nudge()

    assert not wake.send_canary()


@commits
def test_a_redis_that_never_answers_holds_nobody_up_and_is_left_alone_for_a_while(
    redis_at: Callable[[str], None], ear: local.Ear
) -> None:
    server = SilentServer()
    redis_at(server.url)
    ringer = threading.Thread(target=lambda: [wake.nudge() for _ in range(20)], daemon=True)

    ringer.start()
    ringer.join(PATIENCE)

    assert not ringer.is_alive()
    assert len(server.guests) == 1, "only the first ring waited for it"
    assert ear.wait(PATIENCE) is not None, "the workers of this machine heard all the same"
    server.close()


@commits
def test_a_redis_that_is_not_there_costs_latency_only(redis_at: Callable[[str], None], ear: local.Ear) -> None:
    redis_at("redis://127.0.0.1:1/0")

    wake.nudge()

    assert ear.wait(PATIENCE) is not None
    assert not wake.send_canary()


def test_a_worker_lives_through_a_queue_that_is_away(redis_at: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """django-q2 refuses to start without its broker, and its pusher sleeps ten seconds when it goes."""
    monkeypatch.setattr(brokers, "AWAY_PAUSE_SECONDS", 0.0)
    redis_at("redis://127.0.0.1:1/0")
    broker = redis_queue.RedisBroker()

    assert broker.ping()
    assert broker.dequeue() is None
    broker.nudge_taken()


def test_a_full_worker_hands_the_ring_to_its_neighbour(ear: local.Ear, monkeypatch: pytest.MonkeyPatch) -> None:
    neighbour = local.Ear(wake.bells())
    monkeypatch.setattr(wake, "_ear", ear)
    monkeypatch.setattr(wake, "_on_nudge", lambda: False)

    wake._heard(1)

    assert neighbour.wait(PATIENCE) == 0
    assert ear.wait(0.05) is None, "not to itself"

    wake._heard(0)
    assert neighbour.wait(0.05) is None, "somewhere it ends"

    monkeypatch.setattr(wake, "_on_nudge", lambda: True)
    wake._heard(1)
    assert neighbour.wait(0.05) is None, "one that has room keeps it"
    neighbour.close()


# --- what lies in the queue ------------------------------------------------------------------------------------------------


@pytest.fixture
def orm_queue(settings: Any, monkeypatch: pytest.MonkeyPatch) -> brokers.OrmBroker:
    """The queue in the database, whatever this run of the tests uses."""
    monkeypatch.setattr(Conf, "ORM", "default")
    monkeypatch.setattr(Conf, "POLL", 0.0)
    monkeypatch.setattr(Conf, "BROKER_CLASS", "aegis.core.wake.brokers.OrmBroker")
    settings.Q_CLUSTER = {name: value for name, value in settings.Q_CLUSTER.items() if name != "redis"}
    return brokers.OrmBroker()


def taken(broker: Any) -> str:
    """The task of the next message as django-q2's pusher would read it; "" for none."""
    messages = broker.dequeue()
    if not messages:
        return ""
    [(ack, message)] = messages
    assert ack is None
    task: str = SignedPackage.loads(message)["func"]
    return task


class Gone:
    """A class that the reader of a message does not have."""


def _of_a_class_that_is_gone() -> str:
    body = pickle.dumps({"func": brokers.NUDGE_TASK, "args": (Gone(),)}).replace(b"Gone", b"Gonf")
    return signing.dumps(body, key=Conf.SECRET_KEY, salt=Conf.PREFIX, serializer=_Raw)


class _Raw:
    @staticmethod
    def dumps(body: bytes) -> bytes:
        return body


def _task(**changes: Any) -> str:
    return str(SignedPackage.dumps({"id": "1", "name": "n", "args": (), "kwargs": {}, "func": brokers.NUDGE_TASK, **changes}))


UNREADABLE: dict[str, Callable[[], str]] = {
    "another key": lambda: signing.dumps(
        {"func": brokers.NUDGE_TASK}, key="the former key", salt=Conf.PREFIX, serializer=PickleSerializer
    ),
    "cut short": lambda: brokers.signed(brokers.NUDGE_TASK)[:-7],
    "a class that is gone": _of_a_class_that_is_gone,
    "rubbish": lambda: "\x00 not signed",
    "nothing": lambda: "",
    "ten megabytes": lambda: _task(args=("x" * 10_000_000,)),
    "a future version": lambda: _task(func="aegis.core.wake.on_something_new"),
    "no task": lambda: str(SignedPackage.dumps(["a", "list"])),
    "a callable of the library": lambda: _task(func="os.system", args=("true",)),
    "a callable itself": lambda: _task(func=os.getcwd),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_is_dropped_and_what_stands_behind_it_comes_through(
    name: str, orm_queue: brokers.OrmBroker
) -> None:
    message = UNREADABLE[name]()
    if "\x00" not in message:  # PostgreSQL keeps no NUL
        orm_queue.enqueue(message)
    orm_queue.enqueue(message.replace("\x00", "?"))
    orm_queue.enqueue(brokers.signed(brokers.CANARY_TASK))

    found = [taken(orm_queue) for _ in range(4)]

    assert [task for task in found if task] == [brokers.CANARY_TASK]
    assert not OrmQ.objects.exists()


def test_options_that_a_message_brings_along_are_not_honoured(orm_queue: brokers.OrmBroker) -> None:
    orm_queue.enqueue(_task(hook="os.getcwd", chain=[("os.getcwd", (), {})], timeout=1, args=("x",), save=True))

    [(_, message)] = orm_queue.dequeue() or []

    body = SignedPackage.loads(message)
    assert not {"hook", "chain", "timeout"} & set(body)
    assert (body["args"], body["kwargs"], body["save"]) == ((), {}, False)


def test_two_clusters_that_read_one_message_take_it_once(orm_queue: brokers.OrmBroker) -> None:
    orm_queue.enqueue(brokers.signed(brokers.NUDGE_TASK))

    assert [taken(orm_queue), taken(brokers.OrmBroker())] == [brokers.NUDGE_TASK, ""]


@pytest.mark.postgres
def test_redis_holds_one_nudge_until_a_worker_answers_and_then_the_next(redis_queue_here: redis_queue.RedisBroker) -> None:
    broker = redis_queue_here
    for _ in range(10):
        broker.ring(brokers.signed(brokers.NUDGE_TASK))
    assert broker.queue_size() == 1
    assert taken(broker) == brokers.NUDGE_TASK

    broker.ring(brokers.signed(brokers.NUDGE_TASK))  # its worker has not looked yet, and will see this commit
    assert broker.queue_size() == 0

    broker.nudge_taken()
    broker.ring(brokers.signed(brokers.NUDGE_TASK))
    assert broker.queue_size() == 1
    assert 0 < broker.connection.pttl(f"{broker.list_key}:nudged") <= redis_queue.COVERED_MILLISECONDS


@pytest.mark.postgres
def test_what_cannot_be_read_in_redis_is_dropped(redis_queue_here: redis_queue.RedisBroker) -> None:
    broker = redis_queue_here
    for make in UNREADABLE.values():
        broker.enqueue(make())
    broker.enqueue(b"\xff\xfe\x00")
    broker.enqueue(brokers.signed(brokers.CANARY_TASK))

    found = [taken(broker) for _ in range(len(UNREADABLE) + 2)]

    assert [task for task in found if task] == [brokers.CANARY_TASK]


@pytest.fixture
def redis_queue_here() -> Iterator[redis_queue.RedisBroker]:
    broker = redis_queue.RedisBroker(f"test-{os.getpid()}")
    yield broker
    broker.connection.delete(broker.list_key, f"{broker.list_key}:nudged")
