"""Sensitive fields are masked on every page and in every answer for people without the right, and shown to those with it."""

from __future__ import annotations

import html
from typing import Any

import pytest

from orchestration.agents.protocol import Done
from orchestration.engine import masking as engine_masking
from orchestration.engine.models import ReviewItem, Run
from tests.engine import house
from tests.masking.addresses import EVERY_ROW, LEFT_OUT, open_all, post_to_all, routes, unanswered
from tests.masking.canaries import IBAN, NAME, answered, claim, leaks
from tests.support.following import caught_up

#: Routes on which a payload stands.
SHOWING = {
    "runs:run", "runs:event", "review:item", "approvals:request", "api-run-events", "api-request", "audit:event",
    "audit:panel", "audit:list", "audit:history", "audit:export", "api-events", "deadletters:list",
}  # fmt: skip

pytestmark = pytest.mark.django_db(transaction=True)


def test_no_address_shows_a_sensitive_value_without_the_right_and_with_it_all_do(
    everything, zoe, nia, at_desk, grants_of, monkeypatch
):
    """Opened, posted to, followed: bodies, headers, file names, places of redirects. And every route there is was asked."""
    grants_of(zoe)  # and nia: what she may do beside is to see what is masked
    shown = [*open_all(nia, at_desk(nia), () if EVERY_ROW else SHOWING)]
    told = [*open_all(zoe, at_desk(zoe)), *post_to_all(zoe, at_desk(zoe))]
    shown += post_to_all(nia, at_desk(nia)) if EVERY_ROW else ()

    assert {(one.method, one.address): found for one in told if (found := leaks(one.text))} == {}
    assert [(one.address, one.status) for one in (*told, *shown) if one.status >= 500] == []
    assert unanswered(told) == set(), "a new address: say in `addresses` what fills it, or why it is left out"
    pages = [one.text for one in told if one.route == "runs:run"]
    assert any("[masked: needs customer.reveal]" in text for text in pages)
    assert any("Berlin" in text for text in pages), "what is not sensitive is shown"

    assert {one.route for one in shown if leaks(one.text)} >= SHOWING
    assert [one.address for one in shown if "[masked: needs" in one.text] == []

    monkeypatch.setattr(engine_masking, "hidden_from", lambda viewer, kinds: frozenset())  # a leak, planted
    some = {"runs:run", "approvals:request", "api-request", "audit:event"}
    assert {one.route for one in open_all(zoe, at_desk(zoe), some) if leaks(one.text)} == some


def test_what_is_left_out_exists():
    assert set(LEFT_OUT) <= set(routes())


def test_a_search_finds_sensitive_text_only_for_those_who_may_see_it(everything, zoe, nia, at_desk, grants_of):
    grants_of(zoe)
    word = NAME.split()[1]

    caught_up()

    def hits(person: Any, text: str) -> int:
        return at_desk(person).get(f"/audit/?span=all&q={text}").content.decode().count('class="au-row"')

    assert hits(nia, word) > 0
    assert hits(zoe, word) == 0
    assert hits(zoe, "Berlin") == 0, "no payload of such a run is searched: the hits of a guess would tell what is masked"


def test_a_form_leaves_masked_fields_empty_instead_of_sending_the_mask_back(everything, zoe, nia, at_desk):
    item = ReviewItem.objects.get(run=everything["unsure"])

    hidden = html.unescape(at_desk(zoe).get(f"/review/{item.pk}/").content.decode())
    shown = html.unescape(at_desk(nia).get(f"/review/{item.pk}/").content.decode())

    form = hidden[hidden.index('name="f-') :]
    assert "[masked:" not in form[: form.index("</form>")]
    assert f'value="{IBAN}"' in shown or IBAN in shown[shown.index('name="f-') :]


def test_an_agent_that_proposes_to_reveal_is_refused_and_nothing_happens(sensitive_house, zoe):
    proposal = {
        "capability": "customer.reveal",
        "resource": {"type": "customer", "id": "c"},
        "parameters": {},
        "justification": "",
    }
    house.answers["write"] = Done(answered("x", note=proposal), confidence=0.9)
    run = house.submit(zoe, claim("x"))

    house.drive(run)

    assert "effect.done" not in house.types_of(run)
    assert ReviewItem.objects.get(run=run).code in ("denied", "effect_failed")


def test_what_a_parent_hides_is_masked_in_its_children_and_the_other_way_round(sensitive_house, zoe, nia):
    from audit import masking

    secrets = {"parent": "FR76PARENTVALUE", "child": "IT60CHILDVALUE"}
    runs = {name: house.submit(zoe, {**claim(name), "iban": iban}) for name, iban in secrets.items()}
    stranger = house.submit(zoe, {**claim("stranger"), "iban": "ES91STRANGER"})
    Run.objects.filter(pk=runs["child"].pk).update(parent=runs["parent"], parent_step="sub", parent_visit=1)

    for name, other in (("parent", "child"), ("child", "parent")):
        assert secrets[other] not in str(masking.value(zoe, runs[name].pk, f"pay {secrets[other]}"))
        assert masking.value(nia, runs[name].pk, f"pay {secrets[other]}") == f"pay {secrets[other]}"
    assert masking.value(zoe, stranger.pk, "pay FR76PARENTVALUE") == "pay FR76PARENTVALUE"
