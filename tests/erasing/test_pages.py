"""The page of erasures and holds: who sees what, what the forms do, what the run page says afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from guardian.models import GroupObjectPermission

from audit.models import Erasure, Hold
from orchestration.engine.erasing import verbs
from orchestration.engine.models import Run
from tests.erasing import house

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def people(person: Any, ada: Any, sam: Any, quinn: Any) -> dict[str, Any]:
    return {**house.furnished(person, effect="allow"), "sam": sam, "ada": ada, "quinn": quinn}


@pytest.fixture
def run(people: dict[str, Any]) -> Run:
    return house.lived(people["zoe"], people["sam"])


@pytest.fixture
def at(people: dict[str, Any]) -> Callable[[str], Client]:
    def signed_in(name: str) -> Client:
        client = Client()
        client.force_login(people[name], backend="aegis.identity.backends.PersonBackend")
        return client

    return signed_in


def text_of(client: Client, address: str = "/erasures/") -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def unseen(group: str) -> None:
    GroupObjectPermission.objects.filter(group__name=group, permission__codename="view_workflow").delete()


@pytest.mark.parametrize("about", ["key", "label", "id"])
def test_who_may_ask_sees_counts_and_no_contents(run: Run, at: Callable[[str], Client], about: str) -> None:
    text = text_of(at("pia"), f"/erasures/?about={ {'key': house.KEY, 'label': run.label, 'id': run.pk}[about] }")

    assert run.label in text
    assert "would be emptied" in text
    assert f"I am {house.KEY}" not in text


def test_an_auditor_reads_the_page_and_looks_nothing_up(run: Run, at: Callable[[str], Client]) -> None:
    text = text_of(at("quinn"), f"/erasures/?about={house.KEY}")

    assert "would be emptied" not in text
    assert run.label not in text


def test_what_the_asker_may_not_see_is_not_counted(run: Run, at: Callable[[str], Client]) -> None:
    unseen("Privacy officers")

    assert "would be emptied" not in text_of(at("pia"), f"/erasures/?about={house.KEY}")


def test_an_erasure_and_a_hold_of_runs_unseen_are_not_listed(
    people: dict[str, Any], run: Run, at: Callable[[str], Client]
) -> None:
    erasure = house.ask(people["pia"], run=run)
    hold = verbs.place_hold("run", run_id=run.pk, actor=house.actor(people["pia"]), reason="a lawsuit")
    assert erasure.label in text_of(at("max"))
    assert hold.label in text_of(at("max"))

    unseen("Privacy officers")

    assert erasure.label not in text_of(at("max"))
    assert hold.label not in text_of(at("max"))


def test_who_may_not_view_the_audit_gets_not_found(run: Run, at: Callable[[str], Client]) -> None:
    assert at("zoe").get("/erasures/").status_code == 404
    assert at("zoe").post("/erasures/ask/", {"run": run.pk, "reason": "x"}).status_code == 404


def test_who_may_only_view_it_is_refused_each_form(run: Run, at: Callable[[str], Client]) -> None:
    for form in ("ask/", "holds/place/", "holds/lift/"):
        answer = at("quinn").post(f"/erasures/{form}", {"run": run.pk, "scope": "run", "reason": "x"})
        assert answer.status_code == 403

    assert not Erasure.objects.exists()
    assert not Hold.objects.exists()


def test_the_forms_ask_hold_and_lift(people: dict[str, Any], run: Run, at: Callable[[str], Client]) -> None:
    assert at("pia").post("/erasures/ask/", {"key": house.KEY, "reason": "article 17"}).status_code == 302
    held = at("pia").post("/erasures/holds/place/", {"scope": "subject", "key": house.KEY, "reason": "a lawsuit"})
    assert held.status_code == 302
    hold = Hold.objects.get()
    assert f"everything about <b>{house.KEY}</b>" in text_of(at("max"))

    assert at("max").post("/erasures/holds/lift/", {"hold": hold.pk, "reason": "settled"}).status_code == 302

    hold.refresh_from_db()
    assert hold.lifted_by == str(people["max"].pk)
    assert Erasure.objects.get().status == "asked"


def test_the_run_page_says_what_is_held_and_what_was_erased_by_which_decision(
    people: dict[str, Any], run: Run, at: Callable[[str], Client]
) -> None:
    hold = verbs.place_hold("run", run_id=run.pk, actor=house.actor(people["pia"]), reason="a lawsuit")
    assert "A legal hold stands over this run" in text_of(at("zoe"), f"/runs/{run.pk}/")
    verbs.lift_hold(hold.pk, actor=house.actor(people["max"]), reason="settled")

    erasure = house.erased(people, run=run)

    text = text_of(at("zoe"), f"/runs/{run.pk}/")
    assert f"by decision {house.request_of(erasure).label}" in text
    assert "A legal hold" not in text
    assert house.CANARY not in text


def test_the_page_costs_the_same_however_many_were_asked_for(
    people: dict[str, Any], at: Callable[[str], Client], django_assert_max_num_queries: Any
) -> None:
    for number in range(6):
        house.ask(people["pia"], run=house.lived(people["zoe"], people["sam"], f"k-{number}"))
    client = at("pia")
    client.get("/erasures/")

    with django_assert_max_num_queries(40) as first:
        client.get("/erasures/")
    for number in range(6, 9):
        house.ask(people["pia"], run=house.lived(people["zoe"], people["sam"], f"k-{number}"))
    with django_assert_max_num_queries(len(first)):
        client.get("/erasures/")
