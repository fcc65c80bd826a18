"""Many errands on a database of their own, as a program with the environment of an empty installation; prints JSON.

python -m tests.drills.hijack_run COUNT SEED SECONDS FILE
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from pathlib import Path

BATCH = 250  # errands that are judged together


def main() -> None:
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", interactive=False, verbosity=0)
    from tests.drills import hijack
    from tests.drills.sink import OutsideSink

    count, seed, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    deadline, found = time.monotonic() + seconds, hijack.Found()
    with OutsideSink(Path(sys.argv[4])) as sink:
        os.environ[hijack.SINK] = sink.url
        drill = hijack.Drill(sink, random.Random(seed))
        drill.found()
        while found.attempts < count and time.monotonic() < deadline:
            found += drill.run(min(BATCH, count - found.attempts))
    notes = {
        "hijacked": found.hijacked, "effects": found.effects, "honest": found.legitimate, "honest denied": len(found.denied),
        "honest asked about": found.asked, "asked without need": round(found.over_asked),
        "not on record": len(found.unrecorded),
    }  # fmt: skip
    wrong = [
        *found.violations,
        *(f"not on record: {one}" for one in found.unrecorded),
        *(f"denied: {one}" for one in found.denied),
    ]
    sys.stdout.write(json.dumps({"count": found.attempts, "seed": seed, "violations": wrong, "notes": notes}))


if __name__ == "__main__":
    main()
