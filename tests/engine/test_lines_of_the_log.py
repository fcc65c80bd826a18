"""What is logged while a call of a run is made names that run, whoever logs it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from structlog.contextvars import get_contextvars

from aegis.identity.models import User
from orchestration.agents.protocol import AgentRequest, Done, Reply
from orchestration.agents.protocol import _registry as agents
from tests.engine import house

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_line_of_an_agent_names_the_run_and_the_step(
    person: Callable[..., User], ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.bootstrap(house.documents())
    zoe = person("zoe", "Support leads")
    seen: dict[str, dict[str, object]] = {}

    def noting(request: AgentRequest) -> Reply:
        seen[request.run_id] = dict(get_contextvars())
        return Done({"note": house.NOTE}, confidence=0.9)

    monkeypatch.setitem(agents, "test.scripted", noting)
    runs = [house.submit(zoe, {"id": name}) for name in ("one", "two")]

    house.drive(*runs)

    assert seen == {str(run.pk): {"run": str(run.pk), "step": "write", "trace": run.pk.hex} for run in runs}
    assert get_contextvars() == {}
