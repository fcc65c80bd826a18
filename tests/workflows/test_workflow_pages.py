"""What a workflow has beside the pages of every kind: findings while typing, samples, dry runs, two releases, the map."""

from __future__ import annotations

import copy
import json
import re

import pytest
from django.contrib.auth.models import Group

from aegis.core.actors import SYSTEM
from aegis.core.kinds import get_kind
from aegis.identity import grants
from aegis.identity.authority import raise_epoch
from aegis.identity.models import User
from aegis.portal.governed import texts
from aegis.portal.governed.versions import diff_side_by_side
from audit.models import Event
from orchestration.engine.models import Run
from orchestration.workflows import releases
from orchestration.workflows.models import Workflow, WorkflowRelease
from tests.workflows.documents import invoice_flow, steps_of
from tests.workflows.test_sample_tests import INPUT, SAMPLE, publish, with_samples

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(bootstrapped, browser_of):
    return browser_of(User.objects.get(username="fred"))


def url(page=""):
    return f"/orchestration/workflow/{Workflow.objects.get(name='invoice-flow').pk}/{page}"


def live(browser, document_or_text):
    text = document_or_text if isinstance(document_or_text, str) else texts.to_text(document_or_text)
    return browser.post(url("edit/live/"), {"text": text, "base": "", "reason": ""})


def test_findings_come_while_typing_with_line_and_column_and_the_picture(browser):
    document = invoice_flow()
    steps_of(document)["tell"]["set"]["who"] = "input.idd"
    text = texts.to_text(document)
    line = next(number for number, each in enumerate(text.splitlines(), 1) if "input.idd" in each)
    column = text.splitlines()[line - 1].index("input.idd") + 1

    page = live(browser, text).content.decode()

    assert f'data-goto-line="{line}" data-goto-column="{column}"' in page
    assert "fields there are amount, id, text" in page
    assert 'class="fm-node"' in page


def test_a_text_that_cannot_be_read_is_answered_too_and_says_where(browser):
    answer = live(browser, "a: [")

    assert answer.status_code == 200
    assert 'data-goto-line="2"' in answer.content.decode()


def test_samples_are_tried_with_the_text_as_typed(browser):
    good = live(browser, with_samples(SAMPLE)).content.decode()
    bad = live(browser, with_samples({**SAMPLE, "expect": {"outcome": "refused"}})).content.decode()

    assert ("passes" in good, "a typo" in good) == (True, True)
    assert "write outcome: changed" in bad


def test_typing_changes_nothing(browser):
    before = Event.objects.count(), WorkflowRelease.objects.count()

    live(browser, with_samples(SAMPLE))

    assert (Event.objects.count(), WorkflowRelease.objects.count()) == before
    assert get_kind("Workflow").dump("invoice-flow") == invoice_flow()


def test_findings_are_only_for_those_who_may_edit_and_only_by_post(browser, browser_of, olivia):
    assert browser.get(url("edit/live/")).status_code == 405
    assert live(browser_of(olivia), invoice_flow()).status_code == 404


def test_the_form_works_without_scripts_and_shows_the_same(browser):
    answer = browser.post(url("edit/"), {"text": texts.to_text(with_samples(SAMPLE)), "base": "", "reason": "", "do": "check"})

    page = answer.content.decode()
    assert answer.status_code == 200
    assert 'class="fm-node"' in page
    assert "Adds the sample “a typo”." in page


# --- trying ---


def tried(browser, **fields):
    script = {name: SAMPLE[name] for name in ("answers", "records")}
    return browser.post(url("try/"), {"input": json.dumps(INPUT), "script": json.dumps(script), "do": "run", **fields})


def test_a_dry_run_shows_path_verdict_and_who_would_be_waited_for(browser):
    before = Event.objects.count(), Run.objects.count()

    page = tried(browser).content.decode()

    assert "extract → triage → apply" in page
    assert "gate under two-eyes, by clerk/invoice.update" in page
    assert "apply waits for a decision under two-eyes, by Finance leads." in page
    assert (Event.objects.count(), Run.objects.count()) == before


def test_what_was_typed_comes_back_whatever_is_wrong_with_it(browser):
    for fields in ({"input": "a: ["}, {"input": "[1]"}, {"script": "anwsers: {}"}, {"input": '{"id": 1}'}):
        answer = tried(browser, **fields)
        assert answer.status_code in (400, 422)
        assert next(iter(fields.values())).replace('"', "&quot;") in answer.content.decode()


def test_hostile_values_are_text(browser):
    hostile = json.dumps({**INPUT, "text": "<script>alert(1)</script>"})

    page = tried(browser, input=hostile).content.decode()

    assert "<script>alert" not in page


def test_a_sample_fills_the_form_and_all_can_be_tried_at_once(browser, as_actor):
    publish(with_samples(SAMPLE), as_actor)

    form = browser.get(url("try/"), {"sample": "a typo"}).content.decode()
    all_of_them = browser.post(url("try/"), {"input": "{}", "script": "{}", "do": "samples"}).content.decode()
    overview = browser.get(url()).content.decode()

    assert "amount: 5" in form
    assert "passes" in all_of_them
    assert f'href="{url("try/")}?sample=a%20typo"' in overview or f'href="{url("try/")}?sample=a+typo"' in overview


def test_trying_needs_the_right_to_start(browser, browser_of, person):
    vera = person("vera", "Viewers")
    raise_epoch()
    workflow = Workflow.objects.get(name="invoice-flow")
    grants.grant(Group.objects.get(name="Viewers"), workflow, "view", actor=SYSTEM, reason="May look")

    answer = browser_of(vera).get(url("try/"))

    assert answer.status_code == 403
    assert "Finance" in answer.content.decode()


# --- comparing ---


def test_two_releases_differ_in_words_in_text_and_in_what_they_pin(browser, as_actor):
    old = releases.release_for(Workflow.objects.get(name="invoice-flow"))
    changed = with_samples(SAMPLE)
    steps_of(changed)["extract"]["timeout"] = "10s"
    publish(changed, as_actor)
    new = releases.release_for(Workflow.objects.get(name="invoice-flow"))

    page = browser.get(url("compare/"), {"old": old.pk, "new": new.pk}).content.decode()
    back = browser.get(url("compare/"), {"old": new.pk, "new": old.pk}).content.decode()

    assert "timeout was 30s, now 10s" in page
    assert "timeout was 10s, now 30s" in back
    assert "Both pin the same." in page
    assert 'data-sign="~"' in page
    assert re.search(r'data-sign="\+"', page)


def test_a_release_of_another_workflow_or_of_none_is_unknown(browser):
    for wanted in ("x", "00000000-0000-4000-8000-000000000000", ""):
        assert browser.get(url("compare/"), {"old": wanted, "new": wanted}).status_code == 404


def test_both_texts_stand_beside_each_other_line_by_line():
    document = invoice_flow()
    changed = copy.deepcopy(document)
    steps_of(changed)["extract"]["timeout"] = "10s"
    steps_of(changed)["tell"]["title"] = "Tell them"

    rows = diff_side_by_side(document, changed)

    assert [(row.old.strip(), row.new.strip()) for row in rows if row.sign == "~"] == [("timeout: 30s", "timeout: 10s")]
    assert [row.new.strip() for row in rows if row.sign == "+"] == ["title: Tell them"]
    assert all(row.old == row.new for row in rows if row.sign == " ")
    assert diff_side_by_side(document, document) == []


def test_the_map_is_a_file_of_mermaid_text(browser):
    answer = browser.get(url("map.mmd"))

    assert answer["Content-Disposition"] == 'attachment; filename="invoice-flow.mmd"'
    assert answer.content.decode().startswith("flowchart LR\n")
