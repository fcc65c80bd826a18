"""Dead letters at their edges: page, API, command line."""

from __future__ import annotations

import io
import json
from uuid import UUID

import pytest
from django.core.management import call_command
from rest_framework.test import APIClient

from orchestration.agents.protocol import Done
from orchestration.engine.effects import EffectUnknown
from orchestration.engine.models import ReviewItem, Run
from tests.effects.conftest import PAY, asked, heard, item_of, regrant, says
from tests.effects.test_dead_letters import letters, refused
from tests.engine import house
from tests.pages.conftest import text_of
from tests.support.api import client_of

pytestmark = pytest.mark.django_db(transaction=True)
HERE = "/dead-letters/"


@pytest.fixture
def stuck(furnish, sam) -> list[Run]:
    furnish()
    return refused(sam, 2)


def post(client: APIClient, path: str, body: object):
    return client.post(f"/api/v1/{path}", json.dumps(body), content_type="application/json")


def aegis(*words: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("aegis", "dead-letters", *words, stdout=out, stderr=err)
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    return code, out.getvalue(), err.getvalue()


# --- page ----------------------------------------------------------------------------------------


def test_the_list_says_what_stopped_where_and_why(stuck, sam, browser_of):
    page = text_of(browser_of(sam).get(HERE))

    for said in ("n-0", "n-1", "Notes", "pay", "note.pay", "The action was tried and failed.", "closed account", "Re-drive"):
        assert said in page


def test_the_places_that_break_a_contract_are_named(furnish, sam, browser_of):
    furnish()
    house.answers["plan"] = Done({"pay": {"capability": "note.other"}}, confidence=0.9)
    run = house.submit(sam)
    house.drive(run)

    page = text_of(browser_of(sam).get(HERE))
    assert "/pay/capability" in page
    assert "breaks its contract" in page


def test_filters_live_in_the_address(stuck, sam, browser_of):
    desk = browser_of(sam)
    assert "n-0" in text_of(desk.get(f"{HERE}?code=effect_failed&step=pay&capability=note.pay&agent=clerk"))
    assert "No dead letter matches" in text_of(desk.get(f"{HERE}?code=timeout"))
    assert "n-0" in text_of(desk.get(f"{HERE}?code=nonsense&age=x&before=y"))


def test_sending_on_is_reviewed_first_and_then_confirmed_with_a_reason(stuck, sam, browser_of):
    desk = browser_of(sam)
    ids = [letter.id for letter in letters(sam)]
    reviewed = text_of(desk.post(f"{HERE}review/", {"id": ids}))
    assert "Send on 2 dead letters" in reviewed
    assert "nothing has happened yet" in reviewed

    missing = desk.post(f"{HERE}redrive/", {"id": ids, "reason": ""})
    assert missing.status_code == 422
    assert "Send on 2 dead letters" in text_of(missing)
    assert len(heard) == 2

    told = text_of(desk.post(f"{HERE}redrive/", {"id": ids[:1], "reason": "the account is open again"}))
    assert "1 sent on" in told
    house.drive(*stuck)
    assert sorted(run.status for run in stuck) == [Run.Status.COMPLETED, Run.Status.WAITING_REVIEW]


def test_the_button_of_one_row_reviews_that_one_alone(stuck, sam, browser_of):
    ids = [letter.id for letter in letters(sam)]
    page = text_of(browser_of(sam).post(f"{HERE}review/", {"id": ids, "only": ids[1]}))

    assert "Send on 1 dead letter" in page
    assert ids[0] not in page


def test_all_that_match_are_reviewed_together_and_what_needs_a_person_stays(stuck, sam, browser_of):
    says["test.pay"] = EffectUnknown("no answer")
    house.answers["plan"] = Done({"pay": asked("note.pay", "N-9")}, confidence=0.9)
    lost = house.submit(sam, {"id": "lost"})
    house.drive(lost)

    desk = browser_of(sam)
    reviewed = text_of(desk.post(f"{HERE}review/", {"all": "on"}))
    assert "Send on 2 dead letters" in reviewed
    assert "It may have happened. Open it and say what you found." in reviewed
    told = text_of(desk.post(f"{HERE}redrive/", {"id": [str(item_of(lost).pk)], "reason": "try anyway"}))
    assert "needs_statement" in told
    house.drive(lost)
    assert len(heard) == 3


def test_nothing_is_changed_by_looking(stuck, sam, browser_of):
    desk = browser_of(sam)
    for path in ("review/", "redrive/"):
        assert desk.get(HERE + path).status_code == 405
    assert ReviewItem.objects.filter(settled_at__isnull=True).count() == 2


def test_who_may_only_look_gets_no_button_and_is_refused(stuck, quinn, browser_of):
    desk = browser_of(quinn)
    page = text_of(desk.get(HERE))
    assert "n-0" in page
    assert "Re-drive …" not in page

    told = text_of(desk.post(f"{HERE}redrive/", {"id": [letters(quinn)[0].id], "reason": "x"}))
    assert "forbidden" in told


def test_strangers_see_an_empty_list_and_what_they_guess_is_not_there(stuck, sam, person, browser_of):
    ids = [letter.id for letter in letters(sam)]
    desk = browser_of(person("mallory", "Visitors"))

    assert "Nothing is stuck" in text_of(desk.get(HERE))
    assert "None of these can be sent on" in text_of(desk.post(f"{HERE}review/", {"id": ids}))
    told = text_of(desk.post(f"{HERE}redrive/", {"id": ids, "reason": "x"}))
    assert told.count("not_found") == 2
    assert "n-0" not in told


def test_the_queries_do_not_grow_with_the_letters(furnish, sam, browser_of, django_assert_max_num_queries):
    furnish()
    refused(sam, 1)
    desk = browser_of(sam)
    desk.get(HERE)
    with django_assert_max_num_queries(40) as few:
        desk.get(HERE)
    refused(sam, 6, "m")
    with django_assert_max_num_queries(len(few)):
        desk.get(HERE)


def test_the_live_part_answers_304_while_nothing_changes(stuck, sam, browser_of):
    desk = browser_of(sam)
    first = desk.get(f"{HERE}?part=list")

    assert desk.get(f"{HERE}?part=list", headers={"If-None-Match": first["ETag"]}).status_code == 304


# --- API -----------------------------------------------------------------------------------------


def test_the_api_lists_and_sends_on(stuck, sam):
    client = client_of(sam)
    found = client.get("/api/v1/dead-letters?code=effect_failed&older_than=1s").json()
    assert found == {"dead_letters": [], "next": ""}
    found = client.get("/api/v1/dead-letters?code=effect_failed").json()["dead_letters"]
    assert [one["code"] for one in found] == ["effect_failed"] * 2
    assert {one["queue"] for one in found} == {"people"}

    assert post(client, f"dead-letters/{found[0]['id']}/redrive", {"reason": "mended"}).status_code == 202
    answer = post(client, "dead-letters/redrive", {"ids": [one["id"] for one in found], "reason": "mended"}).json()
    assert [(one["outcome"], one["code"]) for one in answer["results"]] == [("refused", "item_settled"), ("done", "")]
    house.drive(*stuck)
    assert {run.status for run in stuck} == {Run.Status.COMPLETED}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"reason": "x"}, "/ids"), ({"ids": "all", "reason": "x"}, "/ids"), ({"ids": ["a"]}, "/reason"),
        ({"ids": ["a"], "reason": 3}, "/reason"), ({"ids": ["a"], "reason": "x", "force": True}, "/force"),
        ({"ids": [], "reason": "x"}, "/ids"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_its_place(stuck, sam, body, pointer):
    answer = post(client_of(sam), "dead-letters/redrive", body)

    assert answer.status_code == 422
    assert pointer in json.dumps(answer.json())


def test_a_guessed_id_is_not_found_over_the_api(stuck, sam, person):
    mallory = client_of(person("mallory", "Visitors"))
    [first, _] = letters(sam)

    answers = {
        (answer.status_code, answer.content)
        for guess in (first.id, "x", f"{stuck[0].pk}.{stuck[0].seq}", f"{UUID(int=0)}.3", "0.0", f"{first.id}.99999999999")
        for answer in [post(mallory, f"dead-letters/{guess}/redrive", {"reason": "x"})]
    }

    assert [code for code, _ in answers] == [404]  # and all of them alike


def test_a_statement_is_made_over_the_api(furnish, sam, olivia):
    furnish()
    says["test.pay"] = EffectUnknown("no answer")
    run = house.submit(sam)
    house.drive(run)
    path = f"review-items/{item_of(run).pk}/statement"

    assert post(client_of(olivia), path, {"outcome": "happened", "reason": "x"}).status_code == 403
    assert post(client_of(sam), path, {"outcome": "maybe", "reason": "x"}).status_code == 422
    said = {"outcome": "happened", "reason": "books", "reference": "B-7", "result": {"receipt": 7}}
    assert post(client_of(sam), path, said).status_code == 202
    house.drive(run)
    assert run.status == Run.Status.COMPLETED
    assert post(client_of(sam), path, said).status_code == 409


# --- command line --------------------------------------------------------------------------------


def test_the_command_lists_and_sends_on_as_a_person(stuck, sam):
    code, out, _ = aegis("list", "--as", "sam", "--code", "effect_failed")
    ids = [line.split()[0] for line in out.splitlines()]
    assert (code, len(ids)) == (0, 2)

    code, out, err = aegis("redrive", *ids, "--as", "sam", "--reason", "mended")
    assert (code, out.count(" done")) == (0, 2)
    assert "2 sent on, 0 refused." in err
    code, out, _ = aegis("redrive", *ids, "--as", "sam", "--reason", "mended")
    assert (code, out.count("item_settled")) == (1, 2)
    house.drive(*stuck)
    assert {run.status for run in stuck} == {Run.Status.COMPLETED}


def test_the_command_sends_on_all_that_the_filters_find(stuck, sam):
    assert aegis("redrive", "--all", "--as", "sam", "--reason", "mended", "--step", "plan")[2] == "Nothing is stuck.\n"
    assert aegis("redrive", "--all", "--as", "sam", "--reason", "mended", "--step", "pay")[0] == 0
    house.drive(*stuck)
    assert {run.status for run in stuck} == {Run.Status.COMPLETED}


def test_the_command_knows_no_way_around_the_rights(stuck, quinn, root):
    assert aegis("list", "--as", "root")[1] == ""
    ids = [letter.id for letter in letters(quinn)]
    assert aegis("redrive", *ids, "--as", "quinn", "--reason", "x")[1].count("forbidden") == 2
    assert aegis("list")[0] == 2
    assert aegis("redrive", "--as", "quinn", "--reason", "x")[0] == 2


def test_a_compensation_that_failed_is_sent_on_where_it_stopped(furnish, sam):
    furnish([*PAY, {"id": "more", "act": "steps.plan.output.more", "on_failure": {"denied": "compensate"}}])
    house.answers["plan"] = Done({"pay": asked("note.pay"), "more": asked("note.more")}, confidence=0.9)
    regrant("clerk", note__more="", note__refund="")
    run = house.submit(sam)
    house.drive(run)
    house.drive(run)
    regrant("clerk", note__refund="allow")

    assert aegis("redrive", "--all", "--as", "sam", "--reason", "the refund is granted")[0] == 0
    house.drive(run)

    assert run.status == Run.Status.FAILED
    assert [request.key for request in heard] == [f"{run.pk}/pay/1/0", f"{run.pk}/pay/1/0/undo"]
