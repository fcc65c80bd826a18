"""Verbs on people: who may, what is recorded, and that nobody widens his own rights."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aegis.core.actors import SYSTEM, Actor, agent_actor, user_actor
from aegis.core.errors import Forbidden, Invalid, NotAuthenticated, NotFound
from aegis.identity import grants, people
from aegis.identity.authority import current_epoch
from aegis.identity.models import Area, User
from aegis.identity.principals import LastAdmin, OwnRights
from audit.models import Event, Payload

pytestmark = pytest.mark.django_db

AsActor = Callable[[User], Actor]


def last_event() -> Event:
    return Event.objects.order_by("-pk")[0]


def test_the_areas_are_there_after_migrating(area_rows: None) -> None:
    names = set(Area.objects.values_list("name", flat=True))

    assert names == {
        "access",
        "contracts",
        "routing",
        "workflows",
        "agents",
        "approvals",
        "queues",
        "people",
        "audit",
        "alerts",
    }


def test_an_admin_adds_a_person_with_groups_and_the_journal_has_it(ada: User, sam: User, as_actor: AsActor) -> None:
    before = current_epoch()

    zoe = people.create_person(
        "zoe", name="Zoe Ng", email="zoe@example.org", groups=["Support leads"], actor=as_actor(ada), reason="joins support"
    )

    assert zoe.get_full_name() == "Zoe Ng"
    assert not zoe.has_usable_password()
    assert list(zoe.groups.values_list("name", flat=True)) == ["Support leads"]
    assert current_epoch() > before
    assert list(Event.objects.filter(scope_id=str(zoe.pk)).order_by("seq").values_list("type", flat=True)) == [
        "access.person_created",
        "access.group_joined",
    ]


def test_what_people_typed_is_in_payloads_and_not_in_the_line(ada: User, as_actor: AsActor) -> None:
    zoe = people.create_person("zoe", name="Zoe Ng", email="zoe@example.org", actor=as_actor(ada), reason="covers for Kim")

    event = Event.objects.get(type="access.person_created", scope_id=str(zoe.pk))
    for typed in ("zoe", "Ng", "example.org", "Kim"):
        assert typed not in event.line
    bodies = dict(Payload.objects.filter(stream=event.stream, seq=event.seq).values_list("name", "body"))
    assert bodies["reason"] == '"covers for Kim"'
    assert "zoe@example.org" in bodies["person"]


@pytest.mark.parametrize("reason", ["", "   ", "x" * 2001, "a\x00b"])
def test_a_reason_is_required(ada: User, sam: User, as_actor: AsActor, reason: str) -> None:
    with pytest.raises(Invalid) as caught:
        people.disable_person(sam.pk, actor=as_actor(ada), reason=reason)

    assert caught.value.faults[0].where == "/reason"
    sam.refresh_from_db()
    assert sam.is_active


@pytest.mark.parametrize("username", ["", "two words", "ada", "x" * 151])
def test_a_user_name_that_is_taken_or_not_allowed_is_named(ada: User, as_actor: AsActor, username: str) -> None:
    with pytest.raises(Invalid) as caught:
        people.create_person(username, actor=as_actor(ada), reason="joins")

    assert [fault.where for fault in caught.value.faults] == ["/username"]
    assert not Event.objects.filter(type="access.person_created", actor_ref=str(ada.pk)).exists()


def test_nobody_makes_an_account_whose_password_he_knows(ada: User, as_actor: AsActor) -> None:
    with pytest.raises(OwnRights):
        people.create_person("puppet", password="correct horse battery", groups=["Admins"], actor=as_actor(ada), reason="mine")

    assert not User.objects.filter(username="puppet").exists()
    assert (last_event().type, last_event().actor_ref) == ("access.denied", str(ada.pk))


def test_a_weak_password_is_refused(area_rows: None) -> None:
    with pytest.raises(Invalid) as caught:
        people.create_person("zoe", password="password", actor=SYSTEM, reason="joins")

    assert caught.value.faults[0].where == "/password"


def test_without_edit_on_access_nothing_happens_and_the_attempt_is_on_record(quinn: User, sam: User, as_actor: AsActor) -> None:
    with pytest.raises(Forbidden) as caught:
        people.disable_person(sam.pk, actor=as_actor(quinn), reason="I would like to")

    assert caught.value.right == "edit"
    sam.refresh_from_db()
    assert sam.is_active
    assert (last_event().type, last_event().actor_ref) == ("access.denied", str(quinn.pk))


def test_who_may_not_even_see_access_is_told_nothing(olivia: User, sam: User, as_actor: AsActor) -> None:
    with pytest.raises(NotFound):
        people.disable_person(sam.pk, actor=as_actor(olivia), reason="I would like to")


def test_a_superuser_without_groups_may_not_change_rights(root: User, sam: User, as_actor: AsActor) -> None:
    with pytest.raises(NotFound):
        people.add_to_group(sam.pk, "Support leads", actor=as_actor(root), reason="because I can")


def test_an_agent_may_not_change_rights(sam: User) -> None:
    with pytest.raises(Forbidden):
        people.add_to_group(sam.pk, "Support leads", actor=agent_actor("a" * 36), reason="it told me to")


def test_nobody_adds_himself_to_a_group(ada: User, sam: User, as_actor: AsActor) -> None:
    before = set(ada.groups.values_list("name", flat=True))

    with pytest.raises(OwnRights):
        people.add_to_group(ada.pk, "Support leads", actor=as_actor(ada), reason="to help out")

    assert set(ada.groups.values_list("name", flat=True)) == before
    assert last_event().type == "access.denied"
    assert '"code":"own_rights"' in last_event().line


def test_nobody_adds_himself_even_as_a_superuser_with_the_right(ada: User, sam: User, as_actor: AsActor) -> None:
    ada.is_superuser = True
    ada.save(update_fields=["is_superuser"])

    with pytest.raises(OwnRights):
        people.add_to_group(ada.pk, "Support leads", actor=as_actor(ada), reason="to help out")


def test_joining_and_leaving_twice_is_once(ada: User, sam: User, olivia: User, as_actor: AsActor) -> None:
    actor = as_actor(ada)

    joined = [people.add_to_group(olivia.pk, "Support leads", actor=actor, reason="holiday cover") for _ in range(2)]
    left = [people.remove_from_group(olivia.pk, "Support leads", actor=actor, reason="back again") for _ in range(2)]

    assert (joined, left) == ([True, False], [True, False])
    types = Event.objects.filter(actor_ref=str(ada.pk)).order_by("pk").values_list("type", flat=True)
    assert list(types) == ["access.group_joined", "access.group_left"]


def test_a_disabled_person_can_do_nothing_more(ada: User, person: Callable[..., User], as_actor: AsActor) -> None:
    eve = person("eve", "Admins")

    assert people.disable_person(eve.pk, actor=as_actor(ada), reason="left the company")

    with pytest.raises(NotAuthenticated):
        people.create_person("mallory", actor=as_actor(eve), reason="one last thing")
    assert not people.disable_person(eve.pk, actor=as_actor(ada), reason="again")


def test_the_last_admin_cannot_lock_everybody_out(ada: User, as_actor: AsActor) -> None:
    actor = as_actor(ada)
    admins = ada.groups.get()

    with pytest.raises(LastAdmin):
        people.disable_person(ada.pk, actor=actor, reason="bye")
    with pytest.raises(LastAdmin):
        people.remove_from_group(ada.pk, "Admins", actor=actor, reason="bye")
    with pytest.raises(LastAdmin):
        grants.revoke(admins, Area.objects.get(name="access"), "edit", actor=actor, reason="bye")

    assert people.access_editors() == 1
    assert last_event().type == "access.denied"


def test_an_unknown_group_or_person_is_not_found(ada: User, sam: User, as_actor: AsActor) -> None:
    with pytest.raises(NotFound):
        people.add_to_group(sam.pk, "Kings", actor=as_actor(ada), reason="promotion")
    with pytest.raises(NotFound):
        people.add_to_group(Area.objects.get(name="audit").pk, "Support leads", actor=as_actor(ada), reason="promotion")


def test_an_actor_with_a_made_up_id_is_nobody(sam: User) -> None:
    with pytest.raises(NotAuthenticated):
        people.disable_person(sam.pk, actor=user_actor("no-uuid", auth="session"), reason="hello")


def test_the_system_may_and_is_named_as_the_actor(area_rows: None) -> None:
    people.create_group("Night shift", actor=SYSTEM, reason="set-up")
    people.create_group("Night shift", actor=SYSTEM, reason="set-up")

    assert Event.objects.filter(type="access.group_created").count() == 1
    assert last_event().actor_kind == "system"
