"""A worker as a process of its own: drives and keeps house until its standard input ends. Run by `test_halt_over_processes`."""

from __future__ import annotations

import os
import sys
import threading
import time

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aegis.settings")
django.setup()

from orchestration.engine.driver import Driver  # noqa: E402
from orchestration.engine.guards import freezing, waking  # noqa: E402
from tests.guards import desk  # noqa: E402, F401  (registers the agent)

SECONDS = 0.05


def main() -> None:
    is_over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), is_over.set()), daemon=True).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while not is_over.is_set():
        Driver(stop=is_over).drive()
        waking.wake_due()
        freezing.keep()
        time.sleep(SECONDS)


main()
