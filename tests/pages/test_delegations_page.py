"""A person's delegations on their page; giving a request to somebody; what is selected goes to the page of many."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client

from aegis.core import clock
from aegis.core.errors import Invalid
from aegis.identity.models import User
from approvals import delegations
from approvals.models import ApprovalPolicy, ApprovalRequest, Delegation
from approvals.pages import delegating
from orchestration.authority.models import Capability
from tests.approvals.house import ask, events_of, policy_document, reload, store_policy

pytestmark = pytest.mark.django_db

URL = "/approvals/delegations/"


@pytest.fixture
def lea(person: Callable[..., User]) -> User:
    return person("lea", "Leads")


@pytest.fixture
def leo(person: Callable[..., User]) -> User:
    return person("leo", "Leads")


@pytest.fixture
def policy(lea: User, leo: User) -> ApprovalPolicy:
    return store_policy(policy_document())


def day(days: int) -> str:
    return (clock.now() + timedelta(days=days)).date().isoformat()


def given(client: Client, **fields: str):
    form = {"to": "leo", "from": day(0), "until": day(2), "policy": "closing", "capability": "", "reason": "on leave"}
    return client.post(URL, {**form, **fields})


@pytest.mark.parametrize("field", ["to", "policy", "capability", "reason"])
def test_what_the_database_would_not_take_is_a_fault(
    field: str, lea: User, leo: User, policy: ApprovalPolicy, browser_of
) -> None:
    answer = given(browser_of(lea), **{field: "a\x00b"})
    assert answer.status_code == 422
    assert not Delegation.objects.exists()


@pytest.mark.parametrize("name", ["c" * 121, "no.such"])
def test_a_capability_there_is_not_is_named(name: str, lea: User, leo: User, policy: ApprovalPolicy, browser_of) -> None:
    answer = given(browser_of(lea), capability=name)
    assert answer.status_code == 422
    assert "There is no such capability" in answer.content.decode()
    assert not Delegation.objects.exists()


def test_a_capability_is_chosen_among_those_one_may_see(lea: User, leo: User, policy: ApprovalPolicy, browser_of) -> None:
    """Nobody learns from the form whether a name exists that he has nothing to do with."""
    Capability.objects.create(name="secret.open", document="{}", digest="0" * 64, updated_at=clock.now())
    client = browser_of(lea)
    assert "secret.open" not in client.get(URL).content.decode()
    hidden, unknown = (given(client, capability=name) for name in ("secret.open", "no.such"))
    assert (hidden.status_code, unknown.status_code) == (422, 422)
    assert "There is no such capability" in hidden.content.decode()

    ApprovalRequest.objects.filter(pk=ask(policy).pk).update(capability="secret.open")  # now he is asked about it
    assert '<option value="secret.open">' in client.get(URL).content.decode()
    assert given(client, capability="secret.open").status_code == 302
    assert Delegation.objects.get().capability == "secret.open"


def test_no_name_with_nul_is_asked_of_the_database(lea: User, django_assert_num_queries) -> None:
    with django_assert_num_queries(0):
        with pytest.raises(Invalid):
            delegating._person("a\x00b")
        assert not delegations._knows(lea, "a\x00b")


def test_one_is_given_seen_by_both_and_ended(lea: User, leo: User, policy: ApprovalPolicy, browser_of) -> None:
    client = browser_of(lea)
    assert given(client).status_code == 302
    row = Delegation.objects.get()
    assert (row.delegator, row.delegate, row.policy) == (lea, leo, "closing")
    assert row.ends_at.date().isoformat() == day(3)  # the last day counts whole

    page = browser_of(leo).get(URL).content.decode()
    assert page.index("In whose place I decide") < page.index("<b>Lea</b>")
    assert "policy closing" in page

    assert client.post(f"{URL}{row.pk}/end/", {"reason": ""}).status_code == 422
    client.post(f"{URL}{row.pk}/end/", {"reason": "back"})
    row.refresh_from_db()
    assert row.ended_at is not None
    assert "over since" in client.get(URL).content.decode()
    assert client.post(f"{URL}{row.pk}/end/", {"reason": "again"}).status_code == 409


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"to": "nobody"}, "there is no such active person"),
        ({"to": "lea"}, "is yourself"),
        ({"until": "soon"}, "must be a day"),
        ({"until": day(-3), "from": day(-5)}, "has passed"),
        ({"until": day(200)}, "more than 90 days"),
        ({"policy": "no-such"}, "there is no such policy"),
        ({"reason": " "}, 'id="d-reason-e"'),
    ],
)
def test_a_refused_form_comes_back_with_its_faults(fields, said, lea: User, leo: User, policy, browser_of) -> None:
    refused = given(browser_of(lea), **{"reason": "<i>kept</i>", **fields})

    assert refused.status_code == 422
    assert said in refused.content.decode()
    assert "reason" in fields or "&lt;i&gt;kept&lt;/i&gt;" in refused.content.decode()
    assert not Delegation.objects.exists()


def test_nobody_sees_or_ends_what_others_have_delegated(lea: User, leo: User, policy, person, browser_of) -> None:
    given(browser_of(lea))
    other = browser_of(person("eve", "Leads"))

    assert "policy closing" not in other.get(URL).content.decode()
    assert other.post(f"{URL}{Delegation.objects.get().pk}/end/", {"reason": "mine"}).status_code == 404


def test_a_request_is_given_to_somebody_who_could_decide_it(lea: User, leo: User, policy, person, browser_of) -> None:
    ines = person("ines", "Clerks")
    request = ask(policy, requester=ines)
    client, at = browser_of(lea), f"/approvals/{request.pk}/"
    page = client.get(at).content.decode()
    assert f'<option value="{leo.pk}">Leo</option>' in page
    assert str(ines.pk) not in page

    for to in ("", str(uuid4()), str(ines.pk)):
        assert client.post(f"{at}do/reassign/", {"to": to, "reason": "yours"}).status_code == 422
    client.post(f"{at}do/reassign/", {"to": str(leo.pk), "reason": "yours"})
    assert reload(request).claimed_by == leo
    assert events_of(request)[-1] == "request.reassigned"
    assert browser_of(ines).post(f"{at}do/reassign/", {"to": str(leo.pk), "reason": "yours"}).status_code == 403


def test_what_is_selected_is_shown_together_and_what_is_decided_alone_has_no_box(
    lea: User, leo: User, policy, browser_of
) -> None:
    one, two, risky, taken = (ask(policy) for _ in range(4))
    ApprovalRequest.objects.filter(pk=risky.pk).update(risk="high")
    ApprovalRequest.objects.filter(pk=taken.pk).update(claimed_by=leo, claimed_at=clock.now())
    client = browser_of(lea)
    page = client.get("/approvals/").content.decode()
    boxes = [f'value="{row.pk}" form="ib-together"' in page for row in (one, two, risky, taken)]
    assert boxes == [True, True, False, False]
    assert "Decided by itself: its risk is high" in page
    assert "Decided by itself: somebody else has taken it" in page

    picked = client.get("/approvals/together/", {"pick": [str(two.pk), str(risky.pk), "no-id"]})
    assert [str(item.detail.request.pk) for item in picked.context["items"]] == [str(two.pk)]
    assert picked.context["alone"] == 1


def test_requester_and_deadline_narrow_the_list(lea: User, leo: User, policy, person, browser_of) -> None:
    ines = person("ines", "Clerks")
    hers, late = ask(policy, requester=ines), ask(policy)
    ApprovalRequest.objects.filter(pk=late.pk).update(deadline=clock.now() + timedelta(hours=3))

    def rows(**query: str) -> list[object]:
        return [row.request.pk for row in browser_of(lea).get("/approvals/", query).context["inbox"].rows]

    assert rows(requester=str(ines.pk)) == [hers.pk]
    assert rows(requester="no-id") == []
    assert rows(due="1h") == [hers.pk]
    assert len(rows(due="4h")) == len(rows(due="no-such")) == 2
