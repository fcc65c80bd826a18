"""What a test has to say beside passing: seeds, counts, figures. `pytest -s` shows it, and a failing test always does."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    sys.stdout.write(f"\n{text}")
    sys.stdout.flush()
