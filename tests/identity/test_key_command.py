"""`manage.py aegis key`: a key that works at once, and none after it is revoked."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client

pytestmark = pytest.mark.django_db


def aegis(*words: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("aegis", *words, stdout=out, stderr=err)
    return out.getvalue().strip(), err.getvalue()


def answer(token: str) -> int:
    return Client().get("/api/v1/runs", headers={"Authorization": f"Bearer {token}"}).status_code


def test_a_key_works_until_it_is_revoked(olivia):
    token, note = aegis("key", "create", "--as", "olivia", "--label", "mail gateway")
    assert token.startswith("aegis_")
    assert "not shown again" in note
    assert answer(token) == 200

    aegis("key", "revoke", token.split("_")[1], "--as", "olivia")

    assert answer(token) == 401


def test_nobody_gets_a_key_for_an_account_that_does_not_stand(db):
    with pytest.raises(SystemExit):
        aegis("key", "create", "--as", "nobody", "--label", "x")
