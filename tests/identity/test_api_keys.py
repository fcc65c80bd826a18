"""API keys from making to revoking, and what a stolen table is worth."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from aegis.core import clock
from aegis.core.actors import SYSTEM, Actor, user_actor
from aegis.core.errors import Forbidden, Invalid, NotAuthenticated, NotFound
from aegis.identity import api_keys, people
from aegis.identity.api_keys import NewKey
from aegis.identity.models import ApiKey, User
from aegis.identity.principals import require_live
from audit.models import Event, Payload

pytestmark = pytest.mark.django_db

AsActor = Callable[[User], Actor]


@pytest.fixture
def new(sam: User, as_actor: AsActor) -> NewKey:
    return api_keys.create(
        sam.pk, "nightly import", expires_at=clock.now() + timedelta(days=30), actor=as_actor(sam), reason="imports"
    )


def key_actor(new: NewKey) -> Actor:
    return user_actor(new.key.owner_id, auth=api_keys.auth_label(new.key))


def test_a_key_acts_as_its_owner(new: NewKey, sam: User) -> None:
    found = api_keys.authenticate(new.token)

    assert found.owner == sam
    assert new.token.startswith(f"aegis_{found.prefix}_")
    assert ApiKey.objects.get().last_used_on == clock.now().date()


def test_the_secret_is_kept_nowhere(new: NewKey) -> None:
    secret = new.token.split("_", 2)[2]

    assert len(secret) >= 43  # 256 bits
    assert secret not in repr(new)
    kept = [str(row) for model in (ApiKey, Event, Payload) for row in model.objects.values()]
    assert not any(secret in row for row in kept)
    with pytest.raises(NotAuthenticated):
        api_keys.authenticate(f"aegis_{new.key.prefix}_{new.key.secret_digest}")


@pytest.mark.parametrize(
    "spoil",
    [
        "",
        "aegis_",
        "x",
        "aegis_nope_secret",
        "other_{prefix}_{secret}",
        "aegis_{prefix}_",
        "aegis_{prefix}_{secret}x",
        "aegis_{prefix}_\udc80",
    ],
)
def test_anything_but_the_token_is_refused_in_the_same_words(new: NewKey, spoil: str) -> None:
    token = spoil.format(prefix=new.key.prefix, secret=new.token.split("_", 2)[2])

    with pytest.raises(NotAuthenticated) as caught:
        api_keys.authenticate(token)

    assert str(caught.value) == "This API key is not valid"


def test_secrets_are_compared_in_constant_time_also_for_unknown_prefixes(new: NewKey, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    original = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append(len(a)) or original(a, b))

    api_keys.authenticate(new.token)
    for wrong in ("aegis_zzzzzzzz_secret", f"aegis_{new.key.prefix}_secret"):
        with pytest.raises(NotAuthenticated):
            api_keys.authenticate(wrong)

    assert compared == [64, 64, 64]


def test_an_expired_key_is_refused(new: NewKey) -> None:
    ApiKey.objects.update(expires_at=clock.now() - timedelta(seconds=1))

    with pytest.raises(NotAuthenticated):
        api_keys.authenticate(new.token)


def test_a_revoked_key_is_refused_and_stays_refused(new: NewKey, sam: User, as_actor: AsActor) -> None:
    revoked = [api_keys.revoke(new.key.prefix, actor=as_actor(sam), reason="leaked") for _ in range(2)]

    assert revoked == [True, False]
    with pytest.raises(NotAuthenticated):
        api_keys.authenticate(new.token)
    types = Event.objects.filter(type__startswith="access.key").order_by("pk").values_list("type", flat=True)
    assert list(types) == ["access.key_created", "access.key_revoked"]


def test_a_key_revoked_while_its_request_is_under_way_commits_nothing_more(new: NewKey, sam: User, as_actor: AsActor) -> None:
    actor = key_actor(new)
    assert require_live(actor) == sam

    api_keys.revoke(new.key.prefix, actor=as_actor(sam), reason="leaked")

    with pytest.raises(NotAuthenticated):
        require_live(actor)


def test_the_key_of_a_disabled_person_is_refused_and_does_not_come_back(
    new: NewKey, sam: User, ada: User, as_actor: AsActor
) -> None:
    people.disable_person(sam.pk, actor=as_actor(ada), reason="on leave")
    with pytest.raises(NotAuthenticated):
        api_keys.authenticate(new.token)

    people.enable_person(sam.pk, actor=as_actor(ada), reason="back")

    with pytest.raises(NotAuthenticated):
        api_keys.authenticate(new.token)


def test_a_reset_ends_the_keys_and_ones_own_change_does_not(new: NewKey, sam: User, as_actor: AsActor) -> None:
    people.set_password(sam.pk, "seven green bottles", actor=as_actor(sam))
    assert api_keys.authenticate(new.token).owner == sam

    people.set_password(sam.pk, "nine green bottles", actor=SYSTEM)

    with pytest.raises(NotAuthenticated):
        api_keys.authenticate(new.token)
    events = Event.objects.filter(type="access.password_changed").order_by("id")
    told = [json.loads(event.line)["data"] for event in events]
    assert [one.get("keys_revoked") for one in told] == [None, 1]


def test_an_inactive_owner_alone_is_enough_to_refuse(new: NewKey, sam: User) -> None:
    sam.is_active = False
    sam.save(update_fields=["is_active"])

    with pytest.raises(NotAuthenticated):
        api_keys.authenticate(new.token)


def test_nobody_makes_a_key_for_another_person(sam: User, ada: User, as_actor: AsActor) -> None:
    with pytest.raises(Forbidden):
        api_keys.create(sam.pk, "his", expires_at=clock.now() + timedelta(days=1), actor=as_actor(ada), reason="for him")

    assert not ApiKey.objects.exists()


def test_a_key_makes_no_keys(new: NewKey, sam: User) -> None:
    with pytest.raises(Forbidden):
        api_keys.create(sam.pk, "more", expires_at=clock.now() + timedelta(days=1), actor=key_actor(new), reason="more")

    assert ApiKey.objects.count() == 1


def test_an_admin_revokes_any_key_and_others_do_not_learn_of_it(
    new: NewKey, ada: User, olivia: User, as_actor: AsActor
) -> None:
    with pytest.raises(NotFound):
        api_keys.revoke(new.key.prefix, actor=as_actor(olivia), reason="out of spite")

    assert api_keys.revoke(new.key.prefix, actor=as_actor(ada), reason="found in a repository")


@pytest.mark.parametrize(
    ("label", "days", "where"),
    [("", 1, "/label"), ("x" * 81, 1, "/label"), ("ok", 0, "/expires_at"), ("ok", 367, "/expires_at")],
)
def test_a_key_has_a_label_and_an_end(sam: User, as_actor: AsActor, label: str, days: int, where: str) -> None:
    with pytest.raises(Invalid) as caught:
        api_keys.create(sam.pk, label, expires_at=clock.now() + timedelta(days=days), actor=as_actor(sam), reason="why")

    assert [fault.where for fault in caught.value.faults] == [where]
