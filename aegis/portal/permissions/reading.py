"""Rights as the permissions page tells them: of a group, of a person through his groups. A fixed number of queries."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.db.models import Count, Q
from guardian.models import GroupObjectPermission

from aegis.core.visibility import Viewer
from aegis.identity.models import Area, User
from aegis.portal.governed.kinds import all_pages
from aegis.portal.matrix import cells
from aegis.portal.permissions import origins
from aegis.portal.permissions.origins import Origin

MAX_ROWS: Final = 300  # of people or groups on one page; the search narrows them


@dataclass(frozen=True, slots=True)
class Right:
    """One verb on one object. `token` is what the forms send: "<kind>:<name>"."""

    group: str
    verb: str
    kind: str
    name: str
    token: str
    origin: Origin | None

    @property
    def sort_key(self) -> tuple[str, str, str, str]:
        return ((self.kind != "area" and self.kind) or "", self.name, self.verb, self.group)


@dataclass(frozen=True, slots=True)
class Member:
    """A person in a group, and how he came there."""

    person: User
    group: str
    origin: Origin | None


@dataclass(frozen=True, slots=True)
class Rights:
    """`hidden` counts rights on objects that the reader may not see."""

    rights: tuple[Right, ...] = ()
    hidden: int = 0


@dataclass(frozen=True, slots=True)
class Worn:
    """A role of the matrix that a group is."""

    name: str
    cells: int


@dataclass(slots=True)
class _Objects:
    """Objects by (content type, id), as far as the reader may see them."""

    reader: Viewer
    found: dict[tuple[int, str], tuple[str, str, str]] = field(default_factory=dict)

    def load(self, wanted: Iterable[tuple[int, str]]) -> None:
        ids: dict[int, set[str]] = {}
        for type_id, pk in wanted:
            ids.setdefault(type_id, set()).add(pk)
        for kind, model in grantable().items():
            content_type = ContentType.objects.get_for_model(model)
            if content_type.pk not in ids:
                continue
            for row in model.objects.visible_to(self.reader).filter(pk__in=ids[content_type.pk]):
                shown = row.title if model is Area else row.name
                self.found[content_type.pk, str(row.pk)] = (kind, shown, f"{kind}:{row.name}")


def grantable() -> dict[str, Any]:
    """Word of a kind of object -> its model: areas, and documents that carry rights of their own."""
    documents = {pages.singular: pages.model for pages in all_pages() if pages.model._meta.permissions}
    return {"area": Area, **documents}


def verbs() -> list[str]:
    """Every verb some object knows, for the form."""
    models = [ContentType.objects.get_for_model(model) for model in grantable().values()]
    names = Permission.objects.filter(content_type__in=models).values_list("codename", flat=True)
    return sorted({name.partition("_")[0] for name in names})


def objects(reader: Viewer) -> list[str]:
    """Tokens of everything the reader could grant a right on, areas first."""
    return [
        f"{kind}:{name}"
        for kind, model in grantable().items()
        for name in model.objects.visible_to(reader).order_by("name").values_list("name", flat=True)[:MAX_ROWS]
    ]


def rights_of(groups: Collection[Group], reader: Viewer) -> Rights:
    """Of these groups together, areas first."""
    rows = list(GroupObjectPermission.objects.filter(group__in=groups).select_related("permission", "group"))
    known = _Objects(reader)
    known.load((row.content_type_id, row.object_pk) for row in rows)
    given = origins.of_rights([group.pk for group in groups])
    found = []
    for row in rows:
        if (shown := known.found.get((row.content_type_id, row.object_pk))) is None:
            continue
        kind, name, token = shown
        verb = row.permission.codename.partition("_")[0]
        found.append(Right(row.group.name, verb, kind, name, token, given.get((str(row.group_id), row.object_pk, verb))))
    return Rights(tuple(sorted(found, key=lambda one: one.sort_key)), len(rows) - len(found))


def members_of(group: Group) -> list[Member]:
    people = list(group.user_set.order_by("username")[:MAX_ROWS])
    given = origins.of_memberships([one.pk for one in people])
    return [Member(one, group.name, given.get((str(one.pk), group.name))) for one in people]


def memberships_of(person: User) -> list[Member]:
    given = origins.of_memberships([person.pk])
    names = person.groups.order_by("name").values_list("name", flat=True)
    return [Member(person, name, given.get((str(person.pk), name))) for name in names]


def worn(groups: Iterable[str]) -> list[Worn]:
    """Roles of people that these groups are."""
    roles = cells.current().roles
    return [Worn(name, len(roles[name].grants)) for name in groups if name in roles and roles[name].is_for_people]


def groups(find: str) -> Any:
    active = Count("user", filter=Q(user__is_active=True), distinct=True)
    rows = Group.objects.filter(name__icontains=find).annotate(people=active).order_by("name")
    return rows[:MAX_ROWS]


def rights_count(groups: Iterable[Group]) -> dict[int, int]:
    """Group id -> on how many objects and verbs it has a right. One query."""
    rows = GroupObjectPermission.objects.filter(group__in=[one.pk for one in groups]).values_list("group_id")
    return dict(rows.annotate(count=Count("pk")))


def people(find: str) -> Any:
    named = Q(username__icontains=find) | Q(first_name__icontains=find) | Q(last_name__icontains=find)
    return User.objects.filter(named).prefetch_related("groups").order_by("username")[:MAX_ROWS]
