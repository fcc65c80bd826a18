"""Change control is the one door: rights, lint, guards, events, history; and nobody passes it alone where it is guarded."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest
from django.contrib.auth.models import Group
from django.db import DatabaseError, transaction

from aegis.core import canonical
from aegis.core.actors import SYSTEM, Actor, user_actor
from aegis.core.canonical import Json
from aegis.core.errors import AegisError, Conflict, Forbidden, Invalid, NotFound, Stale
from aegis.core.kinds import Key
from aegis.identity import grants, people
from aegis.identity.authority import current_epoch
from aegis.identity.models import User
from approvals import changes, gates, questions
from approvals.errors import AlreadyBootstrapped, ChangeInvalid, GuardedChange, NobodyEligible, NotEligible, NothingToChange
from approvals.models import ApprovalPolicy, ApprovalRequest, ChangeSet, DocumentVersion
from audit import journal
from audit.models import Event
from tests.approvals.conftest import policy_document

pytestmark = pytest.mark.django_db
Document = tuple[Key, Json | None]

CONFIG = {"stages": [{"groups": ["Admins"], "quorum": 2}], "deadline": "1d"}


def key(name: str) -> Key:
    return Key("ApprovalPolicy", name)


def doc(name: str = "closing", *, dual_control: bool = False, **spec: Json) -> Document:
    document = policy_document(name, **spec)
    if dual_control:
        document["metadata"]["dual_control"] = True
    return key(name), document


def propose(author: User, *documents: Document, reason: str = "needed", **more: object) -> ChangeSet:
    actor = user_actor(author.pk, auth="session")
    return changes.propose(documents, author=author, actor=actor, reason=reason, **more)  # type: ignore[arg-type]


def decide(person: User, change_set: ChangeSet, verdict: str = "approve") -> ApprovalRequest:
    request = ApprovalRequest.objects.get(pk=change_set.pk)
    return gates.decide(request.pk, person=person, auth="session", verdict=verdict, reason="judged", seen_digest=request.digest)


def events(kind: str = "ApprovalPolicy") -> list[str]:
    return [event.type for event in journal.read(f"config:{kind}")]


def stands(name: str = "closing") -> Json | None:
    row = ApprovalPolicy.objects.filter(name=name).first()
    return canonical.parse(row.document) if row else None


@pytest.fixture(autouse=True)
def _no_foreign_hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The matrix has nothing to compile here."""
    monkeypatch.setattr(changes, "_hooks", [])


@pytest.fixture
def admins(ada: User, lead: User, person: Callable[..., User]) -> tuple[User, User]:
    """Two people beside ada who are in the group that decides guarded changes."""
    return person("abe", "Admins"), person("amy", "Admins")


@pytest.fixture
def guarded(ada: User, admins: tuple[User, User]) -> ChangeSet:
    """A proposal of ada that waits for two others."""
    propose(ada, doc("config-change", **CONFIG), doc(dual_control=True))
    return propose(ada, doc(dual_control=True, deadline="2h"))


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
            "two of Leads must approve, and only one there could",
        ),
        ({"fast_path": "risk =="}, "/spec/fast_path", "Syntax error"),
        ({"fast_path": "secrets.all"}, "/spec/fast_path", "undeclared reference"),
        ({"fast_path": "1 + 1"}, "/spec/fast_path", "must be true or false"),
        ({"stages": []}, "/spec/stages", "[] has less than 1 item"),
        ({"deadline": "soon"}, "/spec/deadline", "does not match"),
        ({"approve_after": "1h"}, "/spec", "Additional properties"),
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

    from tests.approvals.conftest import ask

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


# Guards


def test_a_guarded_change_without_a_policy_for_it_is_refused(ada: User, lead: User) -> None:
    propose(ada, doc(dual_control=True))

    with pytest.raises(GuardedChange, match="no approval policy “config-change” says who they are"):
        propose(ada, doc(dual_control=True, deadline="2h"))
    assert stands() == doc(dual_control=True)[1]


def test_taking_the_mark_off_needs_two_others_as_well(ada: User, guarded: ChangeSet) -> None:
    for attempt in (doc(), (key("closing"), None)):
        change_set = propose(ada, attempt)
        assert change_set.status == ChangeSet.Status.PROPOSED


def test_the_policy_of_guarded_changes_needs_two_people_and_guards_itself(ada: User, admins: tuple[User, User]) -> None:
    with pytest.raises(ChangeInvalid, match="speaks against"):
        propose(ada, doc("config-change", stages=[{"groups": ["Admins"]}]))
    propose(ada, doc("config-change", **CONFIG))

    weaker = propose(ada, doc("config-change", **{**CONFIG, "stages": [{"groups": ["Leads", "Admins"], "quorum": 2}]}))

    assert weaker.status == ChangeSet.Status.PROPOSED


def test_the_author_is_not_one_of_the_two(ada: User, admins: tuple[User, User], guarded: ChangeSet) -> None:
    with pytest.raises(NotEligible, match="you proposed this change"):
        decide(ada, guarded)
    decide(admins[0], guarded)
    with pytest.raises(NotEligible):
        decide(ada, guarded)

    assert stands() == doc(dual_control=True)[1]


def test_a_guarded_change_that_too_few_could_approve_is_refused_when_proposed(
    ada: User, lead: User, person: Callable[..., User]
) -> None:
    other = person("abe", "Admins")
    person("amy", "Admins")
    propose(ada, doc("config-change", **CONFIG), doc(dual_control=True))
    people.remove_from_group(other.pk, "Admins", actor=SYSTEM, reason="moved")

    with pytest.raises(NobodyEligible), transaction.atomic():
        propose(ada, doc(dual_control=True, deadline="2h"))
    assert ChangeSet.objects.filter(status=ChangeSet.Status.PROPOSED).count() == 0


def test_two_approvals_apply_it_in_the_authors_name(ada: User, admins: tuple[User, User], guarded: ChangeSet) -> None:
    decide(admins[0], guarded)
    assert stands() == doc(dual_control=True)[1]

    decide(admins[1], guarded)

    guarded.refresh_from_db()
    assert guarded.status == ChangeSet.Status.APPLIED
    assert stands() == doc(dual_control=True, deadline="2h")[1]
    last = journal.read("config:ApprovalPolicy")[-1]
    line = canonical.parse(last.line)
    assert (last.type, last.actor_ref) == ("config.applied", str(ada.pk))
    assert line["cause"].startswith(f"request:{guarded.pk}/")
    assert journal.payload(last.stream, last.seq, "reason") == b'"needed"'


def test_a_rejection_changes_nothing_and_is_recorded(admins: tuple[User, User], guarded: ChangeSet) -> None:
    decide(admins[0], guarded, "reject")

    guarded.refresh_from_db()
    assert guarded.status == ChangeSet.Status.REJECTED
    assert events()[-1] == "config.rejected"
    assert stands() == doc(dual_control=True)[1]


def test_a_proposal_whose_deadline_passes_is_not_applied(
    admins: tuple[User, User], guarded: ChangeSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide(admins[0], guarded)
    deadline = ApprovalRequest.objects.get(pk=guarded.pk).deadline
    monkeypatch.setattr("aegis.core.clock.db_now", lambda: deadline)

    assert gates.expire_due() == 1

    guarded.refresh_from_db()
    assert guarded.status == ChangeSet.Status.REJECTED
    assert stands() == doc(dual_control=True)[1]


def test_when_the_base_moves_other_proposals_are_stale_and_their_requests_closed(
    ada: User, admins: tuple[User, User], guarded: ChangeSet
) -> None:
    other = propose(ada, doc(dual_control=True, deadline="5h"))
    decide(admins[0], guarded)
    decide(admins[1], guarded)

    other.refresh_from_db()
    assert other.status == ChangeSet.Status.STALE
    assert ApprovalRequest.objects.get(pk=other.pk).status == ApprovalRequest.Status.WITHDRAWN
    assert events()[-1] == "config.stale"


def test_a_row_changed_behind_the_door_makes_the_proposal_stale(admins: tuple[User, User], guarded: ChangeSet) -> None:
    decide(admins[0], guarded)
    behind = canonical.dump(doc(dual_control=True, deadline="9h")[1]).decode()
    ApprovalPolicy.objects.filter(name="closing").update(document=behind)

    with pytest.raises(Stale, match="can only be rejected"):
        decide(admins[1], guarded)
    assert stands() == doc(dual_control=True, deadline="9h")[1]


def test_an_author_who_lost_the_right_meanwhile_changes_nothing(
    ada: User, admins: tuple[User, User], guarded: ChangeSet
) -> None:
    from aegis.identity.areas import area

    decide(admins[0], guarded)
    grants.revoke(Group.objects.get(name="Admins"), area("approvals"), "edit", actor=SYSTEM, reason="moved")

    decide(admins[1], guarded)

    guarded.refresh_from_db()
    assert guarded.status == ChangeSet.Status.STALE
    assert canonical.parse(journal.read("config:ApprovalPolicy")[-1].line)["data"]["code"] == "rights_lost"
    assert stands() == doc(dual_control=True)[1]


def test_what_no_longer_passes_lint_is_stale_when_approved(
    ada: User, admins: tuple[User, User], lead: User, guarded: ChangeSet
) -> None:
    decide(admins[0], guarded)
    people.remove_from_group(lead.pk, "Leads", actor=SYSTEM, reason="moved")

    decide(admins[1], guarded)

    guarded.refresh_from_db()
    assert guarded.status == ChangeSet.Status.STALE
    last = journal.read("config:ApprovalPolicy")[-1]
    assert b"nobody there could" in (journal.payload(last.stream, last.seq, "faults") or b"")


@pytest.mark.parametrize(("error", "code"), [(Forbidden("you are in it"), "rights_lost"), (Conflict("would break"), "refused")])
def test_what_applying_refuses_is_told_and_settles_the_change_and_never_undoes_the_decision(
    admins: tuple[User, User], guarded: ChangeSet, monkeypatch: pytest.MonkeyPatch, error: AegisError, code: str
) -> None:
    def refuse(kinds: set[str], change_id: UUID) -> None:
        raise error

    monkeypatch.setattr(changes, "_hooks", [refuse])
    decide(admins[0], guarded)

    request = decide(admins[1], guarded)

    guarded.refresh_from_db()
    assert (request.status, guarded.status) == (ApprovalRequest.Status.APPROVED, ChangeSet.Status.STALE)
    assert stands() == doc(dual_control=True)[1]
    assert not DocumentVersion.objects.filter(change_set=guarded).exists()
    last = journal.read("config:ApprovalPolicy")[-1]
    assert (last.type, canonical.parse(last.line)["data"]["code"]) == ("config.stale", code)
    told = questions.get("change").live(request.subject).aftermath
    assert told == f"It was approved, but not applied; nothing changed. {error.detail}."


def test_the_author_may_take_it_back_and_nobody_else(ada: User, admins: tuple[User, User], guarded: ChangeSet) -> None:
    with pytest.raises(NotFound):
        changes.withdraw(guarded.pk, actor=user_actor(admins[0].pk, auth="session"), reason="x")

    changes.withdraw(guarded.pk, actor=user_actor(ada.pk, auth="session"), reason="not needed")

    assert ApprovalRequest.objects.get(pk=guarded.pk).status == ApprovalRequest.Status.WITHDRAWN
    assert events()[-1] == "config.withdrawn"
    with pytest.raises(Conflict):
        changes.withdraw(guarded.pk, actor=user_actor(ada.pk, auth="session"), reason="again")


def test_a_set_that_would_break_a_document_outside_it_is_refused(
    ada: User, lead: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kind of the standing document says so itself; here by a policy that lint wants to keep its sibling."""
    from aegis.core.errors import Fault
    from aegis.core.kinds import get_kind

    propose(ada, doc("keeper"), doc("kept"))
    kind, lint = get_kind("ApprovalPolicy"), get_kind("ApprovalPolicy").lint

    def needs_kept(change: object, overlay: object) -> list[Fault]:
        faults = lint(change, overlay)  # type: ignore[arg-type]
        if change.new and change.key.name == "keeper" and overlay.get("ApprovalPolicy", "kept") is None:  # type: ignore[attr-defined]
            faults.append(Fault("/spec", "needs kept"))
        return faults

    monkeypatch.setattr(kind, "lint", needs_kept)

    with pytest.raises(ChangeInvalid) as refusal:
        propose(ada, (key("kept"), None))
    assert str(refusal.value.faults[0]) == "ApprovalPolicy/keeper/spec: needs kept"
    propose(ada, (key("kept"), None), (key("keeper"), None))
