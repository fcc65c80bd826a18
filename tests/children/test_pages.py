"""The family of a run on its page, in the list, and over the API."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from orchestration.engine.models import Run
from orchestration.pages import runlist
from tests.children.house import ask, children, documents, drive
from tests.engine import house

pytestmark = pytest.mark.django_db(transaction=True)

LOOK = {"id": "look", "review": "people", "output": "anything@1"}


@pytest.fixture
def run(starter, sam):
    house.bootstrap(documents({"id": "both", "parallel": {"quick": {"steps": [ask("first")]}, "slow": {"steps": [LOOK]}}}))
    run = house.submit(starter)
    drive(run)
    return run


def page(person, run):
    client = Client()
    client.force_login(person)
    answer = client.get(f"/runs/{run.pk}/")
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_run_shows_its_children_and_each_leads_back(run, starter):
    quick, slow = children(run)

    shown = page(starter, run)
    for child, part in ((quick, "branch quick"), (slow, "branch slow")):
        assert f'href="/runs/{child.pk}/"' in shown
        assert part in shown
    assert "both waits for its runs: 1 of 2 have ended" in shown
    assert "both: branch quick ended, completed" in " ".join(re.sub(r"<[^>]+>", "", shown).split())
    now = shown.split('id="now-t"')[1].split("</section>")[0]
    assert f'href="/runs/{slow.pk}/"' in now, "who can unblock it stands on the page of the part that is open"
    assert str(quick.pk) not in now

    shown = page(starter, slow)
    assert f'href="/runs/{run.pk}/"' in shown
    assert "waits for a person" in shown


def test_the_list_does_not_drown_in_children(run, starter):
    listed = [row.run.pk for row in runlist.page(starter, runlist.Filters()).rows]
    assert listed == [run.pk]

    waiting = [row.run.pk for row in runlist.page(starter, runlist.Filters(status="waiting_review")).rows]
    assert waiting == [children(run)[1].pk], "what waits for a person comes up where one looks for it"


def test_the_document_of_a_run_names_its_family(run, starter):
    from orchestration.api import RunSerializer

    child = Run.objects.select_related("workflow", "release").get(pk=children(run)[0].pk)

    document = RunSerializer(child).data
    assert (document["parent"], document["parent_step"], document["ordinal"]) == (run.pk, "both", 0)
