"""Capabilities that nobody may hold together: denied at the verdict with both named, and refused before they meet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from hypothesis import given
from hypothesis import strategies as st

from aegis.core.actors import SYSTEM, user_actor
from aegis.core.kinds import document_key
from aegis.identity import people
from aegis.identity.joining import NotTogether
from aegis.identity.models import User
from aegis.identity.principals import OwnRights
from approvals import changes
from approvals.errors import ChangeInvalid
from approvals.models import ChangeSet
from audit.models import Event
from orchestration.authority.affected import effects
from orchestration.authority.explainer import Held, who_can
from orchestration.authority.verdicts import Principal, decide, load
from tests.authority.conftest import BOT, FACTS, TICKET, grant, matrix_document
from tests.portal.documents import document, everything, keyed
from tests.support.configuration import configured

PAIR = {"excludes": ["ticket.close"]}
CLOCK = {"now": "2026-11-23T12:00:00Z", "zones": {}}


def matrix_of(roles: dict[str, list[dict[str, Any]]], **options: Any):
    written = matrix_document(roles, **options)
    written["capabilities"]["ticket.reply"] |= PAIR
    return load(written, number=7)


def both(first: str = "allow", second: str = "allow", **options: Any):
    return matrix_of({"a": [grant(first)], "b": [grant(second, capability="ticket.close")]}, **options)


def test_who_holds_both_through_two_roles_may_do_neither_and_both_are_named():
    for capability in ("ticket.reply", "ticket.close"):
        verdict = decide(both(), BOT, capability, TICKET, FACTS)
        assert (verdict.answer, verdict.code) == ("deny", "exclusive")
        assert "ticket.reply" in verdict.reason
        assert "ticket.close" in verdict.reason
        assert "roles" in verdict.reason
        assert set(verdict.grants) == {"a/ticket.reply", "b/ticket.close"}


def test_a_person_is_denied_through_two_groups_and_one_alone_is_not():
    matrix = both(people=("a", "b"))

    assert decide(matrix, Principal("user", "u", ("a", "b")), "ticket.reply", TICKET, FACTS).code == "exclusive"
    assert decide(matrix, Principal("user", "u", ("a",)), "ticket.reply", TICKET, FACTS).answer == "allow"


def test_a_requester_who_holds_both_is_denied_too():
    matrix = matrix_of(
        {"bot": [grant("allow")], "a": [grant("allow")], "b": [grant("allow", capability="ticket.close")]},
        agent_roles=["bot"], people=("a", "b"), requester_too=True,
    )  # fmt: skip
    facts = {**FACTS, "requester": {"id": "u", "roles": ["a", "b"]}}

    assert decide(matrix, BOT, "ticket.reply", TICKET, facts).code == "exclusive"
    assert decide(matrix, BOT, "ticket.reply", TICKET, {**facts, "requester": {"id": "u", "roles": ["a"]}}).answer == "allow"


CELL = st.sampled_from(["", "allow", "gate", "deny", "allow-if", "deny-if"])


@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=3))
def test_nobody_ever_gets_a_yes_for_one_of_two_that_he_holds_together(cells):
    """Judged by the words of the guide: held = an allow or gate in some role, and no role denies it outright."""
    when = "parameters.text == 'hello'"

    def made(cell: str, capability: str) -> list[dict[str, Any]]:
        effect, _, condition = cell.partition("-")
        return [grant(effect, when=when if condition else "", capability=capability)] if cell else []

    roles = {f"r{at}": [*made(one, "ticket.reply"), *made(two, "ticket.close")] for at, (one, two) in enumerate(cells)}
    holds = [
        any(pair[side] in ("allow", "gate", "allow-if") for pair in cells) and not any(pair[side] == "deny" for pair in cells)
        for side in (0, 1)
    ]
    answers = {decide(matrix_of(roles), BOT, name, TICKET, FACTS).answer for name in ("ticket.reply", "ticket.close")}
    apart = {decide(load(matrix_document(roles)), BOT, name, TICKET, FACTS).answer for name in ("ticket.reply", "ticket.close")}

    assert answers == ({"deny"} if all(holds) else apart)


def test_the_explainer_names_both_and_the_review_tells_who_loses_by_gaining():
    (line,) = who_can(both(), "ticket.reply", [("bot", BOT)], Held(), CLOCK).lines
    assert (line.answer, line.deciders[0].what) == ("deny", "exclusive")
    assert "ticket.close" in line.deciders[0].says

    before = matrix_of({"a": [grant("allow")], "b": []})
    told = {(one.capability, one.how) for one in effects(before, both(), [("bot", BOT)], ["ticket.close"])}
    assert ("ticket.reply", "loses") in told
    assert ("ticket.close", "gains") not in told


# ---- publishing and granting ----------------------------------------------------------------------------------------------


def shop() -> list[dict[str, Any]]:
    """ticket.refund excludes ticket.reply; one role of agents would have had both."""
    documents = everything()
    for one in documents:
        if one["metadata"]["name"] == "ticket.refund":
            one["spec"]["excludes"] = ["ticket.reply"]
        if one["kind"] == "Role" and one["metadata"]["name"] == "support-desk":
            one["spec"]["grants"] = [cell for cell in one["spec"]["grants"] if cell["capability"] != "ticket.refund"]
    for name, capability in (("Repliers", "ticket.reply"), ("Refunders", "ticket.refund")):
        spec = {"people": True, "grants": [{"capability": capability, "effect": "gate", "policy": "lead"}]}
        documents.append(document("Role", name, spec))
    documents.append(document("Role", "refund-desk", {"grants": [{"capability": "ticket.refund", "effect": "allow"}]}))
    return documents


@pytest.fixture
def standing(ada: User, sam: User, db: None) -> ChangeSet:
    return configured(keyed(shop()))


def propose(ada: User, *documents: dict[str, Any]) -> ChangeSet:
    given = [(document_key(one), one) for one in documents]
    return changes.propose(given, author=ada, actor=user_actor(ada.pk, auth="session"), reason="because")


def find(kind: str, name: str) -> dict[str, Any]:
    return next(one for one in shop() if (one["kind"], one["metadata"]["name"]) == (kind, name))


@pytest.mark.django_db
def test_a_role_that_would_hold_both_is_not_published(standing: ChangeSet, ada: User):
    role = find("Role", "support-desk")
    role["spec"]["grants"].append({"capability": "ticket.refund", "effect": "allow"})

    with pytest.raises(ChangeInvalid) as caught:
        propose(ada, role)
    assert "ticket.refund and ticket.reply" in str(caught.value.faults) or "ticket.reply and ticket.refund" in str(
        caught.value.faults
    )


@pytest.mark.django_db
def test_an_agent_with_two_such_roles_is_not_published(standing: ChangeSet, ada: User):
    agent = find("Agent", "reply-writer")
    agent["spec"]["roles"].append("refund-desk")

    with pytest.raises(ChangeInvalid) as caught:
        propose(ada, agent)
    assert [fault.where for fault in caught.value.faults] == ["Agent/reply-writer/spec/roles"]


@pytest.mark.django_db
def test_two_capabilities_that_somebody_holds_are_not_declared_exclusive(ada: User, sam: User):
    configured(keyed(everything()))
    capability = find("Capability", "ticket.refund")

    with pytest.raises(ChangeInvalid) as caught:
        propose(ada, capability)
    assert any(fault.where.startswith("Role/support-desk") for fault in caught.value.faults)


@pytest.mark.django_db
def test_nobody_joins_a_second_group_that_would_give_him_both(standing: ChangeSet, ada: User, olivia: User, as_actor: Callable):
    people.add_to_group(olivia.pk, "Repliers", actor=as_actor(ada), reason="answers mail")

    with pytest.raises(NotTogether) as caught:
        people.add_to_group(olivia.pk, "Refunders", actor=as_actor(ada), reason="and pays back")

    assert "ticket.refund" in caught.value.detail
    assert "Repliers" in caught.value.detail
    assert sorted(olivia.groups.values_list("name", flat=True)) == ["Repliers", "Support operators"]
    assert Event.objects.filter(type="access.denied", line__contains="not_together").exists()
    with pytest.raises(NotTogether):
        people.create_person("nel", groups=["Repliers", "Refunders"], actor=SYSTEM, reason="new")


@pytest.mark.django_db
def test_a_role_is_not_changed_so_that_members_of_two_groups_hold_both(standing: ChangeSet, ada: User, olivia: User):
    for group in ("Repliers", "Support leads"):
        people.add_to_group(olivia.pk, group, actor=SYSTEM, reason="test")
    role = find("Role", "Support leads")
    role["spec"]["grants"] = [{"capability": "ticket.refund", "effect": "allow"}]

    with pytest.raises(ChangeInvalid) as caught:
        propose(ada, role)
    assert any("1 person in its group" in fault.what for fault in caught.value.faults)


@pytest.mark.django_db
def test_who_was_away_while_his_groups_were_given_both_is_not_let_in_again(
    standing: ChangeSet, ada: User, olivia: User, as_actor: Callable
):
    people.add_to_group(olivia.pk, "Repliers", actor=SYSTEM, reason="test")
    people.disable_person(olivia.pk, actor=SYSTEM, reason="away")
    olivia.groups.add(Group.objects.get(name="Refunders"))  # as publishing a role may, which counts active people

    with pytest.raises(NotTogether):
        people.enable_person(olivia.pk, actor=as_actor(ada), reason="back")

    assert not User.objects.get(pk=olivia.pk).is_active
    people.remove_from_group(olivia.pk, "Repliers", actor=as_actor(ada), reason="one of the two")
    assert people.enable_person(olivia.pk, actor=as_actor(ada), reason="back")


@pytest.mark.django_db
def test_nobody_leaves_one_of_two_groups_to_use_the_other(ada: User, sam: User, as_actor: Callable):
    documents = shop()
    for one in documents:
        if one["metadata"]["name"] in ("Repliers", "Refunders"):
            one["spec"]["grants"] = [{"capability": one["spec"]["grants"][0]["capability"], "effect": "allow"}]
    configured(keyed(documents))
    for name in ("Repliers", "Refunders"):  # past the verb, which refuses the second
        ada.groups.add(Group.objects.get(name=name))

    with pytest.raises(OwnRights) as caught:
        people.remove_from_group(ada.pk, "Refunders", actor=as_actor(ada), reason="enough")

    assert "ticket.reply" in caught.value.detail
    assert people.remove_from_group(ada.pk, "Refunders", actor=SYSTEM, reason="one of the two")


@pytest.mark.django_db
def test_taking_an_exclusion_away_needs_others(standing: ChangeSet, ada: User, sam: User, person: Callable):
    person("bea", "Admins")
    capability = find("Capability", "ticket.refund")
    del capability["spec"]["excludes"]
    preview = changes.preview([(document_key(capability), capability)], ada)

    assert "ticket.refund and ticket.reply may be held together." in preview.guards


# ---- owners ---------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_resource_type_has_one_owner_neither_missing_nor_doubled(ada: User, sam: User):
    documents = everything()
    for one in documents:
        if one["kind"] == "Capability":
            one["spec"]["owner"] = "ada"
    configured(keyed(documents))
    capability = next(one for one in documents if one["metadata"]["name"] == "ticket.read")

    for owner, words in (("sam", "has an owner already, ada"), ("nobody", "there is no active person")):
        found = {**capability, "spec": {**capability["spec"], "owner": owner}}
        preview = changes.preview([(document_key(found), found)], ada)
        assert any(words in fault.what for fault in preview.faults), owner
    missing = {**capability, "spec": {name: value for name, value in capability["spec"].items() if name != "owner"}}
    preview = changes.preview([(document_key(missing), missing)], ada)
    assert any("is missing: ada decides about ticket" in fault.what for fault in preview.faults)


@pytest.mark.django_db
def test_an_owner_who_left_is_an_alarm_and_shown_on_the_page(ada: User, sam: User, quinn: User, browser_of: Callable):
    documents = everything()
    for one in documents:
        if one["kind"] == "Capability":
            one["spec"]["owner"] = "sam"
    configured(keyed(documents))
    browser = browser_of(quinn)
    address = "/open/Capability/?name=ticket.read"
    assert "has left" not in browser.get(address, follow=True).content.decode()

    people.disable_person(sam.pk, actor=SYSTEM, reason="left")

    assert "has left: name another one" in browser.get(address, follow=True).content.decode()
    assert "has left: nobody decides about its 3 capabilities" in browser.get("/").content.decode()
