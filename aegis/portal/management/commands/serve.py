"""`manage.py serve`: the whole of AEGIS with one command: migrate, check, web and worker under supervision."""

from __future__ import annotations

import contextlib
import io
import ipaddress
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from aegis.core import commands
from aegis.identity import founding
from aegis.portal import demo_people
from aegis.portal.management.children import run_supervised, web_child, worker_child

READY_SECONDS = 60.0


class Command(BaseCommand):
    help = "Run AEGIS: web and worker under supervision, after migrating. Ctrl-C stops both."
    requires_system_checks = []  # noqa: RUF012  they run below, after migrating: some look at the database

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--demo", action="store_true", help="load the demo: people with log-ins, workflows, sample items")

    def handle(self, *args: Any, host: str, port: int, demo: bool, **options: Any) -> None:
        _require_free(host, port)
        self._say("Bringing the database up to date ...")
        call_command("migrate", interactive=False, verbosity=0)
        if (demo or demo_people.exist()) and not _is_loopback(host):
            raise CommandError(
                f"--host {host}: demo people have log-ins that lie in a file; they are served on loopback only. "
                "Disable them, or use a data folder without the demo."
            )
        self._say("Checking the settings ...")
        call_command("check", databases=["default"], stdout=io.StringIO())  # faults raise, warnings go to stderr
        if demo:
            self._say("Loading the demo ...")
        logins = self._load_demo() if demo else []
        connections.close_all()

        url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        ready = _Ready(url, lambda: self._greet(url, logins))
        self._say("Starting web and worker ...")
        run_supervised([web_child(host, port), worker_child()], say=self._say, each_tick=ready.look)
        self._say("AEGIS has stopped.")

    def _load_demo(self) -> list[demo_people.Login]:
        logins = demo_people.ensure(settings.DATA_DIR)
        if any(known.name == "demo" for known in commands.all_subcommands()):
            call_command("aegis", "demo", "load", stdout=self.stdout, stderr=self.stderr)
        return logins

    def _greet(self, url: str, logins: list[demo_people.Login]) -> None:
        self._say(f"\nAEGIS is ready: {url}")
        if logins:
            width = max(len(login.password) for login in logins)
            self._say("\nSign in as")
            for login in logins:
                self._say(f"  {login.persona.username:<8} {login.password:<{width}}  {login.persona.does}")
        elif not founding.is_founded():
            self._say("\nNobody can sign in yet. Name the first people:\n  manage.py aegis found USERNAME [USERNAME ...]")
        self._say("\nCtrl-C stops it.")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


class _Ready:
    """Says once that the web process answers."""

    def __init__(self, url: str, greet: Callable[[], None]) -> None:
        self._url = f"{url}/healthz"
        self._greet = greet
        self._pending = True
        self._give_up = time.monotonic() + READY_SECONDS

    def look(self) -> None:
        if not self._pending or time.monotonic() > self._give_up:
            return
        try:
            with urllib.request.urlopen(self._url, timeout=2):  # noqa: S310  our own address
                pass
        except urllib.error.HTTPError:
            pass  # it answers; what is wrong is for the page and the log to say
        except OSError:
            return
        self._pending = False
        with contextlib.suppress(OSError):  # nobody is at the terminal any more: not a reason to stop
            self._greet()


def _require_free(host: str, port: int) -> None:
    """Before anything is started, so that the fault is named once and not by every restart."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise CommandError(f"Cannot listen on {host}:{port}: {error.strerror}. Choose another: make up PORT=8001") from None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
