"""Rights on AEGIS objects: guardian permissions, to groups only, through these two verbs only."""

from __future__ import annotations

from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.db import models
from guardian.models import GroupObjectPermission

from aegis.core import clock
from aegis.core.actors import Actor
from aegis.core.errors import Fault, Invalid
from aegis.identity import emergency
from aegis.identity.authority import raise_epoch
from aegis.identity.people import group_principal, keeping_an_admin
from aegis.identity.principals import OwnRights, changing_rights, require_area, stated
from aegis.identity.recorder import Entry, recorder


def grant(group: Group, obj: models.Model, verb: str, *, actor: Actor, reason: str) -> bool:
    """Let a group do `verb` on one object. False if it could already.

    Args:
        verb: as declared by the model ("view", "operate"); the permission is `<verb>_<model>`.

    Raises:
        OwnRights: the actor is a member of the group, superuser or not.
        Forbidden, NotFound: the actor may not edit the area "access".
        Invalid: the model declares no such verb; the fault names those it has.
    """
    why = stated(reason)
    _require_group(group)

    def work() -> bool:
        raise_epoch()
        require_area(actor, "edit", "access")
        if actor.kind == "user" and group.user_set.filter(pk=actor.ref).exists():
            raise OwnRights(f"You are in “{group.name}”; somebody who is not must grant this", right=verb)
        permission = _permission(obj, verb)
        _, is_new = GroupObjectPermission.objects.get_or_create(
            group=group, permission=permission, content_type=permission.content_type, object_pk=str(obj.pk)
        )
        if is_new:
            _record("access.granted", group, obj, verb, actor, why)
        return is_new

    return changing_rights(work, actor=actor, what="grants.grant")


def revoke(group: Group, obj: models.Model, verb: str, *, actor: Actor, reason: str) -> bool:
    """Take `verb` on one object from a group. False if it had it not.

    Raises:
        LastAdmin: nobody would be left who may edit access.
    """
    why = stated(reason)
    _require_group(group)

    def work() -> bool:
        raise_epoch()
        require_area(actor, "edit", "access")
        permission = _permission(obj, verb)
        with keeping_an_admin():
            gone, _ = GroupObjectPermission.objects.filter(
                group=group, permission=permission, content_type=permission.content_type, object_pk=str(obj.pk)
            ).delete()
        if not gone:
            return False
        _record("access.revoked", group, obj, verb, actor, why)
        if verb == "break":
            emergency.end_without_break(actor=actor, why=why)
        return True

    return changing_rights(work, actor=actor, what="grants.revoke")


def _require_group(group: object) -> None:
    if not isinstance(group, Group):
        raise Invalid("Rights go to groups only", faults=[Fault("/group", f"{type(group).__name__} is not a group")])


def _permission(obj: models.Model, verb: str) -> Permission:
    kind = obj._meta.model_name
    content_type = ContentType.objects.get_for_model(type(obj))
    declared = {p.codename: p for p in Permission.objects.filter(content_type=content_type)}
    found = declared.get(f"{verb}_{kind}")
    if found is None:
        verbs = ", ".join(sorted(name.removesuffix(f"_{kind}") for name in declared)) or "none"
        raise Invalid(f"{obj._meta.verbose_name} knows no right {verb!r}", faults=[Fault("/verb", f"known are: {verbs}")])
    return found


def _record(event: str, group: Group, obj: models.Model, verb: str, actor: Actor, why: str) -> None:
    name = getattr(obj, "name", "")  # configuration rows have one; it is no personal data
    what = f"{obj._meta.verbose_name} {name}".strip()
    data = {"group": group.name, "right": verb, "what": what, "object": str(obj.pk)}
    recorder().record(Entry(event, group_principal(group), actor, clock.db_now(), data, {"reason": why}))
