"""The page on which a person says what became of an effect: the evidence, the forms, and what they lead to."""

from __future__ import annotations

import pytest

from orchestration.engine.effects import EffectUnknown
from orchestration.engine.models import ReviewItem, Run
from tests.effects.conftest import PAY, asked, heard, item_of, regrant, says
from tests.engine import house
from tests.pages.conftest import text_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def lost(furnish, sam) -> Run:
    furnish()
    says["test.pay"] = EffectUnknown("connection <b>reset</b>")
    run = house.submit(sam)
    house.drive(run)
    return run


def url_of(item: ReviewItem, rest: str = "") -> str:
    return f"/review/{item.pk}/{rest}"


def test_the_page_shows_what_was_sent_when_from_where_and_what_was_heard(lost, sam, browser_of):
    item = item_of(lost)
    page = text_of(browser_of(sam).get(url_of(item)))

    for said in (
        "note.pay", heard[0].key, "unsafe: sent twice, it happens twice", "Attempt 1", "outcome unknown", "note N-1",
        "connection &lt;b&gt;reset&lt;/b&gt;", "It happened", "It did not happen: send it again", "Cancel the run",
    ):  # fmt: skip
        assert said in page
    assert "Send back for a retry" not in page


def test_it_happened_is_stated_on_the_page(lost, sam, browser_of):
    desk = browser_of(sam)
    sent = {"reason": "the bank says so", "reference": "B-7", "result": '{"receipt": 7}'}
    answer = desk.post(url_of(item_of(lost), "happened/"), sent, follow=True)

    assert "Recorded as your statement. The run goes on." in text_of(answer)
    house.drive(lost)
    assert lost.status == Run.Status.COMPLETED
    assert "looked, and states that the effect of" in text_of(desk.get(f"/runs/{lost.pk}/"))


def test_a_result_that_is_no_json_comes_back_with_what_was_typed(lost, sam, browser_of):
    sent = {"reason": "books", "reference": "B-7", "result": "{no"}
    answer = browser_of(sam).post(url_of(item_of(lost), "happened/"), sent)

    assert answer.status_code == 422
    assert "B-7" in text_of(answer)
    assert "{no" in text_of(answer)
    assert item_of(lost).status == ReviewItem.Status.OPEN


def test_without_a_reason_nothing_is_recorded(lost, sam, browser_of):
    answer = browser_of(sam).post(url_of(item_of(lost), "not-happened/"), {"reason": " "})

    assert answer.status_code == 422
    assert "Say why" in text_of(answer)
    assert item_of(lost).status == ReviewItem.Status.OPEN


def test_who_does_not_hold_the_capability_is_told_who_does(lost, olivia, browser_of):
    answer = browser_of(olivia).post(url_of(item_of(lost), "happened/"), {"reason": "I think so"})

    assert answer.status_code == 403
    assert "Support leads" in text_of(answer)


def test_statements_are_posts_and_hidden_from_strangers(lost, person, sam, browser_of):
    item = item_of(lost)
    for act in ("happened/", "not-happened/", "leave/"):
        assert browser_of(sam).get(url_of(item, act)).status_code == 405
        assert browser_of(person("mallory", "Visitors")).post(url_of(item, act), {"reason": "x"}).status_code == 404
        break


def test_an_undo_that_failed_may_be_left_and_the_run_page_says_so(furnish, sam, browser_of):
    steps = [*PAY, {"id": "more", "act": "steps.plan.output.more", "on_failure": {"denied": "compensate"}}]
    furnish(steps)
    from orchestration.agents.protocol import Done

    house.answers["plan"] = Done({"pay": asked("note.pay", amount=5), "more": asked("note.more")}, confidence=0.9)
    regrant("clerk", note__more="", note__refund="")
    run = house.submit(sam)
    house.drive(run)
    item = item_of(run)
    desk = browser_of(sam)

    page = text_of(desk.get(url_of(item)))
    for said in ("Is it undone?", "It is undone", "Let it stand", "Send back for a retry"):
        assert said in page
    assert "Cancel the run" not in page
    assert "It is ending (denied) and undoes what it did first." in text_of(desk.get(f"/runs/{run.pk}/"))
    desk.post(url_of(item, "leave/"), {"reason": "the customer agrees"})
    house.drive(run)
    assert run.status == Run.Status.FAILED
    assert "1 left to stand" in text_of(desk.get(f"/runs/{run.pk}/"))
