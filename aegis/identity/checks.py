"""System checks of identity: who may sign in, and that rights come from one place.

| id | what it refuses |
|---|---|
| E013 | changes of rights that nobody would record, rights taken in an emergency that nobody would announce |
| E014 | an authentication backend through which rights come from elsewhere |
| E015 | a right granted to a single person |
| E016 | (deploy) people of the demo |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import DatabaseError

from aegis.identity import announcing, recorder

# ModelBackend serves Django's model permissions; guardian's lets superusers pass every check.
_FOREIGN_BACKENDS = {"django.contrib.auth.backends.ModelBackend", "guardian.backends.ObjectPermissionBackend"}


@register()
def changes_of_rights_are_recorded(**_: Any) -> list[CheckMessage]:
    if recorder.is_registered():
        return []
    hint = "The app that keeps the journal calls aegis.identity.recorder.register in its AppConfig.ready."
    return [Error("Nobody records changes of rights", hint=hint, id="aegis.E013")]


@register()
def emergencies_are_announced(**_: Any) -> list[CheckMessage]:
    if announcing.is_registered():
        return []
    hint = "The app that tells people calls aegis.identity.announcing.register in its AppConfig.ready."
    return [Error("Nobody announces rights taken in an emergency", hint=hint, id="aegis.E013")]


@register(Tags.security)
def rights_come_from_one_place(**_: Any) -> list[CheckMessage]:
    hint = "Keep aegis.identity.backends.PersonBackend alone (beside axes)."
    return [
        Error(f"{backend} grants rights that AEGIS does not know", hint=hint, id="aegis.E014")
        for backend in settings.AUTHENTICATION_BACKENDS
        if backend in _FOREIGN_BACKENDS
    ]


@register(Tags.database)
def rights_are_granted_to_groups(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    from guardian.models import UserObjectPermission

    if not databases:
        return []
    try:
        count = UserObjectPermission.objects.count()
    except DatabaseError:  # not migrated yet
        return []
    if not count:
        return []
    hint = "They count for nothing, but somebody wrote them past aegis.identity.grants; find out who, then delete them."
    return [Error(f"{count} rights are granted to single people", hint=hint, id="aegis.E015")]


@register(Tags.security, deploy=True)
def no_demo_people(**_: Any) -> list[CheckMessage]:
    """Asks the default database; a deployment whose database does not answer or is empty has no people yet."""
    from aegis.identity.models import User

    try:
        names = list(User.objects.filter(is_demo=True, is_active=True).order_by("username").values_list("username", flat=True))
    except DatabaseError:
        return []
    if not names:
        return []
    hint = "Their passwords lie in a file of the data folder. Disable them, or start with an empty database."
    return [Error(f"People of the demo can sign in: {', '.join(names)}", hint=hint, id="aegis.E016")]
