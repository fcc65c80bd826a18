"""`manage.py sweep`: drive without a queue. The supervisor starts it in place of the worker while the broker is silent."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand

from aegis.core import wake


class Command(BaseCommand):
    help = "Drive runs by the sweep alone, without a queue."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        wake.start_sweep()
        stop.wait()
