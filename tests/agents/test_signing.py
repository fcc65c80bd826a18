"""Requests are signed as Standard Webhooks says; secrets are read by name and never from a row."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from orchestration.agents import signing
from orchestration.agents.signing import SecretUnusable

NAME = "AEGIS_AGENT_SECRET_TEST"
OLD, NEW = b"o" * 24, b"n" * 32


def text(secret: bytes) -> str:
    return "whsec_" + base64.b64encode(secret).decode()


def test_the_vector_that_the_standard_publishes():
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")

    signature = signing.sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_while_a_secret_is_rotated_both_sign(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(NAME, f"{text(OLD)} {text(NEW)}")

    headers = signing.headers(signing.secrets_of(NAME), message_id="msg_1", timestamp=5, body=b"{}")

    assert headers["webhook-signature"].split() == [signing.sign(secret, "msg_1", 5, b"{}") for secret in (OLD, NEW)]


def test_a_file_is_read_again_when_it_changes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    file = tmp_path / "secret"
    file.write_text(text(OLD) + "\n")
    monkeypatch.setenv(f"{NAME}_FILE", str(file))
    assert signing.secrets_of(NAME) == (OLD,)

    file.write_text(text(NEW) + "\n")

    assert signing.secrets_of(NAME) == (NEW,)


@pytest.mark.parametrize(
    "value", ["", " ", "short", text(b"x" * 23), "whsec_***", text(OLD) + " whsec_", " ".join([text(OLD)] * 5), "ä" * 40]
)
def test_a_secret_that_is_none_is_refused_without_being_quoted(monkeypatch: pytest.MonkeyPatch, value: str):
    monkeypatch.setenv(NAME, value)

    with pytest.raises(SecretUnusable) as caught:
        signing.secrets_of(NAME)

    assert NAME in str(caught.value)
    assert not any(part in str(caught.value) for part in value.split() if len(part) > 6)


def test_a_missing_file_or_one_beside_a_value_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv(f"{NAME}_FILE", str(tmp_path / "none"))
    with pytest.raises(SecretUnusable, match="cannot be read"):
        signing.secrets_of(NAME)

    monkeypatch.setenv(NAME, text(OLD))
    with pytest.raises(SecretUnusable, match="both set"):
        signing.secrets_of(NAME)


@pytest.mark.parametrize("name", ["AEGIS_SECRET_KEY", "PATH", "AEGIS_AGENT_SECRET_", "AEGIS_AGENT_SECRET_x", f"{NAME}\n", ""])
def test_no_document_signs_with_another_secret_of_the_installation(monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.setattr(os, "environ", {name: text(OLD)})

    with pytest.raises(SecretUnusable, match="no name of an agent's secret"):
        signing.secrets_of(name)
