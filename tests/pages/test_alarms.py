"""Alarms of agents and queues on list, page and home; figures of agents; versions with what changed, by whom and why."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from aegis.core import clock
from aegis.core.actors import SYSTEM
from aegis.identity import people
from aegis.identity.models import User
from approvals import changes
from orchestration.agents.models import Agent
from orchestration.agents.protocol import Abstain, Done
from orchestration.engine import queue_alarms
from orchestration.engine.models import ReviewItem, ReviewQueue, Run
from orchestration.pages import agentfigures
from tests.engine import house
from tests.support import configuration as config

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk(person: Callable[..., User], ada: User, sam: User) -> User:
    """sam works on the queue of a house with one item in it; ada owns the clerk."""
    house.answers.clear()
    house.bootstrap(house.documents())
    house.answers["write"] = Abstain("I do not know")
    run = house.submit(sam)
    house.drive(run)
    return sam


def codes(queue: str = "people") -> list[str]:
    return [alarm.code for alarm in queue_alarms.of_one(ReviewQueue.objects.get(name=queue))]


def be_late() -> None:
    ReviewItem.objects.update(due_at=clock.now() - timedelta(minutes=5))


def test_work_over_its_service_time_is_an_alarm_on_list_page_and_home(desk: User, browser_of: Any):
    assert codes() == []
    be_late()
    assert codes() == ["overdue"]

    browser, said = browser_of(desk), "1 item is over the service time; Support leads answers for it."
    queue = ReviewQueue.objects.get()
    for page in ("/review/", "/", reverse("admin:orchestration_reviewqueue_change", args=[queue.pk])):
        assert said in browser.get(page).content.decode(), page


def test_what_a_halt_stopped_or_a_person_settled_is_not_late(desk: User):
    be_late()
    ReviewItem.objects.update(frozen_at=clock.now())
    assert codes() == []
    ReviewItem.objects.update(frozen_at=None, status="completed")
    assert codes() == []


def test_a_queue_that_nobody_works_on_or_answers_for_is_an_alarm(desk: User):
    people.disable_person(desk.pk, actor=SYSTEM, reason="left")
    assert codes() == ["nobody_works", "nobody_answers"]


def test_who_does_not_see_the_queue_sees_no_alarm_of_it(desk: User, person: Callable[..., User]):
    be_late()
    assert queue_alarms.of_all(person("zed")) == []
    assert [alarm.count for alarm in queue_alarms.of_all(desk)] == [1]


def test_an_agent_whose_owner_left_is_an_alarm_on_list_page_and_home(desk: User, ada: User, quinn: User, browser_of: Any):
    people.create_person("eve", groups=["Admins"], actor=SYSTEM, reason="somebody must be left who may edit access")
    people.disable_person(ada.pk, actor=SYSTEM, reason="left")

    browser, agent = browser_of(quinn), Agent.objects.get()
    assert "owner left" in browser.get(reverse("admin:orchestration_agent_changelist")).content.decode()
    for page in ("/", reverse("admin:orchestration_agent_change", args=[agent.pk])):
        assert "has left: nobody answers for it" in browser.get(page).content.decode(), page


def test_figures_count_the_answers_that_the_reader_may_see(desk: User, ada: User, person: Callable[..., User]):
    house.answers["write"] = Done({"note": house.NOTE}, confidence=0.9)
    run = house.submit(desk, {"id": "n-2"})
    house.drive(run)
    house.answers["write"] = RuntimeError("it broke")
    broken = house.submit(desk, {"id": "n-3"})
    house.drive(broken)

    seen = agentfigures.of(ada, ["clerk"])["clerk"]
    assert (seen.done, seen.unsure, seen.failed, seen.success) == (1, 1, 1, 33)
    hidden = agentfigures.of(person("zed"), ["clerk"])["clerk"]
    assert (hidden.calls, hidden.success) == (0, None)


def test_the_list_of_agents_costs_the_same_however_many(desk: User, quinn: User, browser_of: Any):
    url, browser = reverse("admin:orchestration_agent_changelist"), browser_of(quinn)
    browser.get(url)
    with CaptureQueriesContext(connection) as one:
        browser.get(url)
    row = Agent.objects.get()
    for number in range(20):
        row.pk, row.name = uuid4(), f"clerk-{number}"
        row.save(force_insert=True)
    with CaptureQueriesContext(connection) as many:
        assert browser.get(url).content.decode().count("clerk-") >= 20
    assert len(many) == len(one)


def test_history_tells_each_version_in_words_with_person_and_reason(desk: User, ada: User, browser_of: Any):
    agent = config.document("Agent", "clerk", {"owner": "ada", "roles": ["clerk"], "connector": {"python": "test.scripted"},
                                               "settings": {"window_days": 14}})  # fmt: skip
    changes.propose(config.keyed([agent]), author=ada, actor=house.actor_for(ada), reason="a longer window")
    row = Agent.objects.get()
    shown = browser_of(ada).get(reverse("admin:orchestration_agent_history", args=[row.pk])).content.decode()
    assert "a longer window" in shown
    assert "window_days" in shown
    assert "Ada" in shown


def test_items_stand_by_the_priority_of_their_runs_or_by_service_time(desk: User, browser_of: Any):
    house.answers["write"] = Abstain("I do not know")
    urgent = house.submit(desk, {"id": "n-urgent"})
    house.drive(urgent)
    Run.objects.filter(pk=urgent.pk).update(priority=1)
    ReviewItem.objects.filter(run=urgent).update(due_at=clock.now() + timedelta(hours=9))

    def shown(query: str) -> list[Any]:
        return [row.item.run_id for row in browser_of(desk).get(f"/review/{query}").context["board"].queues[0].rows]

    assert shown("")[0] == urgent.pk
    assert shown("?order=due")[-1] == urgent.pk
    assert shown("?order=nonsense") == shown("")
