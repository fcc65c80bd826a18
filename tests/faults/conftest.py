"""The fault house inside the process of the tests: founded on the tests' own database, with a sink for its remote effects."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.faults import agents
from tests.support import founding
from tests.support.sink import Sink


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sink]:
    with Sink() as sink:
        monkeypatch.setenv(agents.SINK_VARIABLE, sink.url)
        yield sink


@pytest.fixture
def house(area_rows: None, sink: Sink) -> Iterator[Sink]:
    """People, rights and the workflow of `tests.support.founding`. Ask for it in transactional tests."""
    founding.found()
    yield sink
    agents.behaviours.clear()


#: Minutes of storms and planted bugs, left out of the change-by-change run: `make test-storms`.
collect_ignore = [] if os.environ.get("AEGIS_STORMS") else ["test_storms.py", "test_planted_bugs.py"]
