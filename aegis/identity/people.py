"""Verbs on people and groups. Each takes the authority lock, raises the epoch, and is recorded with actor and reason."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from uuid import UUID

from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from guardian.models import GroupObjectPermission

from aegis.core import clock
from aegis.core.actors import Actor
from aegis.core.canonical import Json
from aegis.core.errors import Fault, Forbidden, Invalid, NotFound
from aegis.identity import emergency, joining
from aegis.identity.areas import area
from aegis.identity.authority import raise_epoch
from aegis.identity.models import ApiKey, Area, User
from aegis.identity.principals import LastAdmin, OwnRights, changing_rights, is_own, require_area, require_live, stated
from aegis.identity.recorder import Entry, Principal, recorder

MAX_GROUP_CHARS = 80  # as for a role: a role of people is the group of the same name


def create_person(
    username: str,
    *,
    actor: Actor,
    reason: str,
    name: str = "",
    email: str = "",
    password: str | None = None,
    groups: Iterable[str] = (),
    is_demo: bool = False,
) -> User:
    """Add a person, with the groups he starts in.

    Args:
        name: "Given Family"; what people see.
        password: None leaves the account without one, so nobody can sign in with it yet. SYSTEM alone gives one: who knows
            the password of an account he made, and puts it into a group, has given himself its rights.

    Raises:
        Forbidden, NotFound: the actor may not edit the area "access", or a person gave a password.
        Invalid: user name taken or not allowed, or the password is too weak; with a fault per field.
        NotFound: no such group.
    """
    why = stated(reason)

    def work() -> User:
        raise_epoch()
        require_area(actor, "edit", "access")
        if password is not None and actor.kind != "system":
            raise OwnRights("Nobody sets the password of an account that he makes for others", right="edit")
        given, _, family = name.strip().partition(" ")
        person = User(username=username, first_name=given, last_name=family, email=email, is_staff=True, is_demo=is_demo)
        _check_person(person, password)
        person.set_password(password)  # None makes it unusable
        person.save(force_insert=True)
        texts = {"reason": why, "person": {"username": username, "name": name, "email": email}}
        _record("access.person_created", person, actor, texts=texts)
        for group in groups:
            _join(person, _group(group), actor, why)
        return person

    return changing_rights(work, actor=actor, what="people.create_person")


def disable_person(person_id: UUID, *, actor: Actor, reason: str) -> bool:
    """End a person's access: sessions and API keys stop working with the commit. False if he was disabled already.

    Raises:
        LastAdmin: nobody would be left who may edit access.
    """
    why = stated(reason)

    def work() -> bool:
        raise_epoch()
        require_area(actor, "edit", "access")
        person = _person(person_id)
        if not person.is_active:
            return False
        with keeping_an_admin():
            person.is_active = False
            person.save(update_fields=["is_active"])
        # His keys must not come back to life when somebody enables him again.
        data: dict[str, Json] = {"keys_revoked": _revoke_keys(person)}
        _record("access.person_disabled", person, actor, data=data, texts={"reason": why})
        emergency.end_all_of(person, actor=actor, why=why)  # or enabling him within its time would give it back
        return True

    return changing_rights(work, actor=actor, what="people.disable_person")


def enable_person(person_id: UUID, *, actor: Actor, reason: str) -> bool:
    """Give a disabled person back his groups. False if he was active already.

    Raises:
        NotTogether: through his groups he would hold what nobody may hold together.
    """
    why = stated(reason)

    def work() -> bool:
        raise_epoch()
        require_area(actor, "edit", "access")
        person = _person(person_id)
        if person.is_active:
            return False
        _check_together(person, _group_names(person))  # his groups may have been given more while he was away
        person.is_active = True
        person.save(update_fields=["is_active"])
        _record("access.person_enabled", person, actor, texts={"reason": why})
        return True

    return changing_rights(work, actor=actor, what="people.enable_person")


def set_password(person_id: UUID, password: str, *, actor: Actor) -> None:
    """Change a password: one's own, or anybody's by SYSTEM. An admin cannot: he could then act under that name.

    By SYSTEM it is a reset, asked for when an account is in doubt: its API keys end with the commit.

    Raises:
        Forbidden: the actor is somebody else.
        Invalid: the password is too weak.
    """

    def work() -> None:
        raise_epoch()
        person = _person(person_id)
        if actor.kind != "system" and require_live(actor) != person:
            raise Forbidden("Only the owner of an account sets its password")
        _check_password(password, person)
        person.set_password(password)
        person.save(update_fields=["password"])
        data: dict[str, Json] = {"keys_revoked": _revoke_keys(person)} if actor.kind == "system" else {}
        _record("access.password_changed", person, actor, data=data, texts={})

    changing_rights(work, actor=actor, what="people.set_password")


def create_group(name: str, *, actor: Actor, reason: str) -> Group:
    """The group of that name, made if there is none."""
    why = stated(reason)
    if not name.strip() or name != name.strip() or len(name) > MAX_GROUP_CHARS or "\x00" in name:
        raise Invalid("The group name is not allowed", faults=[Fault("/name", f"must be 1 to {MAX_GROUP_CHARS} characters")])

    def work() -> Group:
        raise_epoch()
        require_area(actor, "edit", "access")
        group, is_new = Group.objects.get_or_create(name=name)
        if is_new:
            entry = Entry(
                "access.group_created", group_principal(group), actor, clock.db_now(), {"group": name}, {"reason": why}
            )
            recorder().record(entry)
        return group

    return changing_rights(work, actor=actor, what="people.create_group")


def add_to_group(person_id: UUID, group: str, *, actor: Actor, reason: str) -> bool:
    """Put a person into a group. False if he was in it already.

    Raises:
        OwnRights: the actor is that person, superuser or not.
        NotTogether: through his groups he would hold what nobody may hold together.
    """
    why = stated(reason)

    def work() -> bool:
        raise_epoch()
        require_area(actor, "edit", "access")
        return _join(_person(person_id), _group(group), actor, why)

    return changing_rights(work, actor=actor, what="people.add_to_group")


def remove_from_group(person_id: UUID, group: str, *, actor: Actor, reason: str) -> bool:
    """Take a person out of a group. False if he was not in it.

    A group may also keep its people from something: deny beats gate beats allow over all roles. So one's own may be left only
    if nothing goes with it that holds one back; for others whoever may edit access answers, on record.

    Raises:
        OwnRights: the actor is that person, and leaving could widen what he may do.
        LastAdmin: nobody would be left who may edit access.
    """
    why = stated(reason)

    def work() -> bool:
        raise_epoch()
        require_area(actor, "edit", "access")
        person, left = _person(person_id), _group(group)
        if not person.groups.filter(pk=left.pk).exists():
            return False
        if is_own(actor, person) and (shed := joining.shed(left.name, _group_names(person))):
            raise OwnRights(
                f"Leaving “{left.name}” would rid you of {shed}; ask another person who may edit access", right="edit"
            )
        with keeping_an_admin():
            person.groups.remove(left)
        _record("access.group_left", person, actor, data={"group": left.name}, texts={"reason": why})
        emergency.end_without_break(actor=actor, why=why)
        return True

    return changing_rights(work, actor=actor, what="people.remove_from_group")


def group_principal(group: Group) -> Principal:
    return Principal("group", f"group:{group.pk}")


def access_editors() -> int:
    """How many active people may edit access."""
    rows = GroupObjectPermission.objects.filter(
        object_pk=str(area("access").pk),
        permission__codename="edit_area",
        content_type=ContentType.objects.get_for_model(Area),
    )
    return User.objects.filter(is_active=True, groups__in=rows.values("group")).distinct().count()


@contextmanager
def keeping_an_admin() -> Iterator[None]:
    """Around a change that takes rights away; refuses it if it took the last person who may edit access.

    Raises:
        LastAdmin: the caller's transaction rolls the change back.
    """
    had_one = access_editors() > 0
    yield
    if had_one and access_editors() == 0:
        raise LastAdmin


def _join(person: User, group: Group, actor: Actor, why: str) -> bool:
    if is_own(actor, person):
        raise OwnRights("Nobody adds himself to a group; ask another person who may edit access", right="edit")
    if person.groups.filter(pk=group.pk).exists():
        return False
    _check_together(person, [*_group_names(person), group.name])
    person.groups.add(group)
    _record("access.group_joined", person, actor, data={"group": group.name}, texts={"reason": why})
    return True


def _revoke_keys(person: User) -> int:
    return ApiKey.objects.filter(owner=person, revoked_at__isnull=True).update(revoked_at=clock.db_now())


def _check_together(person: User, groups: Collection[str]) -> None:
    if why_not := joining.against(groups):
        raise joining.NotTogether(f"{person.display_name} would hold {why_not}")


def _group_names(person: User) -> list[str]:
    return list(person.groups.values_list("name", flat=True))


def _record(
    event: str, person: User, actor: Actor, *, texts: Mapping[str, Json], data: Mapping[str, Json] | None = None
) -> None:
    about = {"person": str(person.pk), **(data or {})}
    recorder().record(Entry(event, Principal("user", str(person.pk)), actor, clock.db_now(), about, texts))


def _person(person_id: UUID) -> User:
    person = User.objects.filter(pk=person_id).first()
    if person is None:
        raise NotFound("There is no such person")
    return person


def _group(name: str) -> Group:
    group = Group.objects.filter(name=name).first()
    if group is None:
        raise NotFound(f"There is no group {name!r}")
    return group


def _check_person(person: User, password: str | None) -> None:
    try:
        person.full_clean(exclude=["password"])
    except ValidationError as error:
        faults = [Fault(f"/{field}", what) for field, texts in sorted(error.message_dict.items()) for what in texts]
        raise Invalid("This person cannot be added", faults=faults) from None
    if password is not None:
        _check_password(password, person)


def _check_password(password: str, person: User) -> None:
    try:
        validate_password(password, person)
    except ValidationError as error:
        faults = [Fault("/password", what) for what in error.messages]
        raise Invalid("The password is too weak", faults=faults) from None
