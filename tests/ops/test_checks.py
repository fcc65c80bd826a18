"""Start-up refuses what breaks the design's assumptions; each refusal has its id."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from guardian.models import UserObjectPermission

from aegis.core import checks, kinds, wake
from aegis.core.wake import checks as wake_checks
from aegis.core.wake import local
from aegis.identity import announcing, people, recorder
from aegis.identity import checks as identity_checks
from aegis.identity.models import Area, User
from aegis.portal import checks as portal_checks
from aegis.portal import demo_people
from approvals import questions
from approvals.notices import followed
from tests.support.serving import ROOT

STRONG = "0123456789abcdefghijklmnopqrstuvwxyz" * 2


def ids(messages: list[Any]) -> list[str]:
    return [message.id for message in messages]


@pytest.mark.parametrize("key", ["short", "a" * 80])
def test_e001_a_secret_key_that_can_be_guessed(settings: Any, key: str) -> None:
    settings.SECRET_KEY = key

    assert ids(checks.secret_key_is_strong()) == ["aegis.E001"]


def test_e001_a_strong_one_passes(settings: Any) -> None:
    settings.SECRET_KEY = STRONG

    assert checks.secret_key_is_strong() == []


def test_e002_a_secret_key_made_in_the_data_folder(settings: Any) -> None:
    settings.SECRET_KEY_IS_GIVEN = False

    assert ids(checks.secret_key_is_given()) == ["aegis.E002"]


def test_e003_debug_pages_in_reach_of_others(settings: Any) -> None:
    settings.DEBUG, settings.PUBLIC_URL = True, "http://aegis.example.org"

    assert ids(checks.debug_stays_here()) == ["aegis.E003"]


@pytest.mark.parametrize("hosts", [[], ["*"], ["aegis.example.org", ".example.org"]])
def test_e004_any_host_name(settings: Any, hosts: list[str]) -> None:
    settings.ALLOWED_HOSTS = hosts

    assert ids(checks.hosts_are_named()) == ["aegis.E004"]


@pytest.mark.parametrize(
    ("pragma", "value"), [("synchronous", "1"), ("journal_mode", "delete"), ("foreign_keys", "0"), ("recursive_triggers", "0")]
)
def test_e005_sqlite_that_could_lose_a_commit(pragma: str, value: str) -> None:
    good = {"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "recursive_triggers": "1"}

    assert checks.sqlite_faults(good, "IMMEDIATE") == []
    assert ids(checks.sqlite_faults({**good, pragma: value}, "IMMEDIATE")) == ["aegis.E005"]
    assert ids(checks.sqlite_faults(good, None)) == ["aegis.E005"]


@pytest.mark.parametrize("name", ["fsync", "full_page_writes", "synchronous_commit"])
def test_e006_postgresql_that_could_lose_a_commit(name: str) -> None:
    good = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}

    assert checks.postgres_faults(good) == []
    assert ids(checks.postgres_faults({**good, name: "off"})) == ["aegis.E006"]


@pytest.mark.django_db
def test_the_database_under_test_is_durable() -> None:
    assert checks.commits_are_durable(databases=["default"]) == []


@pytest.mark.django_db
def test_e005_and_e006_are_read_from_the_live_connection() -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL synchronous_commit = off")
        else:
            cursor.execute("PRAGMA recursive_triggers = OFF")
    try:
        assert ids(checks.commits_are_durable(databases=["default"])) == [
            "aegis.E006" if connection.vendor == "postgresql" else "aegis.E005"
        ]
    finally:
        if connection.vendor == "sqlite":
            with connection.cursor() as cursor:
                cursor.execute("PRAGMA recursive_triggers = ON")


@pytest.mark.parametrize("url", ["", "http://aegis.example.org"])
def test_e007_a_public_address_without_tls(settings: Any, url: str) -> None:
    settings.PUBLIC_URL = url

    assert ids(checks.public_url_is_https()) == ["aegis.E007"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("retry", -1),
        ("timeout", 60),
        ("max_attempts", 0),
        ("ack_failures", False),
        ("save_limit", 250),
        ("bulk", 5),
        ("scheduler", True),
        ("broker_class", "django_q.brokers.orm.ORM"),
    ],
)
def test_e008_a_queue_that_would_decide_by_itself(settings: Any, name: str, value: object) -> None:
    assert checks.the_queue_decides_nothing() == []

    settings.Q_CLUSTER = {**settings.Q_CLUSTER, name: value}

    assert ids(checks.the_queue_decides_nothing()) == ["aegis.E008"]


def test_e018_a_canary_that_cannot_come_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wake_checks.the_canary_has_time() == []

    monkeypatch.setenv("AEGIS_STALL_SECONDS", "14")

    assert ids(wake_checks.the_canary_has_time()) == ["aegis.E018"]


def test_w018_a_folder_no_bell_can_be_hung_in(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DATA_DIR = tmp_path / ("deep" * 40)
    assert wake_checks.the_bell_can_be_hung() == []  # /proc shortens the way

    monkeypatch.setattr(local, "_PROC_FD", tmp_path / "nothing")

    assert ids(wake_checks.the_bell_can_be_hung()) == ["aegis.W018"]


def test_w019_a_crash_point_outside_a_test(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wake_checks.nobody_is_told_to_die() == []

    monkeypatch.setenv("AEGIS_CRASH_AT", "committed:1")

    assert ids(wake_checks.nobody_is_told_to_die()) == ["aegis.W019"]


def test_e011_e012_e017_e019_ports_without_an_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    assert portal_checks.questions_have_owners() == []
    assert portal_checks.kinds_have_owners() == []
    assert portal_checks.the_bell_is_answered() == []
    assert portal_checks.what_is_followed_is_told() == []

    monkeypatch.delitem(questions._questions, "effect")
    monkeypatch.delitem(kinds._kinds, "Workflow")
    monkeypatch.setattr(wake, "_on_nudge", None)
    monkeypatch.setattr(followed, "_source", None)

    assert ids(portal_checks.questions_have_owners()) == ["aegis.E011"]
    assert ids(portal_checks.kinds_have_owners()) == ["aegis.E012"]
    assert ids(portal_checks.the_bell_is_answered()) == ["aegis.E017"]
    assert ids(portal_checks.what_is_followed_is_told()) == ["aegis.E019"]


def test_e013_changes_of_rights_that_nobody_records(monkeypatch: pytest.MonkeyPatch) -> None:
    assert identity_checks.changes_of_rights_are_recorded() == []

    monkeypatch.setattr(recorder, "_recorder", None)

    assert ids(identity_checks.changes_of_rights_are_recorded()) == ["aegis.E013"]
    with pytest.raises(RuntimeError, match="journal"):
        recorder.recorder()


def test_e013_emergencies_that_nobody_announces(monkeypatch: pytest.MonkeyPatch) -> None:
    assert identity_checks.emergencies_are_announced() == []

    monkeypatch.setattr(announcing, "_announcer", None)

    assert ids(identity_checks.emergencies_are_announced()) == ["aegis.E013"]


@pytest.mark.parametrize("backend", ["django.contrib.auth.backends.ModelBackend", "guardian.backends.ObjectPermissionBackend"])
def test_e014_rights_from_elsewhere(settings: Any, backend: str) -> None:
    assert identity_checks.rights_come_from_one_place() == []

    settings.AUTHENTICATION_BACKENDS = [*settings.AUTHENTICATION_BACKENDS, backend]

    assert ids(identity_checks.rights_come_from_one_place()) == ["aegis.E014"]


def test_e015_a_right_granted_to_a_single_person(sam: User) -> None:
    view = Permission.objects.get(codename="view_area")
    area = Area.objects.get(name="audit")
    UserObjectPermission.objects.create(user=sam, permission=view, content_type=view.content_type, object_pk=str(area.pk))

    assert ids(identity_checks.rights_are_granted_to_groups(databases=["default"])) == ["aegis.E015"]


def test_e016_people_of_the_demo(area_rows: None) -> None:
    assert identity_checks.no_demo_people() == []

    people.create_person("demo-dan", is_demo=True, actor=demo_people.BY_COMMAND, reason="demo")

    messages = identity_checks.no_demo_people()
    assert ids(messages) == ["aegis.E016"]
    assert "demo-dan" in messages[0].msg


def test_a_production_environment_passes_the_deploy_checks_without_a_warning(tmp_path: Path) -> None:
    env = {key: value for key, value in os.environ.items() if not key.startswith(("AEGIS_", "DJANGO_", "PYTEST_"))}
    env |= {"AEGIS_DATA_DIR": str(tmp_path), "AEGIS_SECRET_KEY": STRONG, "AEGIS_PUBLIC_URL": "https://aegis.example.org"}

    command = [sys.executable, str(ROOT / "manage.py"), "check", "--deploy", "--fail-level", "WARNING"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
