"""The first right of a fresh installation is given once from the command line, on record; then nobody gives himself any."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command
from guardian.models import GroupObjectPermission

from aegis.core.actors import SYSTEM, user_actor
from aegis.core.errors import Invalid
from aegis.identity import founding, grants, people
from aegis.identity.areas import AREAS, area
from aegis.identity.founding import AlreadyFounded
from aegis.identity.models import Area, User
from aegis.identity.principals import OwnRights
from audit.models import Event

pytestmark = pytest.mark.django_db


def found(*names: str) -> list[founding.Founder]:
    return founding.found(names, reason="we begin")


def test_the_first_people_may_edit_every_area_but_the_audit_and_it_is_on_record(area_rows):
    ada, ben = found("ada", "ben")

    for person in (ada.person, ben.person):
        assert set(Area.objects.visible_to(person).values_list("name", flat=True)) == set(AREAS)
        assert set(Area.objects.visible_to(person, "edit").values_list("name", flat=True)) == set(AREAS) - {"audit"}
    (event,) = Event.objects.filter(type="access.founded")
    assert event.actor_kind == "system"
    assert str(ada.person.pk) in event.line
    assert "we begin" not in event.line
    assert ada.password not in "".join(Event.objects.values_list("line", flat=True))
    assert User.objects.get(username="ada").check_password(ada.password)


@pytest.mark.parametrize("before", ["founded", "disabled", "a person", "a right"])
def test_it_is_refused_as_soon_as_there_is_anybody_or_any_right(area_rows, before):
    match before:
        case "founded":
            found("ada")
        case "disabled":
            made = people.create_person("old", actor=SYSTEM, reason="test")
            people.disable_person(made.pk, actor=SYSTEM, reason="test")
        case "a person":
            people.create_person("old", actor=SYSTEM, reason="test")
        case _:
            group = people.create_group("Old", actor=SYSTEM, reason="test")
            grants.grant(group, area("routing"), "view", actor=SYSTEM, reason="test")
    rights, persons = GroupObjectPermission.objects.count(), User.objects.count()

    with pytest.raises(AlreadyFounded):
        found("eve")

    assert (GroupObjectPermission.objects.count(), User.objects.count()) == (rights, persons)


@pytest.mark.parametrize("names", [[], ["ada", "ada"], ["no such!name"], [f"p{number}" for number in range(11)]])
def test_names_that_cannot_be_used_leave_nothing_behind(area_rows, names):
    with pytest.raises(Invalid):
        found(*names)

    assert not founding.is_founded()


def test_founders_give_others_rights_and_themselves_none(area_rows):
    ada, _ = found("ada", "ben")
    actor = user_actor(ada.person.pk, auth="session")
    admins = ada.person.groups.get()

    with pytest.raises(OwnRights):
        grants.grant(admins, area("audit"), "edit", actor=actor, reason="me too")
    carl = people.create_person("carl", actor=actor, reason="joins")
    people.add_to_group(carl.pk, "Admins", actor=actor, reason="third admin")

    assert Area.objects.visible_to(carl, "edit").filter(name="access").exists()
    assert not carl.has_usable_password()


def test_the_command_prints_passwords_once_and_refuses_the_second_time(area_rows):
    out = io.StringIO()
    call_command("aegis", "found", "ada", stdout=out, stderr=io.StringIO())
    name, password = out.getvalue().split()

    assert User.objects.get(username=name).check_password(password)
    with pytest.raises((CommandError, SystemExit)):
        call_command("aegis", "found", "eve", stdout=io.StringIO(), stderr=io.StringIO())
    assert [*User.objects.values_list("username", flat=True)] == ["ada"]


def test_a_new_password_comes_from_the_command_line(area_rows):
    found("ada")
    out = io.StringIO()
    call_command("aegis", "password", "ada", stdout=out, stderr=io.StringIO())

    assert User.objects.get(username="ada").check_password(out.getvalue().split()[1])
    assert Event.objects.filter(type="access.password_changed").exists()
