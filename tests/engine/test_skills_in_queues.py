"""Skills inside a queue: a step asks for one, the queue says who has it, and nobody else works on the item."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aegis.core.actors import SYSTEM
from aegis.core.errors import AegisError, Forbidden
from aegis.core.kinds import document_key
from aegis.identity import people
from aegis.identity.models import User
from approvals import changes
from audit import verify
from orchestration.agents.protocol import Abstain
from orchestration.engine import queue_alarms, reviews
from orchestration.engine.models import QueueSkill, ReviewItem, ReviewQueue, Run
from orchestration.engine.queue_alarms import QueueAlarm
from orchestration.pages import reviewboard
from tests.engine import house

pytestmark = pytest.mark.django_db(transaction=True)

LAW = {"law": ["Lawyers"]}


@pytest.fixture
def lena(person: Callable[..., User]) -> User:
    """Works on the queue and knows the law."""
    return person("lena", "Support leads", "Lawyers")


@pytest.fixture
def ludo(person: Callable[..., User]) -> User:
    """Knows the law, and does not work on the queue."""
    return person("ludo", "Lawyers")


def queue_document(skills: Any = None, name: str = "people", groups: tuple[str, ...] = ("Support leads",)) -> dict[str, Any]:
    spec: dict[str, Any] = {"groups": [*groups], "service_time": "4h", "owner": "Support leads"}
    return house.document("ReviewQueue", name, spec | ({"skills": skills} if skills is not None else {}))


def steps(skill: str = "law", **more: Any) -> list[dict[str, Any]]:
    return [{"id": "write", "agent": "clerk", "output": "anything@1", **({"skill": skill} if skill else {}), **more}]


def furnish(skills: Any = LAW, *, written: Any = None, of_run: Any = None, extra: Any = ()) -> None:
    documents = house.documents(steps=written if written is not None else steps())
    next(one for one in documents if one["kind"] == "Workflow")["spec"].update(of_run or {})
    kept = [one for one in documents if one["kind"] != "ReviewQueue"]
    house.bootstrap([*kept, queue_document(skills), *extra])


def waiting(person: User) -> ReviewItem:
    house.answers["write"] = Abstain("I do not know")
    run = house.submit(person)
    house.drive(run)
    house.answers.clear()
    return ReviewItem.objects.get(run=run)


def claim(item: ReviewItem, person: User) -> ReviewItem:
    return reviews.claim(item.pk, person=person, auth="session")


def opened(item: ReviewItem) -> dict[str, Any]:
    from audit import chain
    from audit.models import Event

    event = Event.objects.get(stream=item.run.stream, type="review.opened")
    found: dict[str, Any] = chain.read_line(event.line)["data"]
    return found


def alarms() -> list[QueueAlarm]:
    return queue_alarms.of_one(ReviewQueue.objects.get(name="people"))


def propose(document: dict[str, Any], author: User) -> Any:
    changed = [(document_key(document), document)]
    return changes.propose(changed, author=author, actor=house.actor_for(author), reason="test")


def test_who_works_there_and_has_the_skill_claims_and_nobody_else(ada: User, sam: User, lena: User, ludo: User) -> None:
    furnish()
    item = waiting(sam)

    assert (item.skill, opened(item)["skill"]) == ("law", "law")
    with pytest.raises(Forbidden, match=r"“law”.*Lawyers"):
        claim(item, sam)
    with pytest.raises(AegisError) as hidden:
        claim(item, ludo)
    assert hidden.value.http_status == 404, "the skill alone opens no queue"
    assert claim(item, lena).claimed_by == lena


def test_a_skill_that_another_queue_gives_somebody_counts_only_there(
    ada: User, sam: User, lena: User, person: Callable[..., User]
) -> None:
    """Two queues know “law”, each of other people; working on both queues makes nobody a lawyer of both."""
    nora = person("nora", "Support leads", "Notaries")
    furnish(extra=[queue_document({"law": ["Notaries"]}, "registry")])
    item = waiting(sam)

    with pytest.raises(Forbidden, match=r"“law”.*Lawyers"):
        claim(item, nora)
    assert not ReviewItem.objects.visible_to(nora, "operate").exists()
    assert claim(item, lena).claimed_by == lena


def test_a_skill_that_people_of_another_queue_have_is_no_answer_to_the_alarm(
    ada: User, sam: User, lena: User, person: Callable[..., User]
) -> None:
    person("nora", "Support leads", "Notaries")
    furnish(extra=[queue_document({"law": ["Notaries"]}, "registry")])
    waiting(sam)
    people.remove_from_group(lena.pk, "Lawyers", actor=SYSTEM, reason="moved")

    assert [alarm.code for alarm in alarms()] == ["nobody_skilled"]


@pytest.mark.parametrize("verb", ["complete", "retry", "cancel"])
def test_no_way_out_of_an_item_passes_by_the_skill(ada: User, sam: User, lena: User, verb: str) -> None:
    furnish()
    item = waiting(sam)
    more = {"output": {}} if verb == "complete" else {}

    with pytest.raises(Forbidden, match="“law”"):
        getattr(reviews, verb)(item.pk, person=sam, auth="session", reason="because", **more)
    getattr(reviews, verb)(item.pk, person=lena, auth="session", reason="because", **more)


def test_an_item_that_asks_for_nothing_is_for_everybody_who_works_there(ada: User, sam: User, lena: User) -> None:
    furnish(written=steps(""))
    item = waiting(sam)

    assert (item.skill, "skill" in opened(item)) == ("", False), "events of workflows without skills are as they were"
    assert claim(item, sam).claimed_by == sam


def test_the_count_of_what_one_can_take_leaves_out_what_asks_for_more(ada: User, sam: User, lena: User) -> None:
    from aegis.portal.counts import my_review_items

    furnish()
    waiting(sam)

    assert (my_review_items(sam).count(), my_review_items(lena).count()) == (0, 1)


def test_who_loses_the_skill_loses_the_item_at_once(ada: User, sam: User, lena: User) -> None:
    furnish()
    item = waiting(sam)
    claim(item, lena)
    people.remove_from_group(lena.pk, "Lawyers", actor=SYSTEM, reason="moved")

    with pytest.raises(Forbidden, match="“law”"):
        reviews.complete(item.pk, person=lena, auth="session", reason="done", output={})
    (alarm,) = alarms()
    assert (alarm.code, alarm.count, "“law”" in alarm.words) == ("nobody_skilled", 1, True)


def test_people_who_are_gone_or_do_not_work_there_are_no_answer_to_the_alarm(
    ada: User, sam: User, lena: User, ludo: User
) -> None:
    furnish()
    waiting(sam)
    assert alarms() == []
    User.objects.filter(pk=lena.pk).update(is_active=False)

    assert [alarm.code for alarm in alarms()] == ["nobody_skilled"], "ludo knows the law and does not work here"


def test_an_item_of_a_skill_that_the_queue_knows_no_more_is_nobodys_and_an_alarm(ada: User, sam: User, lena: User) -> None:
    furnish()
    QueueSkill.objects.all().delete()  # behind change control's back
    item = waiting(sam)

    assert (item.skill, opened(item)["skill"]) == ("law", "law")
    for person in (sam, lena):
        with pytest.raises(Forbidden, match=r"“law”.*nobody any more"):
            claim(item, person)
    assert [(alarm.code, alarm.count) for alarm in alarms()] == [("nobody_skilled", 1)]


def test_the_fallback_knows_the_skill_of_every_step(ada: User, sam: User, lena: User) -> None:
    """It takes whatever nobody named a queue for, and would keep it for nobody."""
    with pytest.raises(AssertionError, match="nobody in 'people' is known to have the skill 'law'"):
        furnish(None, written=steps(on_failure={"abstained": {"queue": "experts"}}), extra=[queue_document(LAW, "experts")])


@pytest.mark.parametrize(
    ("step", "of_run"),
    [
        ({"on_failure": {"abstained": {"queue": "night"}}}, {}),
        ({"confidence_below": {"value": 0.8, "queue": "night"}}, {}),
        ({"id": "look", "review": "night", "output": "anything@1"}, {}),
        ({}, {"deadline": "2h", "on_deadline": {"queue": "night"}}),
    ],
    ids=["failure", "confidence", "review", "deadline of the run"],
)
def test_every_queue_that_a_step_may_lead_to_knows_its_skill(
    ada: User, sam: User, lena: User, step: dict[str, Any], of_run: dict[str, Any]
) -> None:
    """The fallback knows it here; the other queue does not."""
    written = [{**step, "skill": "law"}] if "review" in step else steps(**step)
    with pytest.raises(AssertionError) as refused:
        furnish(written=written, of_run=of_run, extra=[queue_document(name="night")])
    assert "nobody in 'night' is known to have the skill 'law'" in str(refused.value)
    assert "'people'" not in str(refused.value)


def test_a_skill_that_a_published_workflow_asks_for_stays(ada: User, sam: User, lena: User) -> None:
    furnish()

    with pytest.raises(AegisError) as refused:
        propose(queue_document({}), ada)
    said = " ".join(f"{fault.where} {fault.what}" for fault in refused.value.faults)
    assert "notes" in said
    assert "known to have the skill 'law'" in said


def test_a_skill_that_only_runs_under_way_may_ask_for_stays_until_they_end(ada: User, sam: User, lena: User) -> None:
    furnish()
    run = house.submit(sam)
    unasking = next(one for one in house.documents(steps=steps("")) if one["kind"] == "Workflow")
    propose(unasking, ada)

    with pytest.raises(AegisError) as refused:
        propose(queue_document({}), ada)
    assert ["the skill 'law' (notes version 1)" in fault.what for fault in refused.value.faults] == [True]
    house.drive(run)
    propose(queue_document({}), ada)
    assert not QueueSkill.objects.exists()


@pytest.mark.parametrize(
    ("skills", "said"),
    [({}, "it knows none"), ({"tax": ["Lawyers"]}, "it knows tax")],
)
def test_a_workflow_that_asks_for_what_no_queue_knows_is_not_published(
    ada: User, sam: User, lena: User, skills: Any, said: str
) -> None:
    with pytest.raises(AssertionError, match="known to have the skill 'law'") as refused:
        furnish(skills)
    assert said in str(refused.value)


def test_a_queue_whose_people_lack_the_skill_is_not_published(ada: User, sam: User, ludo: User) -> None:
    with pytest.raises(AssertionError, match="nobody who works on this queue has it"):
        furnish()


def test_a_skill_of_an_unknown_group_is_refused(ada: User, sam: User, lena: User) -> None:
    with pytest.raises(AssertionError, match="no group 'Nobody knows'"):
        furnish({"law": ["Nobody knows"]})


def test_the_rows_of_skills_are_what_the_document_says(ada: User, sam: User, lena: User) -> None:
    furnish({"law": ["Lawyers"], "notes": ["Support leads", "Lawyers"]})

    rows = QueueSkill.objects.order_by("name", "group__name").values_list("queue__name", "name", "group__name")
    assert list(rows) == [
        ("people", "law", "Lawyers"), ("people", "notes", "Lawyers"), ("people", "notes", "Support leads"),
    ]  # fmt: skip


def test_the_list_filters_by_skill_and_says_its_order(ada: User, sam: User, lena: User, browser_of: Any) -> None:
    furnish()
    item = waiting(sam)

    page = browser_of(sam).get("/review/?skill=law").content.decode()
    assert "Priority, then due, then oldest" in page
    assert str(item.pk) in page
    assert str(item.pk) not in browser_of(sam).get("/review/?skill=tax").content.decode()
    shown = browser_of(sam).get(f"/review/{item.pk}/").content.decode()
    assert "who also are in Lawyers (skill “law”)" in shown


def test_items_come_by_tier_then_due_then_age(ada: User, sam: User, lena: User) -> None:
    from datetime import timedelta

    furnish()
    items = [waiting_as(sam, f"n-{number}") for number in range(4)]
    at = items[0].due_at
    for item, tier, due, age in zip(items, (3, 1, 1, 1), (0, 2, 1, 1), (0, 0, 2, 1), strict=True):
        Run.objects.filter(pk=item.run_id).update(priority=tier)
        ReviewItem.objects.filter(pk=item.pk).update(due_at=at + timedelta(hours=due), opened_at=at + timedelta(minutes=age))

    def shown(order: str) -> list[int]:
        (view,) = reviewboard.board(sam, reviewboard.Filters(order=order)).queues
        return [[item.pk for item in items].index(row.item.pk) for row in view.rows]

    assert shown("") == [3, 2, 1, 0]
    assert shown("due") == [0, 3, 2, 1]


def waiting_as(person: User, key: str) -> ReviewItem:
    house.answers["write"] = Abstain("I do not know")
    run = house.submit(person, {"id": key})
    house.drive(run)
    return ReviewItem.objects.get(run=run)


def test_the_record_verifies_with_skills_on_it(ada: User, sam: User, lena: User) -> None:
    furnish()
    claim(waiting(sam), lena)

    assert verify.verify().problems == []


def test_a_skill_that_an_open_item_asks_for_stays(ada: User, sam: User, lena: User) -> None:
    furnish()
    waiting(sam)

    with pytest.raises(AegisError) as refused:
        propose(queue_document({}), ada)
    assert "open items ask for the skill 'law'" in " ".join(fault.what for fault in refused.value.faults)


def test_nobody_gives_a_skill_to_himself(ada: User, sam: User, lena: User, person: Callable[..., User]) -> None:
    furnish()
    people.add_to_group(ada.pk, "Support leads", actor=SYSTEM, reason="test")

    with pytest.raises(Forbidden, match="you are in it"):
        propose(queue_document({"law": ["Lawyers", "Admins"]}), ada)
    assert not QueueSkill.objects.filter(group__name="Admins").exists()
