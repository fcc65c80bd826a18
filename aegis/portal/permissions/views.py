"""The permissions page: lists, a group, a person; and the four verbs as forms. Rules are in `identity.grants` and `people`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.models import Group
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from aegis.core import clock
from aegis.core.actors import Actor, user_actor
from aegis.core.errors import Conflict, Fault, Forbidden, Invalid, NotFound
from aegis.core.pages import safe_next
from aegis.core.visibility import groups_with, one_look
from aegis.identity import emergency, grants
from aegis.identity import people as verbs
from aegis.identity.models import Area, User
from aegis.identity.principals import OwnRights
from aegis.portal.permissions import reading

NEEDED = ("people", "access")


@require_safe
@one_look()
def list_page(request: HttpRequest) -> HttpResponse:
    """Groups with members, rights and the role they are; and people with their groups."""
    require_reader(request)
    find = request.GET.get("find", "").replace("\x00", "").strip()[:100]
    groups = list(reading.groups(find))
    counts = reading.rights_count(groups)
    roles = {one.name: one for one in reading.worn(group.name for group in groups)}
    context = {
        "title": "Permissions",
        "find": find,
        "groups": [(group, counts.get(group.pk, 0), roles.get(group.name)) for group in groups],
        "people": reading.people(find),
        "max_rows": reading.MAX_ROWS,
        "may_edit": _may_edit(request),
    }
    return render(request, "permissions/list.html", context)


@require_safe
@one_look()
def group_page(request: HttpRequest, group_id: int) -> HttpResponse:
    require_reader(request)
    group = Group.objects.filter(pk=group_id).first()
    if group is None:
        raise NotFound
    members = reading.members_of(group)
    is_own = any(one.person.pk == request.user.pk for one in members)
    may_edit = _may_edit(request)
    context = {
        "title": group.name,
        "group": group,
        "members": members,
        "rights": reading.rights_of([group], request.user),
        "worn": next(iter(reading.worn([group.name])), None),
        "is_own": is_own,
        "may_edit": may_edit,
        "verbs": reading.verbs() if may_edit else [],
        "objects": reading.objects(request.user) if may_edit and not is_own else [],
        "people": _others(members) if may_edit else [],
        "here": request.get_full_path(),
    }
    return render(request, "permissions/group.html", context)


@require_safe
@one_look()
def person_page(request: HttpRequest, person_id: UUID) -> HttpResponse:
    require_reader(request)
    person = User.objects.filter(pk=person_id).first()
    if person is None:
        raise NotFound
    memberships = reading.memberships_of(person)
    groups = list(person.groups.all())
    context = {
        "title": person.display_name,
        "person": person,
        "memberships": [(one, next(group.pk for group in groups if group.name == one.group)) for one in memberships],
        "rights": reading.rights_of(groups, request.user),
        "worn": reading.worn(one.group for one in memberships),
        "taken": list(emergency.standing(clock.now()).filter(person=person).select_related("area")),
        "is_own": person.pk == request.user.pk,
        "may_edit": _may_edit(request),
        "groups": Group.objects.exclude(pk__in=[one.pk for one in groups]).order_by("name")[: reading.MAX_ROWS],
        "here": request.get_full_path(),
    }
    return render(request, "permissions/person.html", context)


@require_POST
def grant(request: HttpRequest, group_id: int) -> HttpResponse:
    """Give a group one verb on one object."""
    return _done(request, lambda actor: _right(request, group_id, actor, is_given=True))


@require_POST
def revoke(request: HttpRequest, group_id: int) -> HttpResponse:
    return _done(request, lambda actor: _right(request, group_id, actor, is_given=False))


@require_POST
def join(request: HttpRequest) -> HttpResponse:
    """Put a person into a group."""
    return _done(request, lambda actor: _membership(request, actor, is_joined=True))


@require_POST
def leave(request: HttpRequest) -> HttpResponse:
    return _done(request, lambda actor: _membership(request, actor, is_joined=False))


def require_reader(request: HttpRequest) -> None:
    """Names of people and why they hold what they hold: for who may read both areas.

    Raises:
        Forbidden: names the area that is missing, and who may give it.
    """
    seen = set(Area.objects.visible_to(request.user).filter(name__in=NEEDED).values_list("name", flat=True))
    for name in NEEDED:
        if name not in seen:
            area = Area.objects.filter(name=name).first()
            givers = ", ".join(groups_with(area, "view")) if area else ""
            raise Forbidden(
                f"You may not read permissions; the right “view” on the area “{name}” is granted to: {givers or 'nobody yet'}",
                right=f"view ({name})",
                granted_by=givers,
            )


def _require_editor(request: HttpRequest) -> None:
    """The right comes before what was sent. The verbs ask again, under their lock.

    Raises:
        Forbidden: as `require_reader`; or the area "access" may be read and not edited.
    """
    require_reader(request)
    Area.objects.get_visible(request.user, "edit", name="access")


def _right(request: HttpRequest, group_id: int, actor: Actor, *, is_given: bool) -> str:
    _require_editor(request)
    group = Group.objects.filter(pk=group_id).first()
    if group is None:
        raise NotFound
    kind, _, name = request.POST.get("object", "").replace("\x00", "").partition(":")
    model = reading.grantable().get(kind)
    if model is None:
        raise Invalid("There is no such object", faults=[Fault("object", "choose one of the list")])
    row = model.objects.get_visible(request.user, name=name)  # what one may not see, one cannot grant a right on
    verb, reason = request.POST.get("verb", ""), request.POST.get("reason", "")
    if is_given:
        is_new = grants.grant(group, row, verb, actor=actor, reason=reason)
        return f"{group.name} {'may now' if is_new else 'could already'} {verb} {kind} {name}."
    is_gone = grants.revoke(group, row, verb, actor=actor, reason=reason)
    return f"{group.name} {'may no longer' if is_gone else 'could not'} {verb} {kind} {name}."


def _membership(request: HttpRequest, actor: Actor, *, is_joined: bool) -> str:
    _require_editor(request)
    username, group = (request.POST.get(name, "").replace("\x00", "").strip() for name in ("person", "group"))
    person = User.objects.filter(username=username).first()
    if person is None:
        raise Invalid("There is no such person", faults=[Fault("person", "choose one of the list")])
    reason = request.POST.get("reason", "")
    if is_joined:
        is_new = verbs.add_to_group(person.pk, group, actor=actor, reason=reason)
        return f"{person.display_name} is {'now' if is_new else 'already'} in {group}."
    is_gone = verbs.remove_from_group(person.pk, group, actor=actor, reason=reason)
    return f"{person.display_name} is {'no longer' if is_gone else 'not'} in {group}."


def _done(request: HttpRequest, work: Callable[[Actor], str]) -> HttpResponse:
    """Do it and go back to where the form was. What another person must do is told there; a missing right is a 403 page."""
    try:
        messages.success(request, work(user_actor(request.user.pk, auth="session")))
    except (Invalid, Conflict, OwnRights) as error:
        messages.error(request, error.detail)
    return redirect(safe_next(request, reverse("portal:permissions")))


def _others(members: list[Any]) -> Any:
    """Active people who are not in it yet."""
    inside = [one.person.pk for one in members]
    return User.objects.filter(is_active=True).exclude(pk__in=inside).order_by("username")[: reading.MAX_ROWS]


def _may_edit(request: HttpRequest) -> bool:
    return Area.objects.visible_to(cast(User, request.user), "edit").filter(name="access").exists()
