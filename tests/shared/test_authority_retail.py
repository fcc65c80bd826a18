"""A shop's written policy as matrix and policies, and its customers' calls replayed: what is theirs passes, nothing else does.

A sample of tasks, with every one that holds a call which the shop itself refuses; all 520 with AEGIS_SHARED_DATA=all
(`make shared-data`).
"""

from __future__ import annotations

import os
from collections import Counter

import pytest

from approvals.models import ApprovalRequest
from audit import journal
from orchestration.records import handlers
from orchestration.records.models import Record
from tests.conftest import SHARED
from tests.shared.retail import books, replay, shop
from tests.shared.retail.replay import House, Sent
from tests.support.report import say

SAMPLE = 60
LIMIT_CENTS = 100_000  # what refunds are gated above

pytestmark = [pytest.mark.shared_data, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def house(area_rows: None, monkeypatch: pytest.MonkeyPatch) -> House:
    store, tasks = books.read(SHARED / "authority_retail")
    for name, handler in shop.handlers(store.products).items():
        monkeypatch.setitem(handlers.HANDLERS, name, handler)  # type: ignore[arg-type]
    is_all = os.environ.get("AEGIS_SHARED_DATA") == "all"
    house = House(store, tasks if is_all else books.sample(tasks, SAMPLE))
    house.found()
    return house


def test_every_task_ends_as_the_shop_says_and_only_large_refunds_are_asked_about(house: House) -> None:
    sent: list[Sent] = []
    large = asked = 0
    for wave in house.waves():
        now = [house.call(task, call) for task, call in wave]
        replay.drive(now)
        large += sum((one.payload["refund_cents"] or 0) > LIMIT_CENTS for one in now)
        asked += replay.approve_open()
        replay.drive(now)
        sent += now

    verdicts = replay.events(sent, "verdict.given")
    found = Counter(event.outcome for event in verdicts)
    gated = {event.run_id for event in verdicts if event.outcome == "gated"}
    failed = {str(event.run_id): event for event in replay.events(sent, "effect.failed")}
    refused = [one for one in sent if one.call.is_refused]
    say(
        f"{len(house.tasks)} tasks, {len(sent)} calls: {found['denied']} denied, {asked} asked about"
        f" ({100 * asked / len(sent):.1f} %), {len(failed)} refused by the shop, {len(sent) - len(failed)} done"
    )
    assert set(found) == {"allowed", "gated"}
    assert asked == large == len(gated) == ApprovalRequest.objects.count()
    assert {str(one.run) for one in refused} == set(failed)
    assert {replay.answer(one)[0] for one in refused} == {"failed"}
    assert {replay.answer(one)[0] for one in sent if not one.call.is_refused} == {"completed"}
    assert [task.id for task in house.tasks if not _is_as_it_must_be(house, task)] == []

    _the_same_calls_again_change_nothing(house, sent)
    assert journal.verify().problems == []


def _the_same_calls_again_change_nothing(house: House, sent: list[Sent]) -> None:
    answers, records, done = [replay.answer(one) for one in sent], _records(), len(replay.events(sent, "effect.done"))

    repeated = [house.again(one) for one in sent]
    replay.drive(one for one, _ in repeated)

    assert not any(is_new for _, is_new in repeated)
    assert [replay.answer(one) for one, _ in repeated] == answers
    assert _records() == records
    assert len(replay.events(sent, "effect.done")) == done == sum(not one.call.is_refused for one in sent)


def test_every_call_for_another_customer_is_denied_and_so_is_what_nobody_confirmed(house: House) -> None:
    pairs = [(task, call) for task in house.tasks for call in task.calls]
    before = _records()

    swapped = [house.call(task, call, as_=house.stranger_to(task), key=f"swapped/{call.id}") for task, call in pairs]
    elsewhere = [
        house.call(task, call, as_=other, account=house.account_of(other), key=f"elsewhere/{call.id}")
        for task, call in pairs
        for other in [house.stranger_to(task)]
    ]
    unasked = [house.call(task, call, confirmed=False, key=f"unasked/{call.id}") for task, call in pairs]
    runs = replay.drive([*swapped, *elsewhere, *unasked])

    sorts = {"for another customer": swapped, "of another's order on one's own account": elsewhere, "nobody confirmed": unasked}
    for name, sent in sorts.items():
        verdicts = Counter(event.outcome for event in replay.events(sent, "verdict.given"))
        say(f"{len(sent)} calls {name}: {verdicts['denied']} denied")
        assert verdicts == {"denied": len(pairs)}
        assert {runs[one.run].status for one in sent} == {"failed"}
        assert replay.events(sent, "effect.done", "effect.intended", "effect.failed") == []
    assert _records() == before
    assert not ApprovalRequest.objects.exists()


def _is_as_it_must_be(house: House, task: books.Task) -> bool:
    """Orders that the task touches are as it says, all others as they were."""
    orders = house.account(task)["orders"]
    return all(orders[order_id] == task.final.get(order_id, house.books.orders[order_id]) for order_id in orders)


def _records() -> dict[str, tuple[int, str]]:
    return {key: (version, body) for key, version, body in Record.objects.values_list("key", "version", "body")}
