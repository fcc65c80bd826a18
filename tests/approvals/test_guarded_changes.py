"""Where something is guarded nobody passes change control alone: two others approve, in the author's name."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest
from django.contrib.auth.models import Group
from django.db import transaction
from django.test import Client

from aegis.core import canonical
from aegis.core.actors import SYSTEM, user_actor
from aegis.core.errors import AegisError, Conflict, Forbidden, NotFound, Stale
from aegis.identity import grants, people
from aegis.identity.models import User
from approvals import changes, gates, questions
from approvals.errors import ChangeInvalid, GuardedChange, NobodyEligible, NotEligible
from approvals.models import ApprovalPolicy, ApprovalRequest, ChangeSet, DocumentVersion
from audit import journal
from tests.approvals.changing import CONFIG, decide, doc, events, key, propose, stands

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_foreign_hooks")]


@pytest.fixture
def admins(ada: User, lead: User, person: Callable[..., User]) -> tuple[User, User]:
    """Two people beside ada who are in the group that decides guarded changes."""
    return person("abe", "Admins"), person("amy", "Admins")


@pytest.fixture
def guarded(ada: User, admins: tuple[User, User]) -> ChangeSet:
    """A proposal of ada that waits for two others."""
    propose(ada, doc("config-change", **CONFIG), doc(dual_control=True))
    return propose(ada, doc(dual_control=True, deadline="2h"))


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


def test_its_page_says_why_it_was_proposed(ada: User, admins: tuple[User, User], browser_of: Callable[..., Client]) -> None:
    propose(ada, doc("config-change", **CONFIG), doc(dual_control=True))
    change_set = propose(ada, doc(dual_control=True, deadline="2h"), reason="The desk is <b>slow</b> in June")

    page = browser_of(admins[0]).get(f"/approvals/{change_set.pk}/").content.decode()

    why = page.split('id="why-t"')[1].split("</section>")[0]
    assert "The desk is &lt;b&gt;slow&lt;/b&gt; in June" in why
    assert "No reason was given" not in page


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
    assert b"too few there could" in (journal.payload(last.stream, last.seq, "faults") or b"")


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
