"""Messages and resources under real concurrency, on PostgreSQL: threads with connections of their own."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections
from django.db.models import F

from aegis.core import clock
from audit import journal
from audit.models import Event
from orchestration.agents.protocol import AgentRequest, Done, Reply, python_agent
from orchestration.engine import verbs, worker
from orchestration.engine.driver import Driver
from orchestration.engine.messages.models import MessageWait, SentMessage
from orchestration.engine.models import Run
from orchestration.engine.resources.models import Resource, ResourceWait
from tests.engine import house

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]

ROUNDS = 20
PATIENCE = 60.0
PAID = {"id": "p-1"}

behind: dict[str, Callable[[AgentRequest], Reply]] = {}


@python_agent("test.claiming")
def claiming_agent(request: AgentRequest) -> Reply:
    return behind["act"](request)


def in_threads(*works: Callable[[], object]) -> list[object]:
    """Begin all at the same moment; each has a connection of its own."""
    start = threading.Barrier(len(works), timeout=PATIENCE)

    def one(work: Callable[[], object]) -> object:
        try:
            start.wait()
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result(PATIENCE) for future in [pool.submit(one, work) for work in works]]


def drive(run: Run) -> Callable[[], object]:
    return lambda: Driver(among=[run.pk]).drive()


def send(person, key: str, *, idempotency_key: str | None = None) -> Callable[[], object]:
    actor = house.actor_for(person)
    return lambda: verbs.send_message(
        "notes", "payment", key, PAID, person=person, actor=actor, idempotency_key=idempotency_key
    )


def settle(runs: list[Run]) -> None:
    worker.housekeep()
    Driver(among=[run.pk for run in runs]).drive()
    for run in runs:
        run.refresh_from_db()


def sound() -> None:
    report = journal.verify()
    assert report.is_good, report.problems


@pytest.fixture
def sam(area_rows, person):
    person("ada", "Admins")
    return person("sam", "Support leads")


@pytest.fixture
def waits(sam):
    wait = {"message": "payment", "key": "input.id", "output": "request@1", "within": "2d"}
    step = {"id": "paid", "wait": wait, "on_failure": {"no_message": "fail"}}
    house.bootstrap(house.documents(steps=[step, {"id": "end", "finish": "done"}]))
    return sam


def test_a_message_and_the_wait_for_it_always_meet(waits):
    for number in range(ROUNDS):
        run = house.submit(waits, {"id": f"n-{number}"})
        in_threads(drive(run), send(waits, f"n-{number}"))
        Driver(among=[run.pk]).drive()  # no sweep: whoever came second found the first
        run.refresh_from_db()

        assert run.status == "completed", number
    assert set(SentMessage.objects.values_list("status", flat=True)) == {"delivered"}
    sound()


def test_the_same_message_sent_twice_at_once_is_one_message(waits):
    for number in range(ROUNDS):
        run = house.submit(waits, {"id": f"n-{number}"})
        drive(run)()
        both = [send(waits, f"n-{number}", idempotency_key=f"k-{number}") for _ in range(2)]
        sent = in_threads(*both)

        assert sorted(one.is_new for one in sent) == [False, True]
        settle([run])
        assert run.status == "completed"
        assert house.types_of(run).count("message.received") == 1
    assert SentMessage.objects.count() == ROUNDS


def test_two_messages_at_once_and_one_who_waits(waits):
    for number in range(ROUNDS):
        run = house.submit(waits, {"id": f"n-{number}"})
        drive(run)()
        in_threads(send(waits, f"n-{number}"), send(waits, f"n-{number}"), worker.housekeep)
        settle([run])

        assert house.types_of(run).count("message.received") == 1
        kept = SentMessage.objects.filter(key=f"n-{number}").order_by("status").values_list("status", flat=True)
        assert list(kept) == ["delivered", "kept"]
    sound()


def test_one_message_and_many_who_wait(waits):
    for number in range(ROUNDS // 4):
        runs = [house.submit(waits, {"id": f"n-{number}"}) for _ in range(4)]
        for run in runs:
            drive(run)()
        in_threads(send(waits, f"n-{number}"), worker.housekeep, worker.housekeep)
        settle(runs)

        assert sorted(run.status for run in runs) == ["completed", *["waiting_message"] * 3]
    sound()


def test_a_message_against_the_limit_has_one_outcome(waits, monkeypatch):
    """Delivered and received, or no message and still kept: never one half of each."""
    outcomes = []
    shift = timedelta(0)
    real = clock.db_now
    monkeypatch.setattr("orchestration.engine.world.clock.db_now", lambda: real() + shift)
    for number in range(ROUNDS):
        run = house.submit(waits, {"id": f"n-{number}"})
        drive(run)()
        shift = timedelta(days=3)  # its limit has passed, and SentMessage lives for seven
        Run.objects.filter(pk=run.pk).update(due_at=real())
        in_threads(send(waits, f"n-{number}"), drive(run))
        settle([run])
        shift = timedelta(0)
        message = SentMessage.objects.get(key=f"n-{number}")

        outcomes.append((run.status, message.status))
        assert outcomes[-1] in {("completed", "delivered"), ("failed", "kept")}
        told = house.types_of(run)
        assert (told.count("message.received"), told.count("deadline.passed")) in {(1, 0), (0, 1)}
        assert "inbox.ignored" not in told
    assert not MessageWait.objects.exists()
    monkeypatch.undo()
    sound()


def claiming(hold: str) -> list[dict]:
    steps = [{"id": "write", "agent": "clerk", "output": "anything@1"}, {"id": "end", "finish": "done"}]
    docs = house.documents(steps=steps)
    agent = next(doc for doc in docs if doc["kind"] == "Agent")
    agent["spec"]["connector"] = {"python": "test.claiming"}
    docs[-1]["spec"]["resource"] = {"key": "'note/' + input.id", "hold": hold}
    return docs


@pytest.mark.parametrize("hold", ["until_end", "while_running"])
def test_no_two_runs_act_on_one_resource_however_many_workers_drive(sam, hold, monkeypatch):
    house.bootstrap(claiming(hold))
    under_way: set[str] = set()
    together: list[tuple[str, ...]] = []
    lock = threading.Lock()
    pause = threading.Event()
    dice = random.Random(7)

    def acts(request):
        with lock:
            under_way.add(request.run_id)
            together.append(tuple(under_way))
        pause.wait(dice.random() * 0.01)
        with lock:
            under_way.discard(request.run_id)
        return Done({"ok": True})

    monkeypatch.setitem(behind, "act", acts)
    runs = [house.submit(sam) for _ in range(24)]

    def work() -> None:
        for _ in range(200):
            Driver(among=[run.pk for run in runs]).drive()
            if not Run.objects.filter(ended_at__isnull=True).exists():
                return
            worker.housekeep()

    in_threads(*[work] * 4)

    assert set(Run.objects.values_list("status", flat=True)) == {"completed"}
    assert max(map(len, together)) == 1
    assert not Resource.objects.exists()
    assert not ResourceWait.objects.exists()
    assert not Run.objects.filter(wake__gt=F("seen")).exists()
    held = Event.objects.filter(type__in=["resource.claimed", "run.completed"]).order_by("id")
    assert [row.run_id for row in held if row.type == "resource.claimed"] == [
        row.run_id for row in held if row.type == "run.completed"
    ]
    sound()
