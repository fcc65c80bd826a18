"""A second hand beside HTTP, in a process of its own with the environment of a stack: what a page, the sweep or a worker does.

Run as a program it reads a command as JSON per line and answers each with a line of JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final, Self

from tests.support.stack import ROOT, Stack

Json = Any


class Hand:
    """`with Hand(house) as hand: hand.do("expire", request=...)`. For one thread at a time."""

    def __init__(self, house: Stack) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.drills.hand"],
            cwd=ROOT, env=dict(house.env), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __enter__(self) -> Self:
        self.do("nothing")  # Django is set up
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)

    def do(self, what: str, **arguments: Any) -> Json:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": what, **arguments}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"the hand died over {what}"
        return json.loads(answer)


def _cancel(run: str) -> Json:
    """The requester cancels, and a worker hears of it at once."""
    from uuid import UUID

    from aegis.core.actors import user_actor
    from aegis.core.errors import AegisError
    from aegis.identity.models import User
    from orchestration.engine import verbs
    from orchestration.engine.driver import Driver

    rita = User.objects.get(username="rita")
    with suppress(AegisError):  # the vote was faster, and the run is over
        verbs.cancel_run(UUID(run), person=rita, actor=user_actor(rita.pk, auth="session"), reason="not needed")
    Driver(among=[UUID(run)]).drive()
    return {}


def _deadline(request: str, milliseconds: int) -> Json:
    from aegis.core import clock
    from approvals.models import ApprovalRequest

    due = clock.db_now() + timedelta(milliseconds=milliseconds)
    ApprovalRequest.objects.filter(pk=request).update(deadline=due)
    return {"at": due.isoformat()}


def _expire(request: str, milliseconds: int) -> Json:
    """What the sweep does to a request that is due, again and again around its deadline."""
    from approvals import gates

    end = time.monotonic() + milliseconds / 1000 + 0.05
    while time.monotonic() < end:
        if gates.expire(request):  # type: ignore[arg-type]
            return {"expired": True}
    return {"expired": False}


def _leave(person: str, group: str) -> Json:
    from aegis.core.actors import SYSTEM
    from aegis.identity import people
    from aegis.identity.models import User
    from audit.models import Event

    people.remove_from_group(User.objects.get(username=person).pk, group, actor=SYSTEM, reason="moved")
    return {"at": Event.objects.filter(type="access.group_left").latest("id").at.isoformat()}


def _join(person: str, group: str) -> Json:
    from aegis.core.actors import SYSTEM
    from aegis.identity import people
    from aegis.identity.models import User

    people.add_to_group(User.objects.get(username=person).pk, group, actor=SYSTEM, reason="back")
    return {}


def _facts(requests: list[str]) -> Json:
    """Request -> status, how often it was settled, and its decisions as [person, at]."""
    from approvals.models import ApprovalRequest, Decision
    from audit.models import Event

    found: dict[str, Json] = {}
    for row in ApprovalRequest.objects.filter(pk__in=requests):
        votes = Decision.objects.filter(request=row).values_list("person__username", "at")
        ended = Event.objects.filter(stream=row.stream, type__in=("request.settled", "request.withdrawn"))
        found[str(row.pk)] = {
            "status": row.status,
            "settled": ended.count(),
            "votes": [[who, at.isoformat()] for who, at in votes],
        }
    return found


_VERBS: Final[Mapping[str, Callable[..., Json]]] = {
    "nothing": dict, "cancel": _cancel, "deadline": _deadline, "expire": _expire, "leave": _leave, "join": _join,
    "facts": _facts,
}  # fmt: skip


def main() -> None:
    import django

    django.setup()
    for line in sys.stdin:
        command = json.loads(line)
        answer = _VERBS[command.pop("do")](**command)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
