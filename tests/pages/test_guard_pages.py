"""What holds work back: its page, the pages of what is guarded, home; and the forms that halt, resume and switch."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from aegis.core import clock
from aegis.core.actors import user_actor
from orchestration.agents.models import Agent
from orchestration.authority.models import Capability
from orchestration.engine.guards import standing, verbs
from orchestration.engine.guards.models import Breaker, Halt
from orchestration.engine.models import ReviewItem, ReviewQueue, Run
from orchestration.workflows.models import Workflow
from tests.engine import house
from tests.pages.conftest import text_of

pytestmark = pytest.mark.django_db(transaction=True)

WHY = "it writes nonsense to customers"


@pytest.fixture
def notes(furnish: Any) -> None:
    furnish(effect="allow")


@pytest.fixture
def halted(notes: None, zoe: Any, ada: Any) -> Run:
    """The clerk is halted by Ada; one run is held."""
    verbs.halt("agent", "clerk", actor=user_actor(ada.pk, auth="test"), reason=WHY)
    run = house.submit(zoe)
    house.drive(run)
    return run


def page_of(row: Any) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def post(client: Any, path: str, **data: Any) -> Any:
    return client.post(path, data, follow=True)


def test_a_quiet_page_says_so(notes: None, ada: Any, at_desk: Any) -> None:
    assert "Nothing holds work back" in text_of(at_desk(ada).get("/guards/"))


def test_a_halt_is_shown_with_reason_person_and_what_it_holds(halted: Run, ada: Any, at_desk: Any) -> None:
    text = text_of(at_desk(ada).get("/guards/"))

    assert halted.status == Run.Status.HELD
    assert WHY in text
    assert ada.display_name in text
    assert "holds 1 run" in text


def test_home_says_that_work_is_held_back(halted: Run, ada: Any, at_desk: Any) -> None:
    text = text_of(at_desk(ada).get("/"))

    assert "Work is held back" in text
    assert "agent clerk" in text


def test_home_does_not_say_that_a_closed_breaker_holds_work_back(furnish: Any, zoe: Any, ada: Any, at_desk: Any) -> None:
    furnish(effect="allow")
    house.answers["write"] = RuntimeError("down")
    house.drive(house.submit(zoe))

    text = text_of(at_desk(ada).get("/"))
    assert Breaker.objects.get().phase == "closed"
    assert "still closed: work goes on" in text
    assert "Work is held back" not in text


def test_the_run_page_says_why_it_is_held(halted: Run, zoe: Any, at_desk: Any) -> None:
    assert "somebody halted it" in text_of(at_desk(zoe).get(f"/runs/{halted.pk}/"))


@pytest.mark.parametrize(("model", "what"), [(Agent, "agent"), (Workflow, "workflow")])
def test_halting_from_the_page_of_what_is_halted(notes: None, ada: Any, at_desk: Any, model: Any, what: str) -> None:
    row = model.objects.get(name="clerk" if what == "agent" else "notes")
    ada_at_desk = at_desk(ada)
    assert 'name="what"' in text_of(ada_at_desk.get(page_of(row)))

    answer = post(ada_at_desk, "/guards/halt/", what=what, name=row.name, reason=WHY, next=page_of(row))

    assert Halt.objects.get().target == str(row.pk)
    assert answer.redirect_chain == [(page_of(row), 302)]
    assert WHY in text_of(answer)


def test_everything_can_be_halted_and_resumed(notes: None, ada: Any, at_desk: Any) -> None:
    ada_at_desk = at_desk(ada)

    for slip in ("", "agents", "every thing"):
        refused = post(ada_at_desk, "/guards/halt/", what="everything", name="", reason=WHY, confirm=slip)
        assert "to halt everything; nothing was halted" in text_of(refused)
    assert not Halt.objects.exists()
    post(ada_at_desk, "/guards/halt/", what="everything", name="", reason=WHY, confirm=" Everything ")
    halt = Halt.objects.get()
    answer = post(ada_at_desk, f"/guards/{halt.pk}/resume/", reason="mended", pace="7")

    halt.refresh_from_db()
    assert (halt.scope, halt.status, halt.pace) == ("everything", "lifted", 7)
    assert "7 runs a second" in text_of(answer)


@pytest.mark.parametrize("pace", ["0", "many", "1001", "-1", "²"])
def test_a_pace_that_is_none_is_refused_in_words(halted: Run, ada: Any, at_desk: Any, pace: str) -> None:
    answer = post(at_desk(ada), f"/guards/{Halt.objects.get().pk}/resume/", reason="mended", pace=pace)

    assert "whole number from 1 to 1,000" in text_of(answer)
    assert Halt.objects.get().status == "standing"


def test_no_reason_changes_nothing(notes: None, ada: Any, at_desk: Any) -> None:
    post(at_desk(ada), "/guards/halt/", what="agent", name="clerk", reason=" ")

    assert not Halt.objects.exists()


@pytest.mark.parametrize(("model", "kind", "name"), [(Agent, "agent", "clerk"), (Capability, "capability", "note.write")])
def test_a_breaker_is_opened_and_closed_by_hand(notes: None, ada: Any, at_desk: Any, model: Any, kind: str, name: str) -> None:
    ada_at_desk, page = at_desk(ada), page_of(model.objects.get(name=name))
    assert "Breaker closed" in text_of(ada_at_desk.get(page))

    opened = text_of(post(ada_at_desk, f"/guards/breakers/{kind}/{name}/open/", reason=WHY, next=page))
    closed = text_of(post(ada_at_desk, f"/guards/breakers/{kind}/{name}/close/", reason="mended", next=page))

    assert "until somebody closes it" in opened
    assert "Breaker closed" in closed
    assert Breaker.objects.get().phase == "closed"


def test_failures_that_opened_a_breaker_are_links_to_the_record(furnish: Any, zoe: Any, ada: Any, at_desk: Any) -> None:
    furnish(effect="allow")
    house.answers["write"] = RuntimeError("down")
    for number in range(12):
        house.drive(house.submit(zoe, {"id": f"n-{number}"}))

    text = text_of(at_desk(ada).get("/guards/"))

    assert Breaker.objects.get(key="agent:clerk").phase == "open"
    assert text.count('<a href="/audit/') >= 3


def test_who_may_not_halt_sees_who_may_and_has_no_button(halted: Run, zoe: Any, at_desk: Any) -> None:
    """Zoe operates the workflow, and nothing else."""
    text = text_of(at_desk(zoe).get("/guards/"))

    assert "Halt everything" not in text.replace("Halting everything", "")
    assert "Halting everything is for" in text
    assert at_desk(zoe).post("/guards/halt/", {"what": "everything", "reason": WHY}).status_code == 403
    assert Halt.objects.count() == 1


def test_who_sees_nothing_is_told_of_nothing(halted: Run, mallory: Any, at_desk: Any) -> None:
    text = text_of(at_desk(mallory).get("/guards/"))

    assert WHY not in text
    assert "clerk" not in text
    unknown = at_desk(mallory).post("/guards/halt/", {"what": "agent", "name": "nobody", "reason": WHY})
    hidden = at_desk(mallory).post("/guards/halt/", {"what": "agent", "name": "clerk", "reason": WHY})
    assert (unknown.status_code, hidden.status_code) == (404, 404)
    assert standing.standing(mallory).is_quiet


def test_a_get_never_halts(notes: None, ada: Any, at_desk: Any) -> None:
    assert at_desk(ada).get("/guards/halt/").status_code == 405
    assert not Halt.objects.exists()


def test_a_poll_is_answered_304_until_something_changes(notes: None, ada: Any, at_desk: Any) -> None:
    ada_at_desk = at_desk(ada)
    first = ada_at_desk.get("/guards/?part=board")

    same = ada_at_desk.get("/guards/?part=board", headers={"If-None-Match": first["ETag"]})
    verbs.halt("everything", actor=user_actor(ada.pk, auth="test"), reason=WHY)
    changed = ada_at_desk.get("/guards/?part=board", headers={"If-None-Match": first["ETag"]})

    assert (same.status_code, changed.status_code) == (304, 200)
    assert WHY in text_of(changed)


def test_the_page_halts_by_name_and_tells_afterwards_who_and_why(notes: None, ada: Any, quinn: Any, at_desk: Any) -> None:
    desk = at_desk(ada)
    assert 'value="agent:clerk"' in desk.get("/guards/").content.decode()
    post(desk, "/guards/halt/", target="agent:clerk", reason=WHY)
    halt = Halt.objects.get()
    assert (halt.scope, halt.name) == ("agent", "clerk")
    assert 'value="agent:clerk"' not in desk.get("/guards/").content.decode(), "what is halted is not offered again"
    post(desk, f"/guards/{halt.pk}/resume/", reason="its prompt is mended", pace="20")

    told = text_of(at_desk(quinn).get("/guards/"))
    for said in ("Halts that are over", "agent clerk", WHY, "its prompt is mended", ada.display_name):
        assert said in told, said
    assert 'value="agent:clerk"' not in at_desk(quinn).get("/guards/").content.decode(), "who may not is offered nothing"


def test_history_of_what_a_person_does_not_see_is_not_told(halted: Run, person: Any, at_desk: Any, ada: Any) -> None:
    post(at_desk(ada), f"/guards/{Halt.objects.get().pk}/resume/", reason="its prompt is mended", pace="20")
    assert "its prompt is mended" not in text_of(at_desk(person("zed")).get("/guards/"))


def test_what_halts_freeze_is_counted_as_far_as_one_sees_it(halted: Run, zoe: Any, at_desk: Any, person: Any) -> None:
    queue, at = ReviewQueue.objects.first(), clock.now()
    ReviewItem.objects.create(
        id=halted.pk, run=halted, queue=queue, step="s", visit=1, code="review", opened_at=at, due_at=at, frozen_at=at
    )
    assert "1 review items" in text_of(at_desk(zoe).get("/guards/"))
    assert "Clocks that halts stopped" not in text_of(at_desk(person("zed")).get("/guards/"))
