"""The history of one governed object: every event about it that the reader may see, each with what it changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from aegis.core import canonical, clock
from aegis.core.actors import SYSTEM, user_actor
from aegis.identity import people
from aegis.identity.models import User
from audit import history, journal, things
from audit.drafts import Context, Draft
from audit.index.models import Indexed
from audit.index.things import named
from audit.models import Event, Payload
from tests.support.api import client_of
from tests.support.configuration import capability, configured, keyed, policy, propose
from tests.support.following import caught_up


@pytest.fixture
def change() -> Callable[..., Event]:
    """Records that a document was applied: `change("clerk", {"pace": 2})`."""

    def record(name: str, spec: dict[str, Any], *, kind: str = "Role", type_: str = "config.applied", **data: Any) -> Event:
        facts = {"change": str(uuid4()), "kind": kind, "name": name, "action": "add", **data}
        draft = Draft(type_, SYSTEM, facts, {"document": canonical.dump(spec), "reason": canonical.dump("because")})
        with transaction.atomic():
            journal.append(Context(stream=f"config:{kind}", scope="system"), [draft], clock.now())
        return Event.objects.latest("id")

    return record


@pytest.fixture
def page(quinn: User, browser_of: Callable[..., Client]) -> Callable[..., Any]:
    browser = browser_of(quinn)

    def get(key: str, **params: Any) -> Any:
        caught_up()
        return browser.get(reverse("audit:history"), {"object": key, **params})

    return get


def shown(answer: Any) -> list[tuple[str, int]]:
    assert answer.status_code == 200
    return [(entry.told.event.stream, entry.told.event.seq) for entry in answer.context["entries"]]


def rows(entry: Any) -> list[tuple[str, str, str]]:
    return [
        (row.label, "".join(part.text for part in row.now), "".join(part.text for part in row.proposed))
        for row in entry.changed.rows
    ]


def test_it_lists_each_event_of_the_document_and_of_no_other_newest_first(page: Any, change: Any) -> None:
    first, _, second = change("clerk", {"pace": 1}), change("boss", {"pace": 9}), change("clerk", {"pace": 2})

    assert shown(page("Role/clerk")) == [(second.stream, second.seq), (first.stream, first.seq)]


def test_a_name_is_not_the_beginning_of_another(page: Any, change: Any) -> None:
    change("clerk-2", {"pace": 1})

    assert page("Role/clerk").status_code == 404


def test_a_change_by_change_control_is_told_field_by_field_against_the_version_it_replaced(
    page: Any, ada: User, olivia: User, person: Callable[..., User]
) -> None:
    person("lena", "Support leads")
    configured(keyed([policy("reply-1", ("Support leads", 1)), capability()]))
    propose(ada, capability(risk="high"))

    proposed, added = page("Capability/ticket.reply").context["entries"]

    assert ("Spec › risk", "medium", "high") in rows(proposed)
    assert len(rows(proposed)) == 1
    assert ("Spec › risk", "", "medium") in rows(added)


def test_a_change_too_long_to_scroll_past_is_folded(page: Any, change: Any) -> None:
    change("clerk", {"pace": 1})
    change("clerk", {"pace": 1, "words": "slow and steady " * 100})
    change("clerk", {"pace": 1, **{f"pace{n}": n for n in range(13)}})

    answer = page("Role/clerk")

    assert [entry.is_long for entry in answer.context["entries"]] == [True, True, False]
    folded = answer.content.decode().split("<details><summary>")[1:]
    assert [one.partition("<")[0] for one in folded] == ["14 fields differ", "2 fields differ"]


def test_pages_meet_without_overlap_or_gap(page: Any, change: Any) -> None:
    made = [change("clerk", {"pace": n}).seq for n in range(2 * history.PAGE + 3)]

    found, before = [], ""
    while True:
        answer = page("Role/clerk", **({"before": before} if before else {}))
        found += [seq for _, seq in shown(answer)]
        if not answer.context["older"]:
            break
        before = answer.context["older"].split("before=")[1].split("&")[0]

    assert found == made[::-1]


def test_the_number_of_queries_is_the_same_at_ten_and_a_thousand_changes(page: Any, change: Any) -> None:
    def queries(key: str) -> int:
        page(key)  # what is asked once per process
        with CaptureQueriesContext(connection) as few:
            assert page(key).status_code == 200
        return len(few)

    for number in range(10):
        change("few", {"pace": number})
    for number in range(1_000):
        change("many", {"pace": number})

    assert queries("Role/few") == queries("Role/many")


def test_who_may_see_no_event_of_it_is_told_there_is_none(change: Any, olivia: User, browser_of: Any) -> None:
    change("clerk", {"pace": 1})
    caught_up()

    hidden = browser_of(olivia).get(reverse("audit:history"), {"object": "Role/clerk"})
    unknown = browser_of(olivia).get(reverse("audit:history"), {"object": "Role/nobody"})

    assert (hidden.status_code, unknown.status_code) == (404, 404)
    assert "clerk" not in hidden.content.decode()


def test_filters_of_the_address_narrow_it_and_only_changes_leaves_proposals_out(page: Any, change: Any) -> None:
    change("clerk", {"pace": 1})
    change("clerk", {"pace": 2}, type_="config.proposed", request=str(uuid4()))

    assert len(shown(page("Role/clerk"))) == 2
    assert [seq for _, seq in shown(page("Role/clerk", only="changes"))] == [1]
    assert [seq for _, seq in shown(page("Role/clerk", type="config.proposed"))] == [2]
    assert shown(page("Role/clerk", q="nothingofthekind")) == []


def test_a_person_has_the_events_of_his_account_and_a_new_one_is_told_by_what_was_typed(page: Any, ada: User) -> None:
    made = people.create_person(
        "tess", name="Tess Tester", email="tess@example.org", actor=user_actor(ada.pk, auth="session"), reason="new here"
    )
    people.disable_person(made.pk, actor=user_actor(ada.pk, auth="session"), reason="left")

    disabled, created = page(f"Person/{made.pk}").context["entries"]

    assert rows(disabled) == [("Account", "enabled", "disabled")]
    assert set(rows(created)) == {
        ("Username", "", "tess"), ("Name", "", "Tess Tester"), ("Email", "", "tess@example.org")
    }  # fmt: skip


def test_an_erased_person_is_said_to_be_erased_and_nothing_is_made_up(page: Any, ada: User) -> None:
    made = people.create_person(
        "tess", name="Tess Tester", email="", actor=user_actor(ada.pk, auth="session"), reason="new here"
    )
    event = Event.objects.get(type="access.person_created", line__contains=str(made.pk))
    at = clock.now()
    Payload.objects.filter(stream=event.stream, seq=event.seq, name="person").update(body="", salt="", erased_at=at)

    (created,) = page(f"Person/{made.pk}").context["entries"]

    assert created.changed.erased_at == at
    assert not created.changed.rows


def test_who_takes_a_request_and_who_is_given_it_is_told_by_name(page: Any, olivia: User, sam: User) -> None:
    request = uuid4()
    mia, noa = str(olivia.pk), str(sam.pk)
    actor = user_actor(mia, auth="session")
    drafts = [
        Draft("request.claimed", actor, {"before": "", "by": mia}),
        Draft("request.reassigned", actor, {"before": mia, "by": noa}),
        Draft("request.released", actor, {"before": noa, "by": ""}),
    ]
    with transaction.atomic():
        journal.append(Context(stream=f"request:{request}", scope="system"), drafts, clock.now())

    told = [rows(entry) for entry in page(f"Request/{request}").context["entries"]]

    assert told == [
        [("Held by", "Sam", "")], [("Held by", "Olivia", "Sam")], [("Held by", "", "Olivia")]
    ]  # fmt: skip


def test_the_api_lists_the_same_with_the_same_fields(page: Any, change: Any, quinn: User) -> None:
    change("clerk", {"pace": 1})
    change("boss", {"pace": 1})
    change("clerk", {"pace": 2}, base="unknown")

    answer = client_of(quinn).get(reverse("api-events"), {"object": "Role/clerk"})
    assert answer.status_code == 200
    assert answer.json()["events"] == []  # the search has not followed yet
    seqs = [seq for _, seq in shown(page("Role/clerk"))]
    events = client_of(quinn).get(reverse("api-events"), {"object": "Role/clerk"}).json()["events"]

    assert [event["seq"] for event in events] == seqs
    assert events[0]["changed"] is None  # its version before is not on record
    assert events[1]["changed"] == [{"field": "pace", "kind": "added", "before": "", "after": "1"}]
    assert "changed" not in client_of(quinn).get(reverse("api-events"), {"span": "all"}).json()["events"][0]


def test_the_panel_leads_to_the_history_and_to_the_changes_of_the_same_document_beside_it(
    change: Any, quinn: User, browser_of: Any
) -> None:
    first, _, second = change("clerk", {"pace": 1}), change("boss", {"pace": 1}), change("clerk", {"pace": 2})
    change("clerk", {"pace": 3}, type_="config.proposed", request=str(uuid4()))
    third = change("clerk", {"pace": 3})
    caught_up()

    detail = browser_of(quinn).get(reverse("audit:event", args=[second.stream, second.seq])).context["detail"]

    assert detail.changes.before == reverse("audit:event", args=[first.stream, first.seq])
    assert detail.changes.after == reverse("audit:event", args=[third.stream, third.seq])
    assert [thing.key for thing in detail.histories] == ["Role/clerk"]


@pytest.mark.parametrize(
    ("prefix", "rest", "data", "expected"),
    [
        ("config", "Agent", {"name": "triage", "prefix": "x"}, ("Agent/triage",)),
        ("halt", "workflow:1", {"what": "workflow", "name": "intake"}, ("Workflow/intake",)),
        ("halt", "everything", {"what": "everything", "name": ""}, ()),
        ("breaker", "agent:triage", {"key": "agent:triage"}, ("Agent/triage",)),
        ("access", "3", {"group": "Leads", "right": "edit", "what": "review queue desk"}, ("ReviewQueue/desk", "Group/Leads")),
        ("access", "3", {"person": "not an id", "group": "Leads"}, ("Group/Leads",)),
        ("access", "3", {"role": "clerk"}, ("Role/clerk",)),
        ("access", "3", {"group": "x" * 300}, ()),
        ("access", "3", {"filters": []}, ()),
    ],
)
def test_what_an_event_is_about_is_read_from_its_stream_and_its_line(
    prefix: str, rest: str, data: dict[str, Any], expected: tuple[str, ...]
) -> None:
    assert named(prefix, rest, data) == expected


def test_an_item_has_the_events_of_all_runs_of_exactly_its_key(db: None, monkeypatch: Any) -> None:
    one, two, other = (uuid4() for _ in range(3))
    keys = {one: "INV-1", two: "INV-1", other: "INV-12"}
    monkeypatch.setattr("audit.names._run_finder", lambda text: [run for run, key in keys.items() if key.startswith(text)])
    monkeypatch.setattr("audit.names._run_keys", lambda runs: {run: keys[run] for run in runs})
    for run in keys:
        with transaction.atomic():
            context = Context(stream=f"run:{run}", scope="workflow", scope_id=str(uuid4()), run_id=run)
            journal.append(context, [Draft("run.cancelled", SYSTEM, {"step": "ask"}, outcome="cancelled")], clock.now())
    caught_up()

    positions = things.condition("Item/INV-1")

    assert set(Indexed.objects.filter(positions).values_list("run_id", flat=True)) == {one, two}
