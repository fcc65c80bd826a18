"""Samples in the language: what they say is read, and what speaks of a step that is none is refused at its place."""

from __future__ import annotations

import pytest

from orchestration.workflows import parse, wording
from orchestration.workflows.sample_keys import Place, said
from tests.workflows.documents import invoice_flow

SAMPLE = {
    "name": "a typo",
    "input": {"id": "I-1", "text": "x", "amount": 5},
    "answers": {"extract": {"kind": "typo"}, "extract/2": {"kind": "price"}},
    "decisions": {"sign-off": "approved"},
    "records": [{"type": "invoice", "id": "I-1", "body": {"amount": 5}}],
    "requester": {"roles": ["Finance"]},
    "expect": {"outcome": "changed", "path": ["extract", "triage"]},
}


def with_samples(*samples):
    document = invoice_flow()
    document["spec"]["samples"] = list(samples)
    return document


def test_a_sample_is_read_with_its_script_and_what_is_expected():
    (sample,) = parse.load(with_samples(SAMPLE)).samples

    assert (sample.name, sample.input["id"], sample.answers_for_all) == ("a typo", "I-1", True)
    assert sample.script.answers["extract/2"] == {"kind": "price"}
    assert sample.script.records == {("invoice", "I-1"): {"amount": 5}}
    assert sample.script.roles == ("Finance",)
    assert sample.expect["path"] == ["extract", "triage"]


def test_a_sample_that_answers_for_nobody_is_an_input_with_an_expectation():
    (sample,) = parse.load(with_samples({"name": "x", "input": {}, "expect": {"outcome": "changed"}})).samples

    assert not sample.answers_for_all


@pytest.mark.parametrize(
    ("change", "where", "what"),
    [
        ({"answers": {"extrat": {}}}, "/spec/samples/0/answers/extrat", "there is no step 'extrat'"),
        ({"answers": {"extrat/2": {}}}, "/spec/samples/0/answers/extrat~12", "there is no step 'extrat/2'"),
        ({"fails": {"nobody": "timeout"}}, "/spec/samples/0/fails/nobody", "there is no step 'nobody'"),
        ({"expect": {"path": ["extract", "gone"]}}, "/spec/samples/0/expect/path/1", "there is no step 'gone'"),
    ],
)
def test_a_step_that_does_not_exist_is_refused_where_it_is_named(change, where, what):
    (fault,) = parse.faults_of(with_samples({**SAMPLE, **change}))

    assert (fault.where, fault.what, fault.code) == (where, what, "sample")
    assert "steps are extract, triage" in fault.remedy


def test_two_samples_of_one_name_are_refused():
    (fault,) = parse.faults_of(with_samples(SAMPLE, SAMPLE))

    assert fault.where == "/spec/samples/1/name"


def test_a_change_of_samples_is_told_by_their_names():
    other = {**SAMPLE, "expect": {"outcome": "refused"}}

    said = wording.sentences(with_samples(SAMPLE), with_samples(other, {"name": "new", "input": {}}), "invoice-flow")

    assert said[0].startswith("Sample “a typo”: expect was ")
    assert said[1] == "Adds the sample “new”."


def with_blocks(**said):
    document = invoice_flow()
    look = {"id": "look", "set": {"x": "1"}}
    branch = {"steps": [{"id": "one", "set": {"x": "1"}}]}
    document["spec"]["steps"][:0] = [
        {"id": "each", "map": "[1]", "steps": [look]},
        {"id": "both", "parallel": {"left": branch}},
        {"id": "sub", "run": "helper"},
    ]
    document["spec"]["samples"] = [{"name": "x", "input": {}, "answers": said}]
    return document


@pytest.mark.parametrize("key", ["look", "each#2.look", "each/2#1.look/3", "both.one", "sub.anything", "sub/2.inner#4.x"])
def test_a_key_may_name_the_blocks_on_the_way_to_its_step(key):
    assert parse.faults_of(with_blocks(**{key: {}})) == []


@pytest.mark.parametrize(
    ("key", "what"),
    [
        ("both#1.one", "'both' walks no items"),
        ("both.look", "'look' does not stand in 'both'"),
        ("triage.look", "'triage' is no block"),
        ("eech#1.look", "there is no step 'eech'"),
        ("each#1.lok", "there is no step 'each#1.lok'"),
    ],
)
def test_a_key_that_no_step_can_be_meant_by_is_refused(key, what):
    (fault,) = parse.faults_of(with_blocks(**{key: {}}))

    assert (fault.where, fault.what, fault.code) == (f"/spec/samples/0/answers/{key}", what, "sample")


def test_of_two_keys_that_fit_the_one_that_says_more_counts():
    places = (Place("checks", 2), Place("each", 1, item=3))

    def told(*keys):
        return said({key: key for key in keys}, places, "look", 1)

    assert told("look", "each.look", "each#3.look", "each#4.look") == "each#3.look"
    assert told("checks/2.look", "checks/1.each#3.look", "look") == "checks/2.look"
    assert told("look/2", "each#1.look") is None
    assert said({"look": 1}, (Place("sub", 1, is_run=True),), "look", 1) is None
    assert said({"sub.look": 1}, (Place("sub", 1, is_run=True),), "look", 1) == 1
