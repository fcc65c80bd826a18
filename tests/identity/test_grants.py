"""Rights on objects go to groups only, through two verbs only, and nobody grants to a group of his own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth import get_user
from django.contrib.auth.models import Group, Permission
from django.test import Client
from guardian.models import GroupObjectPermission, UserObjectPermission

from aegis.core.actors import SYSTEM, Actor
from aegis.core.errors import Forbidden, Invalid
from aegis.identity import grants
from aegis.identity.authority import current_epoch
from aegis.identity.models import Area, User
from aegis.identity.principals import OwnRights
from audit.models import Event

pytestmark = pytest.mark.django_db

AsActor = Callable[[User], Actor]


@pytest.fixture
def routing(area_rows: None) -> Area:
    return Area.objects.get(name="routing")


def leads() -> Group:
    return Group.objects.get(name="Support leads")


def test_a_grant_makes_the_object_visible_to_the_group_and_is_recorded(
    ada: User, sam: User, routing: Area, as_actor: AsActor
) -> None:
    before = current_epoch()

    assert grants.grant(leads(), routing, "view", actor=as_actor(ada), reason="leads tune the tables")

    assert list(Area.objects.visible_to(sam)) == [routing]
    assert not Area.objects.visible_to(sam, "edit").exists()
    assert current_epoch() == before + 1
    event = Event.objects.order_by("-pk")[0]
    assert (event.type, event.actor_ref) == ("access.granted", str(ada.pk))
    assert "leads tune" not in event.line


def test_granting_and_revoking_twice_is_once(ada: User, sam: User, routing: Area, as_actor: AsActor) -> None:
    actor = as_actor(ada)

    granted = [grants.grant(leads(), routing, "view", actor=actor, reason="why") for _ in range(2)]
    revoked = [grants.revoke(leads(), routing, "view", actor=actor, reason="why") for _ in range(2)]

    assert (granted, revoked) == ([True, False], [True, False])
    assert not Area.objects.visible_to(sam).exists()
    types = Event.objects.filter(actor_ref=str(ada.pk)).order_by("pk").values_list("type", flat=True)
    assert list(types) == ["access.granted", "access.revoked"]


def test_rights_go_to_groups_only(ada: User, sam: User, routing: Area, as_actor: AsActor) -> None:
    with pytest.raises(Invalid):
        grants.grant(sam, routing, "view", actor=as_actor(ada), reason="just him")  # type: ignore[arg-type]

    assert not UserObjectPermission.objects.exists()


def test_a_right_given_to_a_single_person_behind_our_back_counts_for_nothing(sam: User, routing: Area) -> None:
    view = Permission.objects.get(codename="view_area")
    UserObjectPermission.objects.create(user=sam, permission=view, content_type=view.content_type, object_pk=str(routing.pk))

    assert not Area.objects.visible_to(sam).exists()


def test_nobody_grants_to_a_group_he_is_in(ada: User, as_actor: AsActor) -> None:
    admins, audit = Group.objects.get(name="Admins"), Area.objects.get(name="audit")

    with pytest.raises(OwnRights):
        grants.grant(admins, audit, "edit", actor=as_actor(ada), reason="more for me")

    assert not Area.objects.visible_to(ada, "edit").filter(name="audit").exists()
    assert Event.objects.order_by("-pk")[0].type == "access.denied"


def test_only_who_may_edit_access_grants(quinn: User, sam: User, routing: Area, as_actor: AsActor) -> None:
    with pytest.raises(Forbidden):
        grants.grant(leads(), routing, "view", actor=as_actor(quinn), reason="be nice")

    assert not GroupObjectPermission.objects.filter(group=leads()).exists()


def test_an_unknown_verb_is_refused_with_those_there_are(sam: User, routing: Area) -> None:
    with pytest.raises(Invalid) as caught:
        grants.grant(leads(), routing, "destroy", actor=SYSTEM, reason="why")

    assert caught.value.faults[0].what == "known are: break, edit, operate, view"


def test_djangos_own_permissions_grant_nothing(sam: User, routing: Area, browser_of: Callable[..., Client]) -> None:
    for permission in Permission.objects.all():
        sam.user_permissions.add(permission)
        leads().permissions.add(permission)

    signed_in = get_user(browser_of(sam))  # type: ignore[arg-type]

    assert signed_in.get_all_permissions() == set()
    assert not signed_in.has_perm("identity.edit_area")
    assert not signed_in.has_perm("identity.edit_area", routing)
    assert not signed_in.has_module_perms("identity")
    assert not Area.objects.visible_to(sam).exists()


def test_a_superuser_sees_nothing_by_being_one(root: User) -> None:
    assert not Area.objects.visible_to(root).exists()
