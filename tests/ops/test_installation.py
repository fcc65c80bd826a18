"""What an installation makes for itself, and what its locks hold."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aegis.core.secrets import installation_secret
from aegis.identity.models import Area, User
from aegis.portal import demo_people
from audit.models import Event
from tests.support.serving import ROOT


def test_the_secret_is_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    first = installation_secret(tmp_path)

    assert installation_secret(tmp_path) == first
    assert len(first) >= 50
    assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]


def test_processes_racing_for_the_first_start_get_one_secret(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from aegis.core.secrets import installation_secret;"
        "print(installation_secret(Path(sys.argv[1])))"
    )

    def start(_: int) -> str:
        return subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout

    with ThreadPoolExecutor(8) as pool:
        secrets = set(pool.map(start, range(8)))

    assert len(secrets) == 1


def test_demo_people_have_passwords_of_their_own_and_their_areas(area_rows: None, tmp_path: Path) -> None:
    logins = demo_people.ensure(tmp_path)

    assert [login.persona for login in logins] == list(demo_people.PERSONAS)
    assert len({login.persona.username for login in logins}) == len({login.password for login in logins}) == len(logins)
    assert stat.S_IMODE((tmp_path / "demo_logins.json").stat().st_mode) == 0o600
    for login in logins:
        person = User.objects.get(username=login.persona.username)
        assert person.is_demo
        assert not person.is_superuser
        assert person.check_password(login.password)
    can = {
        (name, verb): set(Area.objects.visible_to(User.objects.get(username=name), verb).values_list("name", flat=True))
        for name in ("olivia", "sam", "ada", "quinn")
        for verb in ("view", "edit")
    }
    everything = set(Area.objects.values_list("name", flat=True))
    assert can["quinn", "view"] == can["ada", "view"] == everything
    assert can["ada", "edit"] == everything - {"audit"}
    assert not can["olivia", "view"] | can["sam", "view"] | can["quinn", "edit"]


def test_a_second_start_changes_nothing(area_rows: None, tmp_path: Path) -> None:
    first = demo_people.ensure(tmp_path)
    events = Event.objects.count()

    assert demo_people.ensure(tmp_path) == first
    assert Event.objects.count() == events


def test_a_lost_file_gives_new_passwords_that_work(area_rows: None, tmp_path: Path) -> None:
    first = demo_people.ensure(tmp_path)
    (tmp_path / "demo_logins.json").unlink()

    second = demo_people.ensure(tmp_path)

    assert second != first
    assert User.objects.get(username="sam").check_password(second[1].password)
    assert Event.objects.filter(type="access.password_changed").count() == len(second)


def test_a_real_person_of_the_same_name_keeps_his_password(sam: User, tmp_path: Path) -> None:
    password = sam.password

    demo_people.ensure(tmp_path)

    sam.refresh_from_db()
    assert sam.password == password
    assert not sam.is_demo


@pytest.mark.parametrize("lock", ["uv", "core", "server", "dev"])
def test_locks_are_hashed_and_name_no_index(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    pins = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]

    assert pins
    assert all("==" in line for line in pins)
    assert text.count("--hash=sha256:") >= len(pins)
    assert "://" not in text
    assert "index" not in "".join(pins)


def test_the_smaller_locks_are_part_of_the_development_lock() -> None:
    def pins(lock: str) -> set[str]:
        lines = (ROOT / "requirements" / f"{lock}.txt").read_text().splitlines()
        return {line.split(" ")[0] for line in lines if line and not line.startswith((" ", "#"))}

    assert pins("core") <= pins("server") <= pins("dev")


def test_the_ci_plugin_refuses_a_skip(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text(
        "import pytest\ndef test_a(): pass\n@pytest.mark.skip(reason='lazy')\ndef test_b(): pass\n"
    )
    evidence = tmp_path / "evidence.json"

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.support.ci_plugin", "-p", "no:django", "-c", "/dev/null", str(tmp_path)],
        cwd=ROOT,
        env={"PATH": "", "AEGIS_TEST_EVIDENCE": str(evidence)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "SKIP REFUSED" in done.stdout
    assert json.loads(evidence.read_text())["outcomes"] == {"passed": 1, "skipped": 1}
