"""What became of each request, from the database: run as a program with an installation's environment, prints JSON.

python -m tests.shared.outcomes
"""

from __future__ import annotations

import json
import sys
from typing import Any


def outcomes() -> dict[str, dict[str, Any]]:
    """Business key -> status of its run, why a person has it ("" if nobody has), queue and urgency of its ticket."""
    from aegis.core import canonical
    from orchestration.engine.models import ReviewItem, Run
    from orchestration.records.models import Record

    codes = dict(ReviewItem.objects.values_list("run_id", "code"))
    tickets = {key: canonical.parse(body) for key, body in Record.objects.filter(type="ticket").values_list("key", "body")}
    found = {}
    for pk, key, status in Run.objects.values_list("pk", "business_key", "status"):
        ticket = tickets.get(key, {})
        found[key] = {
            "status": status,
            "code": codes.get(pk, ""),
            "queue": ticket.get("queue", ""),
            "urgency": ticket.get("urgency", ""),
        }
    return found


def main() -> None:
    import django

    django.setup()
    sys.stdout.write(json.dumps(outcomes()))


if __name__ == "__main__":
    main()
