"""`manage.py worker`: a supervised worker without a web process, for further worker hosts."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from aegis.portal.management.children import run_supervised, worker_child


class Command(BaseCommand):
    help = "Run a worker under supervision (production: any number of hosts)."

    def handle(self, *args: Any, **options: Any) -> None:
        run_supervised([worker_child()], say=self.stdout.write)
