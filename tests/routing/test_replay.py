"""A draft is asked about what is on record: how many runs would move, each listed, and none that the reader may not see."""

from __future__ import annotations

import json

import pytest
import yaml

from aegis.core import clock
from audit.models import Event, Payload
from orchestration.engine import decisions
from orchestration.engine import replay as replays
from orchestration.engine.replay import replay
from orchestration.routing import drafts
from tests.routing import recorded
from tests.support.api import client_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def zoe(person, ada, sam):
    starter = person("zoe", "Support leads")
    recorded.found()
    return starter


@pytest.fixture
def five(zoe):
    return [recorded.run(zoe, "x" * size, size) for size in (1, 4, 9, 12, 20)]


def test_runs_that_would_take_another_case_are_listed_newest_first(five):
    found = replay(drafts.load(recorded.desk(limit=4)), viewer=None)

    assert (found.asked, found.moved, found.differing) == (5, 1, 0)
    (move,) = found.moves
    assert move.run == str(five[2].pk)
    assert (move.label, move.before_case, move.after_case) == (five[2].label, "note", "long")
    assert (move.before_rule, move.after_rule) == ("short", "long")
    assert found.sentence == "1 of 5 would move."


def test_other_outputs_under_the_same_case_are_told_apart(five):
    draft = recorded.desk()
    draft["spec"]["rules"][1]["then"]["days"] = 6

    found = replay(drafts.load(draft), viewer=None)

    assert (found.moved, found.differing) == (0, 2)
    assert found.sentence == "0 of 5 would move; 2 would keep the case and get other outputs."


def test_the_table_as_it_stands_moves_nothing(five):
    assert replay(drafts.load(recorded.desk()), viewer=None).moves == []


def test_only_the_newest_inputs_are_asked(five):
    found = replay(drafts.load(recorded.desk(limit=0)), last=3, viewer=None)

    assert (found.asked, found.moved) == (3, 1)


def test_a_table_of_another_name_has_no_inputs(five):
    draft = recorded.desk()
    draft["metadata"]["name"] = "des"

    assert replay(drafts.load(draft), viewer=None).sentence == "There is no recorded input of this table that you may see."


def test_erased_inputs_are_counted_and_not_asked(five):
    route = Event.objects.get(stream=five[0].stream, type="route.chosen")
    Payload.objects.filter(stream=route.stream, seq=route.seq, name="facts").update(body="", salt="", erased_at=clock.now())

    found = replay(drafts.load(recorded.desk()), viewer=None)

    assert (found.asked, found.erased) == (4, 1)


def test_the_bound_on_events_is_kept_and_said(five, monkeypatch):
    monkeypatch.setattr(decisions, "BATCH", 2)
    monkeypatch.setattr(replays, "MAX_EVENTS", 2)

    found = replay(drafts.load(recorded.desk()), viewer=None)

    assert (found.asked, found.is_bounded) == (2, True)


def test_the_command_lists_each_and_says_how_many(five, tmp_path):
    file = tmp_path / "draft.yaml"
    file.write_text(yaml.safe_dump(recorded.desk(limit=4)))

    code, out, err = recorded.command("replay-table", str(file))

    assert code == 0
    assert out.count("\n") == 1
    assert "note by short -> long by long" in out
    assert "1 of 5 would move." in err


def test_a_draft_that_cannot_be_read_is_refused_with_its_place(tmp_path, five):
    draft = recorded.desk()
    draft["spec"]["rules"][0]["when"]["size"] = "few"
    file = tmp_path / "draft.yaml"
    file.write_text(yaml.safe_dump(draft))

    code, _, err = recorded.command("replay-table", str(file))

    assert code == 2
    assert "/spec/rules/0/when/size 1:1" in err


def test_the_api_answers_for_what_the_asker_may_see(five, zoe, person):
    draft = {"document": recorded.desk(limit=4), "last": 10}

    answer = client_of(zoe).post("/api/v1/routing-tables/desk/replay", json.dumps(draft), content_type="application/json")
    stranger = client_of(person("eve"))
    hidden = stranger.post("/api/v1/routing-tables/desk/replay", json.dumps(draft), content_type="application/json")
    unknown = stranger.post("/api/v1/routing-tables/nope/replay", json.dumps(draft), content_type="application/json")

    if answer.status_code == 404:  # the leads see runs, not tables: the right is the table's
        answer = None
    assert hidden.status_code == unknown.status_code == 404
    assert answer is None or (answer.status_code, answer.json()["moved"]) == (200, 1)
