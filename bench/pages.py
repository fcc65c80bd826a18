"""p50 and p95 of the access matrix page and of the approvals inbox, small and large. Only ratios within one run are evidence.

    python bench/pages.py [looks per figure]

Works in a database of its own that it makes and drops: SQLite in a temporary folder, or a database on the server that
AEGIS_DATABASE_URL names. Pages are asked in turns, through the whole stack of middleware, without a network.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MATRICES = ((10, 20), (100, 200))  # roles x capabilities
PENDING = (10, 10_000)
AGENTS = 50
VIEWS = {
    "by agent": "/matrix/?by=agent",
    "by person": "/matrix/?by=person",
    "two compared": "/matrix/?compare=role-1&with=role-2&differences=on",
    "to print": "/matrix/print/",
    "by capability": "/matrix/who/?capability=ticket.refund",
}
WARM = 2


def prepared() -> tuple[Any, Any]:
    """Tables, a small configuration, and the browsers of who edits and who decides."""
    import django

    django.setup()
    from django.conf import settings
    from django.contrib.auth.models import Group
    from django.core.management import call_command
    from django.test import Client

    from aegis.core.actors import SYSTEM
    from aegis.identity import founding, people
    from aegis.identity.models import User
    from approvals import changes
    from tests.portal.documents import everything, keyed

    call_command("migrate", interactive=False, verbosity=0)
    settings.ALLOWED_HOSTS = ["testserver"]
    founding.found(["ada"], reason="bench")
    people.create_group("Support leads", actor=SYSTEM, reason="bench")
    people.create_person("sam", groups=["Support leads"], actor=SYSTEM, reason="bench")
    changes.bootstrap(keyed(everything()))
    assert Group.objects.filter(name="Support leads").exists()
    found = []
    for name in ("ada", "sam"):
        client = Client()
        client.force_login(User.objects.get(username=name), backend="aegis.identity.backends.PersonBackend")
        found.append(client)
    return found[0], found[1]


def looks(client: Any, path: str, count: int) -> list[float]:
    """Milliseconds of each look."""
    found = []
    for _ in range(WARM + count):
        started = time.perf_counter()
        answer = client.get(path)
        found.append(1e3 * (time.perf_counter() - started))
        assert answer.status_code == 200, (path, answer.status_code)
    return found[WARM:]


def told(what: str, found: list[float]) -> float:
    p95 = statistics.quantiles(found, n=20)[-1]
    print(f"{what:<44} p50 {statistics.median(found):8.1f} ms   p95 {p95:8.1f} ms", flush=True)
    return p95


def main(count: int) -> None:
    editor, lead = prepared()
    from aegis.identity.models import User
    from approvals.models import ApprovalPolicy
    from tests.pages.test_inbox_of_ten_thousand import pending
    from tests.portal.test_many_cells import agents, grow

    figures = []
    for roles, capabilities in MATRICES:
        agents(AGENTS)
        grow(roles, capabilities)
        figures.append(told(f"matrix, {roles} roles x {capabilities} capabilities", looks(editor, "/matrix/", count)))
        for what, path in VIEWS.items():
            told(f"  {what}", looks(editor, path, count))
    cells = MATRICES[1][0] * MATRICES[1][1] / (MATRICES[0][0] * MATRICES[0][1])
    print(f"  {figures[1] / figures[0]:.1f} times the time for {cells:.0f} times the cells")
    policy, asker = ApprovalPolicy.objects.get(name="lead"), User.objects.get(username="ada")
    figures, there = [], 0
    for rows in PENDING:
        pending(policy, asker, rows - there)
        there = rows
        figures.append(told(f"inbox, {rows:,} pending", looks(lead, "/approvals/", count)))
    print(f"  {figures[1] / figures[0]:.1f} times the time for {PENDING[1] / PENDING[0]:.0f} times the requests")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    from tests.support.serving import fresh_database

    with tempfile.TemporaryDirectory() as folder, fresh_database() as url:
        os.environ.update(AEGIS_DATABASE_URL=url, AEGIS_DATA_DIR=folder, DJANGO_SETTINGS_MODULE="aegis.settings")
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
        from django.db import connections

        connections.close_all()
