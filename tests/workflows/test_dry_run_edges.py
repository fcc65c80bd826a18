"""Dry runs from the command line and over the API, and the schemas and maps that editors and documents take."""

from __future__ import annotations

import io
import json

import jsonschema_rs
import pytest
from django.core.management import call_command

from aegis.core import manifests
from aegis.core.kinds import Key, all_kinds, get_kind
from aegis.identity.models import User
from approvals import changes, schemas
from tests.support.api import client_of
from tests.workflows.documents import invoice_flow
from tests.workflows.test_sample_tests import INPUT, SAMPLE, publish, with_samples

pytestmark = pytest.mark.django_db


@pytest.fixture
def fred(bootstrapped):
    return User.objects.get(username="fred")


@pytest.fixture
def run():
    def run(*arguments):
        out, err = io.StringIO(), io.StringIO()
        try:
            call_command("aegis", *map(str, arguments), stdout=out, stderr=err)
        except SystemExit as end:
            return end.code, out.getvalue(), err.getvalue()
        return 0, out.getvalue(), err.getvalue()

    return run


@pytest.fixture
def files(tmp_path):
    def write(name, value):
        path = tmp_path / name
        path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
        return path

    return write


SCRIPT = {name: SAMPLE[name] for name in ("answers", "records")}


def test_the_command_tells_path_values_verdicts_and_who_is_waited_for(fred, run, files):
    paths = files("input.json", INPUT), files("script.json", SCRIPT)

    code, out, err = run("dry-run", "invoice-flow", "--input", paths[0], "--script", paths[1], "--as", "fred")

    assert (code, err) == (0, "")
    assert "path: extract → triage → apply" in out
    assert "verdict: gate under two-eyes, by clerk/invoice.update; matrix " in out
    assert out.endswith("apply waits for a decision under two-eyes, by Finance leads.\n")


def test_the_command_tells_it_as_json_too(fred, run, files):
    paths = files("input.json", INPUT), files("script.json", SCRIPT)

    _, out, _ = run("dry-run", "invoice-flow", "--input", paths[0], "--script", paths[1], "--as", "fred", "--json")

    told = json.loads(out)
    assert (told["status"], told["path"], told["waits_for"]["who"]) == (
        "waiting_decision", ["extract", "triage", "apply"], ["Finance leads"],
    )  # fmt: skip


def test_samples_are_tried_from_the_command_line_and_one_that_fails_is_exit_code_one(fred, run, files, as_actor):
    publish(with_samples(SAMPLE), as_actor)
    wrong = with_samples({**SAMPLE, "expect": {"outcome": "refused"}})
    manifest = files("workflow.yaml", manifests.dump([wrong]))

    good = run("dry-run", "invoice-flow", "--samples", "--as", "fred")
    bad = run("dry-run", "invoice-flow", "--samples", "--file", manifest, "--as", "fred")

    assert (good[0], bad[0]) == (0, 1)
    assert "passes: a typo" in good[1]
    assert "1 of 1 samples pass." in good[1]
    line = next(number for number, text in enumerate(manifest.read_text().splitlines(), 1) if "outcome: refused" in text)
    assert f"workflow.yaml:{line}:" in bad[2]
    assert "write outcome: changed" in bad[2]


def test_a_sample_whose_agents_must_be_asked_is_not_decided(fred, run, as_actor):
    publish(with_samples({"name": "x", "input": INPUT, "expect": {"outcome": "changed"}}), as_actor)

    code, out, _ = run("dry-run", "invoice-flow", "--samples", "--as", "fred")

    assert (code, "not decided: x" in out) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--as", "fred"), "--input FILE"),
        (("--as", "nobody"), "no active person"),
        (("--samples", "--sample", "gone", "--as", "fred"), "no sample 'gone'"),
        (("--input", "missing.json", "--as", "fred"), "cannot be read"),
    ],
)
def test_wrong_use_is_told_and_is_exit_code_two(fred, run, arguments, says):
    code, _, err = run("dry-run", "invoice-flow", *arguments)

    assert code == 2
    assert says in err


def test_a_script_that_says_nothing_known_is_refused_with_what_is(fred, run, files):
    paths = files("input.json", INPUT), files("script.json", {"anwsers": {}})

    code, _, err = run("dry-run", "invoice-flow", "--input", paths[0], "--script", paths[1], "--as", "fred")

    assert (code, "did you mean answers?" in err) == (2, True)


# --- API ---


def post(person, body, name="invoice-flow"):
    return client_of(person).post(f"/api/v1/workflows/{name}/dry-run", json.dumps(body), content_type="application/json")


def test_the_api_plays_it_without_a_trace(fred):
    from audit.models import Event
    from orchestration.engine.models import Run

    before = Event.objects.count(), Run.objects.count()

    answer = post(fred, {"input": INPUT, **SCRIPT})

    assert answer.status_code == 200
    assert answer.json()["path"] == ["extract", "triage", "apply"]
    assert (Event.objects.count(), Run.objects.count()) == before


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "/input"),
        ({"input": INPUT, "call_agents": "yes"}, "/call_agents"),
        ({"input": INPUT, "fails": {"extract": "sometimes"}}, "/fails/extract"),
        ({"input": {**INPUT, "amount": "5"}}, "/amount"),
    ],
)
def test_a_body_that_cannot_be_used_is_refused_at_its_place(fred, body, where):
    answer = post(fred, body)

    assert answer.status_code == 422
    assert [fault["where"] for fault in answer.json()["faults"]] == [where]


def test_who_may_not_start_it_learns_nothing_by_trying(fred, olivia):
    assert post(olivia, {"input": INPUT}).status_code == 404
    assert post(fred, {"input": INPUT}, name="gone").status_code == 404


def test_samples_over_the_api(fred, as_actor):
    publish(with_samples(SAMPLE), as_actor)

    told = client_of(fred).get("/api/v1/workflows/invoice-flow/samples").json()

    assert [(one["name"], one["verdict"]) for one in told["samples"]] == [("a typo", "passes")]


def test_the_map_as_mermaid_for_those_who_may_see_the_workflow(fred, olivia):
    answer = client_of(fred).get("/api/v1/workflows/invoice-flow/map")

    assert answer.content.decode().startswith("flowchart LR\n")
    assert client_of(olivia).get("/api/v1/workflows/invoice-flow/map").status_code == 404


def test_the_schema_of_every_kind_is_served_and_written(fred, run, tmp_path):
    served = {kind.name: client_of(fred).get(f"/api/v1/schemas/{kind.name}").json() for kind in all_kinds()}
    code, _, _ = run("schema", "--out", tmp_path)

    assert code == 0
    assert client_of(fred).get("/api/v1/schemas").json()["kinds"] == list(served)
    for name, schema in served.items():
        assert schema == json.loads((tmp_path / f"{name}.schema.json").read_text())
        assert json.loads(run("schema", name)[1]) == schema
        jsonschema_rs.validator_for(schema)
    assert client_of(fred).get("/api/v1/schemas/Nothing").status_code == 404


def test_one_schema_takes_a_document_of_any_kind_and_holds_it_to_its_own(fred, run):
    schema = json.loads(run("schema")[1])
    validator = jsonschema_rs.validator_for(schema, offline=True)

    assert schema == json.loads(schemas.as_text(schemas.of_any_document()))
    for kind in all_kinds():
        for name in kind.names():
            assert validator.is_valid(kind.dump(name)), f"{kind.name}/{name}"
    assert not validator.is_valid({**invoice_flow(), "spec": {}})
    assert not validator.is_valid({**invoice_flow(), "kind": "Workfolw"})


def test_a_preview_and_a_dry_run_say_the_same_of_a_sample(fred, as_actor):
    wrong = with_samples({**SAMPLE, "expect": {"outcome": "refused"}})

    judged = changes.preview([(Key("Workflow", "invoice-flow"), wrong)], fred)

    assert get_kind("Workflow").dump("invoice-flow") == invoice_flow()
    assert [fault.remedy for fault in judged.faults] == ["write outcome: changed"]
