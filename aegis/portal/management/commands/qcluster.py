"""`manage.py qcluster`: django-q2's own command, with a cluster that stops in order. The supervisor runs it as "worker"."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from aegis.core import wake


class Command(BaseCommand):
    help = "Run the worker processes and their queue, unsupervised. `manage.py worker` supervises them."

    def handle(self, *args: Any, **options: Any) -> None:
        wake.run_cluster()
