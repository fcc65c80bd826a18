"""The form of an edit on the page of a request, and the same over the API."""

from __future__ import annotations

import html
import json
from collections.abc import Callable

import pytest
from django.test import Client

from aegis.identity.models import User
from approvals.models import ApprovalRequest
from audit import journal
from orchestration.agents.protocol import Done
from tests.engine import house
from tests.engine.test_edit_and_resubmit import documents
from tests.support.api import client_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def request_of_zoe(person: Callable[..., User], ada: User, sam: User, monkeypatch: pytest.MonkeyPatch) -> ApprovalRequest:
    for name in ("mia", "tom"):
        person(name, "Support leads")
    note = {**house.NOTE, "parameters": {"text": "<b>hello</b>", "amount": 3}}
    monkeypatch.setattr(house, "answers", {"write": Done({"note": note}, confidence=0.9)})
    house.bootstrap(documents())
    run = house.submit(person("zoe", "Support leads"))
    house.drive(run)
    return house.request_of(run)


def send(client: Client, request: ApprovalRequest, **fields: str):
    form = {"f-text": "good morning", "f-amount": "4", "reason": "friendlier", "seen_digest": request.digest}
    return client.post(f"/approvals/{request.pk}/edit/", {**form, **fields})


def test_the_form_has_a_field_for_each_parameter_and_comes_back_with_what_was_typed(
    request_of_zoe: ApprovalRequest, sam: User, browser_of: Callable[..., Client]
) -> None:
    client = browser_of(sam)
    page = client.get(f"/approvals/{request_of_zoe.pk}/?form=edit").content.decode()
    assert 'name="f-text" value="&lt;b&gt;hello&lt;/b&gt;"' in page
    assert 'name="f-amount" value="3"' in page

    refused = send(client, request_of_zoe, **{"f-amount": "many", "f-text": "<i>bye</i>"})
    assert refused.status_code == 422
    text = refused.content.decode()
    assert "is no whole number" in text
    assert 'value="&lt;i&gt;bye&lt;/i&gt;"' in text
    assert "friendlier</textarea>" in text

    too_long = send(client, request_of_zoe, **{"f-text": "x" * 30})
    assert too_long.status_code == 422
    assert 'id="f-text-fault"' in too_long.content.decode()


def test_after_the_edit_the_page_says_who_wrote_what_and_who_decides(
    request_of_zoe: ApprovalRequest, sam: User, browser_of: Callable[..., Client]
) -> None:
    client = browser_of(sam)
    done = send(client, request_of_zoe)
    assert done.status_code == 302

    page = html.unescape(client.get(done.headers["Location"]).content.decode())
    assert "Edited by Sam" in page
    assert "friendlier" in page
    assert "You cannot decide this: you wrote part of what it rests on" in page
    assert 'id="form-edit"' not in page
    other = browser_of(User.objects.get(username="mia")).get(done.headers["Location"]).content.decode()
    assert 'id="form-approve"' in other
    assert "good morning" in other


def test_who_could_not_decide_has_no_form_and_is_refused(
    request_of_zoe: ApprovalRequest, browser_of: Callable[..., Client], person: Callable[..., User]
) -> None:
    zoe = browser_of(User.objects.get(username="zoe"))
    assert 'id="form-edit"' not in zoe.get(f"/approvals/{request_of_zoe.pk}/").content.decode()
    assert send(zoe, request_of_zoe).status_code == 403
    assert send(browser_of(person("eve", "Clerks")), request_of_zoe).status_code == 404
    assert journal.read(request_of_zoe.stream)[-1].type == "edit.refused"


def test_an_old_page_edits_nothing(request_of_zoe: ApprovalRequest, sam: User, browser_of: Callable[..., Client]) -> None:
    assert send(browser_of(sam), request_of_zoe, seen_digest="0" * 64).status_code == 409
    assert ApprovalRequest.objects.get(pk=request_of_zoe.pk).revision == 0


def test_the_same_over_the_api(request_of_zoe: ApprovalRequest, sam: User) -> None:
    path = f"/api/v1/requests/{request_of_zoe.pk}/revisions"

    def post(**body: object):
        return client_of(sam).post(path, json.dumps(body), content_type="application/json")

    wrong = post(parameters={"text": 7}, reason="r", digest=request_of_zoe.digest)
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid")
    assert post(parameters={"text": "a"}, reason="r", digest="0" * 64).status_code == 409
    assert post(parameters="a", reason="r", digest=request_of_zoe.digest).status_code == 422
    done = post(parameters={"text": "good morning"}, reason="friendlier", digest=request_of_zoe.digest)
    assert (done.status_code, done.json()["status"]) == (200, "open")
    assert post(parameters={"text": "again"}, reason="r", digest=request_of_zoe.digest).status_code == 403
