"""What a stack's database says, for the oracle: run as a program with the stack's environment, prints JSON.

python -m tests.support.look
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import Any


def facts() -> dict[str, Any]:
    """Runs, the effects their journal says are done, record versions, and what still waits."""
    from approvals.models import ApprovalRequest, Decision
    from audit import chain
    from audit.models import Event
    from orchestration.engine.models import InboxItem, ReviewItem, Run
    from orchestration.records.models import RecordVersion

    def keys_of(type_: str) -> Counter[str]:
        lines = Event.objects.filter(type=type_).values_list("line", flat=True)
        return Counter(chain.read_line(line)["data"]["key"] for line in lines)

    runs = Run.objects.order_by("submitted_at").values_list(
        "id", "idempotency_key", "status", "step", "lease_until", "business_key", "input_digest"
    )
    return {
        "runs": [
            {"id": str(row[0]), "key": row[1], "status": row[2], "step": row[3], "leased": row[4] is not None, "order": row[5]}
            for row in runs
        ],
        "effects_intended": keys_of("effect.intended"),
        "effects_done": keys_of("effect.done"),
        "lost_calls": Counter(
            stream.removeprefix("run:") for stream in Event.objects.filter(type="step.lost").values_list("stream", flat=True)
        ),
        "events": Counter(Event.objects.values_list("type", flat=True)),
        "record_versions": Counter(RecordVersion.objects.values_list("effect_key", flat=True)),
        "review_codes": {str(run): code for run, code in ReviewItem.objects.values_list("run_id", "code")},
        "requests": {
            str(row[0]): {"status": row[1], "run": str(row[2]), "digest": row[3]}
            for row in ApprovalRequest.objects.values_list("id", "status", "run_id", "digest")
        },
        "decisions": Counter(str(request) for request in Decision.objects.values_list("request_id", flat=True)),
        "settled": Counter(
            stream.removeprefix("request:")
            for stream in Event.objects.filter(type="request.settled").values_list("stream", flat=True)
        ),
        "told": Counter(
            ref.partition("#")[0] for ref in InboxItem.objects.filter(kind="gate_settled").values_list("ref", flat=True)
        ),
    }


def main() -> None:
    import django

    django.setup()
    sys.stdout.write(json.dumps(facts()))


if __name__ == "__main__":
    main()
