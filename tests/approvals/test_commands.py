"""`manage.py aegis plan|apply|export`: the words, the places, the exit codes, and that bad manifests change nothing."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import call_command

from aegis.core import manifests
from aegis.core.canonical import Json
from aegis.identity.models import User
from approvals import changes
from approvals.models import ApprovalPolicy, ApprovalRequest, ChangeSet
from tests.approvals.house import policy_document

pytestmark = pytest.mark.django_db
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _only_policies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "_hooks", [])


@pytest.fixture
def run() -> Run:
    """(exit code, what went out, what went to the error stream)"""

    def call(*words: object) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        code = 0
        try:
            call_command("aegis", *[str(word) for word in words], stdout=out, stderr=err)
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, out.getvalue(), err.getvalue()

    return call


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    def write(*documents: Json, name: str = "policies.yaml") -> Path:
        path = tmp_path / name
        path.write_text(manifests.dump(documents))
        return path

    return write


def test_plan_tells_the_change_in_words_and_changes_nothing(run: Run, file: Callable[..., Path], lead: User) -> None:
    code, out, err = run("plan", file(policy_document()))

    assert code == 0
    assert "+ ApprovalPolicy/closing" in out
    assert "One person: one of Leads." in out
    assert "It never approves by itself." in out
    assert out.endswith("1 to add, 0 to change, 0 to remove.\n")
    assert err == ""
    assert not ApprovalPolicy.objects.exists()


def test_apply_needs_a_person_and_a_reason(run: Run, file: Callable[..., Path], ada: User, lead: User) -> None:
    path = file(policy_document())

    assert run("apply", path)[0] == 2
    assert run("apply", path, "--as", "ada")[0] == 2
    assert run("apply", path, "--as", "nobody", "--reason", "x")[0] == 2
    code, out, _ = run("apply", path, "--as", "ada", "--reason", "first policy")

    assert code == 0
    assert f"Applied: change set {ChangeSet.objects.get().pk}, 1 to add, 0 to change, 0 to remove" in out
    assert run("apply", path, "--as", "ada", "--reason", "again") == (0, "Nothing to change.\n", "")


def test_who_may_not_edit_is_refused_with_the_right_and_the_group(
    run: Run, file: Callable[..., Path], ada: User, lead: User
) -> None:
    code, _, err = run("apply", file(policy_document()), "--as", "lea", "--reason", "x")

    assert code == 1
    assert "“edit” on the area “approvals”" in err
    assert "Admins" in err
    assert not ApprovalPolicy.objects.exists()


def test_bootstrap_works_once_and_takes_no_person(run: Run, file: Callable[..., Path], lead: User) -> None:
    path = file(policy_document())

    assert run("apply", "--bootstrap", path, "--as", "lea")[0] == 2
    assert run("apply", "--bootstrap", path)[0] == 0
    code, _, err = run("apply", "--bootstrap", file(policy_document(deadline="2h")))

    assert (code, ApprovalPolicy.objects.get().version) == (1, 1)
    assert "already_bootstrapped" in err


def test_what_is_exported_and_planned_again_is_nothing_to_change(
    run: Run, file: Callable[..., Path], tmp_path: Path, lead: User
) -> None:
    spec = {"fast_path": "risk == 'low' &&\n  parameters.amount < 50\n", "reason": "always"}
    run("apply", "--bootstrap", file(policy_document(), policy_document("second", **spec)))

    code, out, _ = run("export", "ApprovalPolicy")
    exported = tmp_path / "export.yaml"
    exported.write_text(out)

    assert code == 0
    assert run("export", "ApprovalPolicy")[1] == out
    assert run("plan", exported) == (0, "Nothing to change.\n", "")


def test_export_of_one_document_and_of_an_unknown_one(run: Run, file: Callable[..., Path], lead: User) -> None:
    run("apply", "--bootstrap", file(policy_document(), policy_document("second")))

    code, out, _ = run("export", "ApprovalPolicy/second")

    assert code == 0
    assert [manifest.key.name for manifest in manifests.read(out, "out.yaml")] == ["second"]
    assert run("export", "ApprovalPolicy/absent")[0] == 2
    assert run("export", "Wish")[0] == 2


def test_a_fault_names_file_line_and_column(run: Run, tmp_path: Path, ada: User, lead: User) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(
        "apiVersion: aegis/v1\n"
        "kind: ApprovalPolicy\n"
        "metadata: {name: closing}\n"
        "spec:\n"
        "  deadline: 1h\n"
        "  stages:\n"
        "    - groups: [Leads]\n"
        "    - groups: [Leads, Nobody]\n"
        "  fast_path: risk ==\n"
    )

    code, _, err = run("plan", path)

    assert code == 1
    assert f"fault: {path}:8:23: /spec/stages/1/groups/1: there is no group 'Nobody'" in err
    assert f"fault: {path}:9:21: /spec/fast_path 1:8" in err
    assert run("apply", path, "--as", "ada", "--reason", "x")[0] == 1
    assert not ApprovalPolicy.objects.exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", ":2:1: "),
        ("apiVersion: aegis/v1\nkind: Wish\nmetadata: {name: x}\nspec: {}\n", ":2:7: There is no kind 'Wish'"),
        ("apiVersion: aegis/v1\nkind: ApprovalPolicy\nkind: Role\n", ":3:1: the key 'kind' appears twice"),
        ("apiVersion: aegis/v1\nkind: ApprovalPolicy\nmetadata: {name: 'a\0'}\n", ":3:20: a NUL character"),
        ("a: &a [*a]\n", ":1:4: anchors and aliases are not accepted"),
        ("a: !!python/object/apply:os.system [ls]\n", ":1:4: tags are not accepted"),
        ("[" * 5000, ":1:66: nested deeper than 64 levels"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_wrong_use_and_changes_nothing(
    run: Run, tmp_path: Path, ada: User, lead: User, text: str, said: str
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    good = tmp_path / "good.yaml"
    good.write_text(manifests.dump([policy_document()]))

    code, _, err = run("apply", good, path, "--as", "ada", "--reason", "x")

    assert code == 2
    assert f"{path}{said}" in err
    assert not ApprovalPolicy.objects.exists()


def test_a_document_may_be_removed_by_name(run: Run, file: Callable[..., Path], ada: User, lead: User) -> None:
    run("apply", "--bootstrap", file(policy_document()))

    code, out, _ = run("apply", "--remove", "ApprovalPolicy/closing", "--as", "ada", "--reason", "unused")

    assert code == 0
    assert "- ApprovalPolicy/closing" in out
    assert not ApprovalPolicy.objects.exists()
    assert run("plan", "--remove", "closing")[0] == 2


def test_a_guarded_change_ends_with_its_own_code(
    run: Run, file: Callable[..., Path], ada: User, lead: User, person: Callable[..., User]
) -> None:
    person("abe", "Admins"), person("amy", "Admins")
    marked = policy_document()
    marked["metadata"]["dual_control"] = True
    config = policy_document("config-change", stages=[{"groups": ["Admins"], "quorum": 2}])
    run("apply", "--bootstrap", file(marked, config))

    code, out, _ = run("apply", file(policy_document(deadline="2h")), "--as", "ada", "--reason", "longer")

    assert code == 3
    assert "! ApprovalPolicy/closing is under dual control. Two others must approve." in out
    assert f"Waits for approval: request {ApprovalRequest.objects.get().pk}" in out
    assert ApprovalPolicy.objects.get(name="closing").version == 1
