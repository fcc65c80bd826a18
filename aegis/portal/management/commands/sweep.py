"""`manage.py sweep`: one worker process without a queue. It hears the bell of its machine, and looks each second."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand

from aegis.core import wake


class Command(BaseCommand):
    help = "Drive runs in one process, without a queue."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        wake.start_worker()
        stop.wait()
        wake.stop_worker()  # the process ends when its driver has given its runs back
