"""The deciding process of `bench.resume` for AEGIS, as a web process would: reads counts, answers with milliseconds.

python -m bench.resume_aegis COUNT

Submits COUNT runs and waits until each asks. Then, for each line "N", it decides N of them one after the other and prints
{"committed": [...], "called": [...]}: from the commit of the decision, and from the call of `decide`, to the first instruction
of the next step's agent in the worker.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
import uuid
from typing import Any

import django

from bench.stamps import PATIENCE_SECONDS, PAUSE_SECONDS, Ears


class CommitClock:
    """Notes when this thread's connection committed last: the instant from which others can know."""

    def __init__(self, connection: Any) -> None:
        self.at = 0
        self._commit = connection._commit
        connection._commit = self

    def __call__(self) -> None:
        self._commit()
        self.at = time.monotonic_ns()


def main(count: int) -> None:
    django.setup()
    from django.db import connection

    from aegis.core.actors import user_actor
    from aegis.identity.models import User
    from approvals import gates
    from approvals.models import ApprovalRequest
    from bench import resume_work
    from orchestration.engine import verbs
    from orchestration.engine.models import Run

    ears = Ears(int(os.environ[resume_work.PORT_VARIABLE]), PATIENCE_SECONDS)
    rita = User.objects.get(username=resume_work.REQUESTER)
    lea = User.objects.get(username=resume_work.APPROVER)
    work = [verbs.Submission({"id": uuid.uuid4().hex}) for _ in range(count)]
    verbs.submit_many(resume_work.WORKFLOW, work, person=rita, actor=user_actor(rita.pk, auth="bench"))
    deadline = time.monotonic() + PATIENCE_SECONDS + count / 5
    while ApprovalRequest.objects.filter(status="open").count() < count:
        if time.monotonic() > deadline:
            raise TimeoutError("the runs do not ask")
        time.sleep(0.2)
    names = set(Run.objects.values_list("business_key", flat=True))
    waiting = list(ApprovalRequest.objects.filter(status="open"))
    commits = CommitClock(connection)

    def decide_one() -> tuple[float, float]:
        request = waiting.pop()
        called = time.monotonic_ns()
        gates.decide(request.pk, person=lea, auth="bench", verdict="approve", reason="yes", seen_digest=request.digest)
        committed = commits.at
        name, begun = ears.hear()
        if name not in names:
            raise ValueError(f"{name} is no run of ours, or was begun twice")
        names.remove(name)
        return (begun - committed) / 1e6, (begun - called) / 1e6

    print("ready", flush=True)
    for line in sys.stdin:
        figures = []
        for _ in range(int(line)):
            time.sleep(random.uniform(*PAUSE_SECONDS))
            figures.append(decide_one())
        print(json.dumps({"committed": [one for one, _ in figures], "called": [one for _, one in figures]}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
