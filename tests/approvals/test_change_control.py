"""Change control is the one door: rights, lint, events, history. Guarded changes: test_guarded_changes."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest
from django.contrib.auth.models import Group
from django.db import DatabaseError, transaction

from aegis.core import canonical
from aegis.core.actors import SYSTEM, Actor, user_actor
from aegis.core.canonical import Json
from aegis.core.errors import Conflict, Forbidden, Invalid, NotFound, Stale
from aegis.core.kinds import Key
from aegis.identity import grants
from aegis.identity.authority import current_epoch
from aegis.identity.models import User
from approvals import changes
from approvals.errors import AlreadyBootstrapped, ChangeInvalid, NothingToChange
from approvals.models import ApprovalPolicy, ChangeSet, DocumentVersion
from audit import journal
from audit.models import Event
from tests.approvals.changing import doc, events, key, propose, stands
from tests.approvals.house import policy_document

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_foreign_hooks")]


def test_a_change_is_applied_with_row_version_history_and_event(ada: User, lead: User) -> None:
    change_set = propose(ada, doc(), reason="first policy")

    row = ApprovalPolicy.objects.get(name="closing")
    assert change_set.status == ChangeSet.Status.APPLIED
    assert canonical.parse(row.document) == policy_document()
    assert list(row.groups.values_list("name", flat=True)) == ["Leads"]
    assert DocumentVersion.objects.get().digest == row.digest
    (event,) = journal.read("config:ApprovalPolicy")
    assert event.type == "config.applied"
    assert (event.scope, event.scope_id) == ("policy", str(row.pk))
    assert canonical.parse(event.line)["data"] == {
        "change": str(change_set.pk),
        "kind": "ApprovalPolicy",
        "name": "closing",
        "action": "add",
        "digest": row.digest,
        "number": 1,
    }
    assert journal.payload(event.stream, 1, "reason") == b'"first policy"'
    assert canonical.parse(journal.payload(event.stream, 1, "document") or b"") == policy_document()
    assert row.history.get().history_change_reason == str(change_set.pk)
    assert row.history.get().history_user == ada


def test_a_second_version_is_numbered_and_told_in_words(ada: User, lead: User) -> None:
    propose(ada, doc())
    propose(ada, doc(deadline="2h"))

    assert list(DocumentVersion.objects.values_list("number", flat=True).order_by("number")) == [1, 2]
    assert ApprovalPolicy.objects.get().version == 2
    diff = canonical.parse(journal.payload("config:ApprovalPolicy", 2, "diff") or b"")
    assert diff == [
        "Approval policy “closing” no longer says: Undecided after 1 hour, it expires.",
        "Approval policy “closing” now says: Undecided after 2 hours, it expires.",
    ]


def test_every_change_raises_the_authority_epoch(ada: User, lead: User) -> None:
    before = current_epoch()
    propose(ada, doc())

    assert current_epoch() > before


def test_the_same_documents_again_are_nothing_to_change(ada: User, lead: User) -> None:
    propose(ada, doc())

    with pytest.raises(NothingToChange):
        propose(ada, doc())
    assert changes.preview([doc()], ada).is_empty


def test_without_the_right_nothing_changes_and_the_refusal_names_right_and_group(lead: User, ada: User) -> None:
    with pytest.raises(Forbidden) as refusal:
        propose(lead, doc())

    assert refusal.value.right == "edit"
    assert refusal.value.granted_by == "Admins"
    assert "“edit” on the area “approvals”" in refusal.value.detail
    assert stands() is None
    assert Event.objects.filter(type="access.denied").exists()


def test_superusers_get_no_branch(root: User, lead: User) -> None:
    with pytest.raises(Forbidden):
        propose(root, doc())


def test_the_right_is_asked_for_every_document_of_the_set(lead: User, ada: User) -> None:
    propose(ada, doc("one"), doc("two"))
    grants.grant(Group.objects.get(name="Leads"), ApprovalPolicy.objects.get(name="one"), "edit", actor=SYSTEM, reason="t")

    propose(lead, doc("one", deadline="2h"))
    with pytest.raises(Forbidden, match="ApprovalPolicy/two"):
        propose(lead, doc("one", deadline="3h"), doc("two", deadline="3h"))

    assert stands("one") == policy_document("one", deadline="2h")


def test_who_may_not_see_a_document_does_not_learn_it_from_the_preview(
    lead: User, ada: User, person: Callable[..., User]
) -> None:
    propose(ada, doc())

    (item,) = changes.preview([doc(deadline="2h")], person("mallory")).items

    assert item.sentences == ("Changes ApprovalPolicy/closing, which you may not see.",)
    assert item.missing


def test_nobody_proposes_in_the_name_of_another_or_of_nobody(ada: User, lead: User) -> None:
    actor = user_actor(lead.pk, auth="session")
    with pytest.raises(Forbidden):
        changes.propose([doc()], author=ada, actor=actor, reason="x")
    with pytest.raises(Forbidden):
        changes.propose([doc()], author=None, actor=SYSTEM, reason="x")
    with pytest.raises(Forbidden):
        changes.propose([doc()], author=ada, actor=Actor("agent", str(ada.pk), "engine"), reason="x")


@pytest.mark.parametrize(
    ("bad", "where", "what"),
    [
        ({"stages": [{"groups": ["Nobody"]}]}, "/spec/stages/0/groups/0", "no group 'Nobody'"),
        (
            {"stages": [{"groups": ["Leads"], "quorum": 2}]},
            "/spec/stages",
            "two of Leads must approve, and too few there could",
        ),
        ({"fast_path": "risk =="}, "/spec/fast_path", "Syntax error"),
        ({"fast_path": "secrets.all"}, "/spec/fast_path", "undeclared reference"),
        ({"fast_path": "1 + 1"}, "/spec/fast_path", "must be true or false"),
        ({"stages": []}, "/spec/stages", "[] has less than 1 item"),
        ({"deadline": "soon"}, "/spec/deadline", "does not match"),
        ({"approve_after": "1h"}, "/spec/approve_after", "is not a field here"),
    ],
)
def test_lint_names_what_and_where_and_nothing_is_changed(ada: User, lead: User, bad: Json, where: str, what: str) -> None:
    with pytest.raises(ChangeInvalid) as refusal:
        propose(ada, doc("good"), doc(**bad))

    (fault,) = refusal.value.faults
    assert fault.where.startswith(f"ApprovalPolicy/closing{where}")
    assert what in fault.what
    assert not ApprovalPolicy.objects.exists()
    assert not ChangeSet.objects.exists()
    assert events() == []


def test_a_document_must_be_about_the_name_it_came_under(ada: User, lead: User) -> None:
    with pytest.raises(ChangeInvalid, match="speaks against"):
        propose(ada, (key("other"), policy_document("closing")))
    with pytest.raises(Invalid, match="named twice"):
        propose(ada, doc(), doc())
    with pytest.raises(NotFound, match="no kind"):
        propose(ada, (Key("Wish", "x"), {}))


@pytest.mark.parametrize("value", [{"a\x00": 1}, float("nan"), {"spec": object()}, [], "text", {"kind": "ApprovalPolicy"}])
def test_hostile_documents_are_refused_as_such(ada: User, value: object) -> None:
    with pytest.raises(Invalid):
        propose(ada, (key("closing"), value))


def test_a_document_made_from_an_older_one_is_stale(ada: User, lead: User) -> None:
    propose(ada, doc())
    base = canonical.digest_of(policy_document())
    propose(ada, doc(deadline="2h"), bases={key("closing"): base})

    with pytest.raises(Stale):
        propose(ada, doc(deadline="3h"), bases={key("closing"): base})
    with pytest.raises(Stale):
        propose(ada, doc("new"), doc(deadline="3h"), bases={key("closing"): None})


def test_removing_leaves_versions_and_events_and_is_refused_while_requests_refer_to_it(ada: User, lead: User) -> None:
    propose(ada, doc(), doc("other"))
    propose(ada, (key("other"), None))
    assert stands("other") is None
    assert DocumentVersion.objects.filter(name="other").count() == 1
    assert canonical.parse(journal.read("config:ApprovalPolicy")[-1].line)["data"]["action"] == "remove"

    from tests.approvals.house import ask

    ask(ApprovalPolicy.objects.get())
    with pytest.raises(ChangeInvalid):
        propose(ada, (key("closing"), None))


def test_what_was_removed_and_added_again_goes_on_counting(ada: User, lead: User) -> None:
    propose(ada, doc())
    propose(ada, (key("closing"), None))
    propose(ada, doc())

    assert ApprovalPolicy.objects.get().version == 2


def test_bootstrap_applies_as_the_system_and_only_once(ada: User, lead: User) -> None:
    change_set = changes.bootstrap([doc(dual_control=True)])

    assert (change_set.author, change_set.status) == (None, ChangeSet.Status.APPLIED)
    assert journal.read("config:ApprovalPolicy")[0].actor_kind == "system"
    assert [event.type for event in journal.read("system")][-1] == "system.bootstrapped"
    with pytest.raises(AlreadyBootstrapped):
        changes.bootstrap([doc("second")])
    assert stands("second") is None


def test_bootstrap_is_over_once_a_person_has_applied_anything(ada: User, lead: User) -> None:
    propose(ada, doc())

    with pytest.raises(AlreadyBootstrapped):
        changes.bootstrap([doc("second")])


def test_a_bootstrap_that_lint_refuses_may_be_tried_again(ada: User, lead: User) -> None:
    with pytest.raises(ChangeInvalid):
        changes.bootstrap([doc(stages=[{"groups": ["Nobody"]}])])

    changes.bootstrap([doc()])


def test_hooks_run_inside_the_transaction_with_the_kinds_touched(
    ada: User, lead: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "_hooks", [])
    seen: list[tuple[set[str], UUID]] = []

    def hook(kinds: set[str], change_id: UUID) -> None:
        assert stands() is not None
        seen.append((kinds, change_id))
        if len(seen) > 1:
            raise Conflict("the matrix does not compile")

    changes.register_applied_hook(hook)
    change_set = propose(ada, doc())
    assert seen == [({"ApprovalPolicy"}, change_set.pk)]

    with pytest.raises(Conflict), transaction.atomic():
        propose(ada, doc(deadline="2h"))
    assert stands() == policy_document()


def test_versions_are_append_only_in_the_database_itself(ada: User, lead: User) -> None:
    propose(ada, doc())

    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        DocumentVersion.objects.update(digest="0" * 64)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        DocumentVersion.objects.all().delete()
