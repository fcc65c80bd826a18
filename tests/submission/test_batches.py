"""Many runs at once over the API: all or each, keys per item and for the batch, faults with their place."""

from __future__ import annotations

import json

import pytest

from audit import journal
from audit.models import Event
from orchestration.engine import verbs
from orchestration.engine.models import Run, SubmittedBatch
from tests.api.test_runs_api import assert_problem
from tests.engine import house
from tests.submission.conftest import batch, items
from tests.support.api import client_of

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_batch_makes_runs_in_one_transaction_and_answers_in_order(client):
    made = batch(client, items(3))

    assert made.status_code == 201
    answer = made.json()
    assert (answer["new"], answer["known"], answer["refused"]) == (3, 0, 0)
    assert [result["run"]["business_key"] for result in answer["results"]] == ["n-0", "n-1", "n-2"]
    assert all(result["is_new"] and result["problem"] is None for result in answer["results"])
    assert {run.submitted_at for run in Run.objects.all()} == {Run.objects.first().submitted_at}
    assert journal.verify().is_good


def test_runs_of_a_batch_are_driven_like_any_other(client):
    batch(client, items(2))
    runs = list(Run.objects.all())

    house.drive(*runs)

    assert Run.Status.RUNNING not in {run.status for run in runs}
    assert journal.verify().is_good


def test_by_default_one_bad_item_refuses_all_with_its_pointer(client):
    bad = [*items(2), {"input": {"id": 7}}, {"input": {"text": "no id"}}]

    document = assert_problem(batch(client, bad), 422, "input_refused")

    assert [fault["where"] for fault in document["faults"]] == ["/items/2/input/id", "/items/3/input/id"]
    assert "2 of 4 items" in document["detail"]
    assert Run.objects.count() == 0
    assert Event.objects.filter(type="run.refused").count() == 1


def test_in_mode_each_the_good_ones_start_and_the_others_are_told_why(client):
    bad = [{"input": {"id": "a"}}, {"input": {"id": 7}}, {"input": {"id": "c"}, "idempotency_key": "x" * 121}]

    answer = batch(client, bad, mode="each")

    assert answer.status_code == 201
    assert (answer.json()["new"], answer.json()["refused"]) == (1, 2)
    first, second, third = answer.json()["results"]
    assert first["run"]["business_key"] == "a"
    assert (second["run"], second["problem"]["code"]) == (None, "input_refused")
    assert second["problem"]["faults"][0]["where"] == "/id"
    assert third["problem"]["code"] == "invalid"
    assert Event.objects.filter(type="run.refused").count() == 1


def test_the_key_of_a_batch_answers_with_the_same_runs(client):
    first = batch(client, items(3), key="b-1")
    again = batch(client, items(3), key="b-1")

    assert (first.status_code, again.status_code) == (201, 200)
    assert [one["run"]["id"] for one in first.json()["results"]] == [one["run"]["id"] for one in again.json()["results"]]
    assert again.json()["known"] == 3
    assert Run.objects.count() == 3


@pytest.mark.parametrize("other", [items(2), items(4), items(3, first=9), [{"input": {"id": "n-0"}, "idempotency_key": "k"}]])
def test_the_key_of_a_batch_with_another_body_is_refused(client, other):
    batch(client, items(3), key="b-1")

    assert_problem(batch(client, other, key="b-1"), 422, "idempotency_mismatch")
    assert Run.objects.count() == 3


def test_the_key_of_a_batch_binds_its_mode_and_its_sender(client, person):
    batch(client, items(2), key="b-1")

    assert_problem(batch(client, items(2), key="b-1", mode="each"), 422, "idempotency_mismatch")
    assert batch(client_of(person("mia", "Support leads")), items(2), key="b-1").status_code == 201


def test_keys_of_items_mean_what_they_mean_singly(client):
    single = client.post(
        "/api/v1/runs", {"workflow": "notes", "input": {"id": "n-0"}}, format="json", headers={"Idempotency-Key": "k-0"}
    )
    keyed = [{**item, "idempotency_key": f"k-{number}"} for number, item in enumerate(items(2))]

    answer = batch(client, keyed).json()

    assert (answer["new"], answer["known"]) == (1, 1)
    assert answer["results"][0]["run"]["id"] == single.json()["id"]
    keyed[1]["input"] = {"id": "other"}
    document = assert_problem(batch(client, keyed), 422, "idempotency_mismatch")
    assert [fault["where"] for fault in document["faults"]] == ["/items/1"]


def test_a_key_twice_in_one_batch_is_one_run_or_a_mismatch(client):
    same = [{"input": {"id": "a"}, "idempotency_key": "k"}] * 2
    answer = batch(client, same).json()

    assert (answer["new"], answer["known"]) == (1, 1)
    assert Run.objects.count() == 1
    different = [{"input": {"id": "b"}, "idempotency_key": "m"}, {"input": {"id": "c"}, "idempotency_key": "m"}]
    assert_problem(batch(client, different), 422, "idempotency_mismatch")
    assert Run.objects.count() == 1


def test_a_repeated_submission_does_not_meet_a_contract_that_changed(client):
    made = batch(client, items(2), key="b-1").json()
    from orchestration.workflows import releases
    from orchestration.workflows.models import Workflow

    def gone(workflow: Workflow) -> None:
        raise releases.NotReleasable("its contract was removed")

    before = releases.release_for
    releases.release_for = gone
    try:
        again = batch(client, items(2), key="b-1")
    finally:
        releases.release_for = before

    assert again.status_code == 200
    assert [one["run"]["id"] for one in again.json()["results"]] == [one["run"]["id"] for one in made["results"]]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ([], "/"),
        ({"workflow": "notes"}, "/items"),
        ({"workflow": "notes", "items": []}, "/items"),
        ({"workflow": "notes", "items": [3]}, "/items/0"),
        ({"workflow": "notes", "items": [{"input": {}}, {}]}, "/items/1/input"),
        ({"workflow": "notes", "items": [{"input": {}, "key": "x"}]}, "/items/0/key"),
        ({"workflow": "notes", "items": [{"input": {}, "idempotency_key": 7}]}, "/items/0/idempotency_key"),
        ({"workflow": "notes", "items": [{"input": {}}], "mode": "some"}, "/mode"),
        ({"workflow": 3, "items": [{"input": {}}]}, "/workflow"),
        ({"workflow": "notes", "items": [{"input": {}}] * 1001}, "/items"),
    ],
)
def test_an_incomplete_batch_names_the_field(client, body, place):
    refused = client.post("/api/v1/runs/batch", json.dumps(body), content_type="application/json")

    assert place in [fault["where"] for fault in assert_problem(refused, 422, "invalid")["faults"]]
    assert Run.objects.count() == 0


def test_a_body_over_the_limit_is_refused_unread(client):
    huge = json.dumps({"workflow": "notes", "items": [{"input": {"id": "x" * 5_000_000}}]})

    assert_problem(client.post("/api/v1/runs/batch", huge, content_type="application/json"), 413, "too_large")


def test_faults_of_a_batch_are_bounded_and_say_how_many_more(client):
    document = assert_problem(batch(client, [{"input": {"id": number}} for number in range(500)]), 422, "input_refused")

    assert len(document["faults"]) == 100
    assert "401 more" in document["faults"][-1]["what"]


def test_hidden_and_unknown_workflows_look_the_same(client, olivia):
    stranger = client_of(olivia)

    hidden, unknown = batch(stranger, items(1)), batch(stranger, items(1), workflow="nowhere")

    assert_problem(hidden, 404, "not_found")
    assert hidden.content == unknown.content
    assert SubmittedBatch.objects.count() == 0


@pytest.mark.parametrize("key", ["", "x" * 111, "snow\u2603"])
def test_a_batch_key_that_cannot_be_kept_is_refused(client, key):
    assert_problem(batch(client, items(1), key=key), 422, "invalid")


def test_statements_of_a_batch_do_not_grow_with_its_items(client, zoe, django_assert_max_num_queries):
    actor = house.actor_for(zoe)

    def submit(count: int, first: int) -> None:
        work = [verbs.Submission({"id": f"q-{n}"}, f"q-{n}") for n in range(first, first + count)]
        verbs.submit_many("notes", work, person=zoe, actor=actor)

    submit(1, 0)
    with django_assert_max_num_queries(16) as few:
        submit(2, 10)
    with django_assert_max_num_queries(len(few)):
        submit(200, 100)
