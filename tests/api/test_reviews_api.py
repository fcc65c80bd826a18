"""Reviews of access over the API and on the command line: the same verb, rights and words as the page."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from aegis.identity.models import User
from approvals.models import ApprovalRequest, ChangeSet
from audit.models import Event
from orchestration.authority import role_reviews
from orchestration.authority.models import Role
from tests.support import configuration as config
from tests.support.api import client_of
from tests.support.configuration import agent, capability, grant, policy, role

pytestmark = pytest.mark.django_db
CLOSE = "ticket.close"
ALL = "/api/v1/reviews"


@pytest.fixture
def roles(person: Callable[..., User], olivia: User, sam: User, ada: User, quinn: User) -> None:
    """ada reviews support-bot, whose gate holds helper back; sam reviews `Closers`; olivia owns the agent."""
    for name in ("lee", "mia"):
        person(name, "Deciders")
    person("ben", "Support leads")
    config.bootstrap(
        policy("config-change", ("Deciders", 2)),
        policy("reply-1", ("Deciders", 1)),
        capability(CLOSE),
        role("support-bot", grant("gate", policy="reply-1"), grant("allow", CLOSE)),
        role("helper", grant("allow")),
        {
            **(one := role("Closers", grant("allow", CLOSE))),
            "spec": {**one["spec"], "review": {"person": "sam", "every_days": 9}},
        },
        agent(roles=["support-bot", "helper"]),
    )


def word(name: str = "support-bot", **more: Any) -> dict[str, Any]:
    return {"seen": Role.objects.get(name=name).digest, "reason": "I asked the desk", **more}


def told(*words: str) -> tuple[int, str]:
    out, code = StringIO(), 0
    try:
        call_command("aegis", "reviews", *words, stdout=out, stderr=StringIO())
    except SystemExit as ended:
        code = int(ended.code or 0)
    return code, out.getvalue()


def test_the_list_is_of_what_the_reader_sees_or_reviews(roles: None, ada: User, sam: User, olivia: User) -> None:
    every = client_of(ada).get(ALL).json()["reviews"]

    assert {(one["role"], one["may_review"], one["is_due"]) for one in every} == {
        ("Closers", False, False),
        ("helper", True, False),
        ("support-bot", True, False),
    }
    assert [one["role"] for one in client_of(sam).get(ALL).json()["reviews"]] == ["Closers"]
    assert [one["role"] for one in client_of(ada).get(ALL, {"show": "due"}).json()["reviews"]] == ["Closers"]
    assert client_of(olivia).get(ALL).status_code == 403


def test_one_role_tells_its_grants_and_what_dropping_each_would_allow(roles: None, ada: User) -> None:
    found = client_of(ada).get(f"{ALL}/support-bot").json()

    assert found["digest"] == Role.objects.get(name="support-bot").digest
    first, second = found["grants"]
    assert (first["capability"], first["state"], first["uses"]) == ("ticket.reply", "left", 0)
    assert first["widens"].startswith("Without this gate more is allowed: ")
    assert (second["capability"], second["grant"], second["widens"]) == (CLOSE, grant("allow", CLOSE), "")


def test_a_word_confirms_and_drops_as_on_the_page(roles: None, ada: User) -> None:
    api = client_of(ada)

    refused = api.post(f"{ALL}/support-bot", word(confirm=[CLOSE], drop=["ticket.reply"]), format="json")
    assert (refused.status_code, refused.json()["code"]) == (409, "drop_widens")
    assert refused.json()["faults"][0]["where"] == "/drop/ticket.reply"
    assert not ChangeSet.objects.filter(status="proposed").exists()

    said = api.post(f"{ALL}/support-bot", word(confirm=[CLOSE], drop=["ticket.reply"], told=["ticket.reply"]), format="json")
    assert said.status_code == 200
    request = ApprovalRequest.objects.get(question="change")
    assert said.json() == {"request": str(request.pk), "left": []}
    assert Event.objects.get(type="role.reviewed").actor_ref == str(ada.pk)
    assert [one["state"] for one in api.get(f"{ALL}/support-bot").json()["grants"]] == ["proposed", "confirmed"]


def test_the_right_comes_before_the_input(roles: None, ada: User, sam: User, quinn: User, olivia: User) -> None:
    assert client_of(ada).post(f"{ALL}/Closers", {}, format="json").status_code == 403
    assert client_of(sam).post(f"{ALL}/Closers", {}, format="json").status_code == 422
    assert client_of(sam).post(f"{ALL}/support-bot", {}, format="json").status_code == 404
    assert client_of(sam).get(f"{ALL}/support-bot").status_code == 404
    assert client_of(quinn).post(f"{ALL}/support-bot", word(confirm=[CLOSE]), format="json").status_code == 403
    assert client_of(olivia).post(f"{ALL}/support-bot", word(confirm=[CLOSE]), format="json").status_code == 404
    assert client_of(ada).get(f"{ALL}/nowhere").status_code == 404
    assert Event.objects.filter(type="access.denied", actor_ref=str(quinn.pk), line__contains="role.review").exists()
    assert not Event.objects.filter(type="role.reviewed").exists()


def test_the_list_asks_as_many_questions_for_many_roles(roles: None, ada: User) -> None:
    counts = []
    for number in range(2):
        with CaptureQueriesContext(connection) as asked:
            client_of(ada).get(ALL)
        counts.append(len(asked))
        config.propose(ada, *(role(f"bot-{number}-{index}", grant("allow")) for index in range(5)))

    assert counts[0] == counts[1]


def test_the_command_lists_shows_and_settles(roles: None, ada: User, sam: User) -> None:
    assert told("list", "--as", "sam")[1].startswith("Closers  soon  due ")
    code, shown = told("show", "support-bot")
    assert code == 0
    assert "ticket.reply  gate  to confirm\n    if dropped: Without this gate more is allowed" in shown
    digest = re.findall(r"Digest (\w{64})", shown)[0]

    assert told("settle", "support-bot", "--as", "sam", "--reason", "x", "--seen", digest, "--confirm", CLOSE)[0] == 2
    word = ["settle", "support-bot", "--as", "ada", "--reason", "asked the desk", "--seen", digest]
    assert told(*word, "--drop", "ticket.reply")[0] == 2
    code, said = told(*word, "--confirm", CLOSE, "--drop", "ticket.reply", "--told", "ticket.reply")

    assert (code, said.strip()) == (0, str(ApprovalRequest.objects.get(question="change").pk))
    standing = role_reviews.of_role("support-bot")
    assert standing is not None
    assert (standing.confirmed, standing.proposed) == ({CLOSE}, {"ticket.reply"})


def test_the_command_fails_while_a_review_is_overdue(roles: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told("list", "--due")[0] == 0
    monkeypatch.setattr(role_reviews.Standing, "is_due", lambda self, now: self.name == "Closers")

    code, found = told("list", "--due")
    assert (code, found.split()[:2]) == (1, ["Closers", "overdue"])
