"""Agent modules come from settings; one that fails is seen at start-up and keeps nobody from signing in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration.agents import autoload
from orchestration.agents.protocol import registered


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    before = dict(autoload._failed)
    yield
    autoload._failed.clear()
    autoload._failed.update(before)


def test_a_module_registers_its_agents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "some_agents.py").write_text(
        "from orchestration.agents.protocol import Abstain, python_agent\n"
        "@python_agent('some.agent')\n"
        "def some(request):\n    return Abstain('never')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    autoload.load(["some_agents"])

    assert registered("some.agent") is not None


@pytest.mark.parametrize("body", [None, "1 / 0", "import no_such_thing", "def ("])
def test_a_module_that_fails_is_a_check_error_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str | None):
    if body is not None:
        (tmp_path / "broken_agents.py").write_text(body)
    monkeypatch.syspath_prepend(tmp_path)

    autoload.load(["broken_agents"])

    errors = [error for error in autoload.check_agent_modules(None) if "broken_agents" in error.msg]
    assert [error.id for error in errors] == ["aegis.E040"]


def test_the_modules_of_the_settings_load():
    assert autoload.check_agent_modules(None) == []


@pytest.mark.parametrize(("calls", "files", "found"), [(64, 1_024, []), (1_000, 1_024, ["aegis.W041"]), (1_000, -1, [])])
def test_more_calls_than_open_files_is_a_warning(settings, monkeypatch, calls: int, files: int, found: list[str]):
    settings.CALLS_IN_FLIGHT = calls
    monkeypatch.setattr(autoload, "getrlimit", lambda _: (files, files))

    assert [warning.id for warning in autoload.check_open_files(None)] == found
