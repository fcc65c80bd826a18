"""The metrics page: each figure is the length of its list, a reader's figures are of what he may see, queries do not grow."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from urllib.parse import urlparse

import pytest
from django.db import connection
from django.http import QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext

from aegis.core import clock
from aegis.core.actors import SYSTEM
from aegis.identity.models import User
from aegis.portal.metrics import board
from aegis.portal.metrics.asked import Asked
from aegis.portal.metrics.charts import Stack
from audit import scopes, search
from audit.asking import from_params
from audit.drafts import Draft
from audit.metrics import reading
from orchestration.workflows.models import Workflow
from tests.support import counted as journal
from tests.support.counted import counted

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def workflows(configured: object) -> tuple[Workflow, Workflow]:
    first = Workflow.objects.order_by("name").first()
    assert first is not None
    other = Workflow.objects.create(name="hidden-one", title="Hidden one", updated_at=clock.now(), owner=first.owner)
    return first, other


@pytest.fixture
def busy(workflows: tuple[Workflow, Workflow]) -> tuple[Workflow, Workflow]:
    """A few days of two workflows, one of which olivia may see."""
    now = clock.now()
    for number in range(6):
        at = now - timedelta(hours=9 * number + 2)
        journal.run(workflows[0].pk, at, success=("yes", "no")[number % 2], case=("low", "high")[number % 2], tokens=40)
        journal.run(workflows[0].pk, at, ended="failed", code="timeout", queue="front-desk")
        journal.run(workflows[1].pk, at, agent="secret-agent", table="secret-table", queue="secret-queue", code="secret_code")
        journal.request(("workflow", str(workflows[0].pk)), at, outcome=("approved", "rejected", "expired")[number % 3])
        journal.request(("workflow", str(workflows[1].pk)), at, policy="secret-policy")
    counted()
    return workflows


def figures_of(shown: board.Board) -> Iterator[tuple[str, int, str]]:
    """(what it is, the number shown, the list behind it), wherever a number is a count of events."""
    for tile in shown.tiles:
        if tile.label in ("Runs started", "Dead letters"):
            yield tile.label, int(tile.value), tile.url
    stacks = [shown.runs, shown.success, shown.handed, *shown.routes, *([shown.permissions] if shown.permissions else [])]
    for stack in stacks:
        yield from _of_stack(stack)
    for row in shown.policies:
        for name in ("ended", "approved", "rejected", "expired"):
            yield from _of_cell(f"policy {row.name} {name}", getattr(row, name))
    for agent in shown.agents:
        yield from _of_cell(f"answers of {agent.name}", agent.answers)
        yield from _of_cell(f"errors of {agent.name}", agent.errors)
    for group in shown.failures:
        yield from _of_cell(f"failure {group.code}", group.count)
    for one, two, cell in (*shown.causes, *shown.changes):
        yield from _of_cell(f"{one} {two}", cell)


def _of_stack(stack: Stack) -> Iterator[tuple[str, int, str]]:
    for kind in stack.kinds:
        yield f"{stack.title}: {kind.label}", kind.count, kind.url
    for bar in stack.bars:
        if bar.url and stack.title != "Success criterion of completed runs":  # its bars open all completed runs
            yield f"{stack.title} at {bar.moment}", sum(bar.numbers), bar.url


def _of_cell(what: str, cell: board.Cell) -> Iterator[tuple[str, int, str]]:
    if cell.url:
        yield what, int(cell.text.replace(",", "")), cell.url


def shown_to(user: User, query: str = "") -> board.Board:
    return board.gather(scopes.reach(User.objects.get(pk=user.pk)), Asked.of(QueryDict(query)))


@pytest.mark.parametrize("query", ["", "span=24h", "span=30d", "workflow"])
def test_every_figure_is_as_long_as_the_list_it_opens(
    busy: tuple[Workflow, Workflow], quinn: User, olivia: User, may: Callable[..., None], query: str
) -> None:
    may(olivia, busy[0], "view")
    query = f"workflow={busy[0].pk}" if query == "workflow" else query
    journal.run(busy[0].pk, clock.now() - timedelta(hours=3), version="", code="timeout")  # none is not any
    counted()

    for person in (quinn, olivia):
        figures = list(figures_of(shown_to(person, query)))
        assert len(figures) > 20
        for what, number, url in figures:
            asked = from_params(QueryDict(urlparse(url).query))
            found = search.find(asked, person, limit=1_000, seen=scopes.reach(person))
            assert len(found.events) == number, (person.username, what, url)


def test_a_restricted_readers_page_knows_nothing_of_what_he_may_not_see(
    busy: tuple[Workflow, Workflow], olivia: User, may: Callable[..., None], browser_of: Callable[..., Client]
) -> None:
    may(olivia, busy[0], "view")

    page = browser_of(olivia).get("/metrics/?span=30d").content.decode()

    assert "secret" not in page
    assert "Hidden one" not in page
    assert "Permission changes" not in page
    assert "front-desk" in page
    assert figure(page, "Runs started") == "12"


def test_a_stranger_to_all_sees_empty_figures(
    busy: tuple[Workflow, Workflow], root: User, browser_of: Callable[..., Client]
) -> None:
    page = browser_of(root).get("/metrics/").content.decode()

    assert figure(page, "Runs started") == "0"
    assert "clerk" not in page
    assert page.count("<option") == 1


def test_a_hidden_workflow_answers_as_one_that_does_not_exist(
    busy: tuple[Workflow, Workflow], olivia: User, may: Callable[..., None], browser_of: Callable[..., Client]
) -> None:
    may(olivia, busy[0], "view")
    client = browser_of(olivia)
    hidden = client.get(f"/metrics/?workflow={busy[1].pk}").content.decode()
    unknown = client.get("/metrics/?workflow=00000000-0000-0000-0000-000000000000").content.decode()

    for page in (hidden, unknown):
        assert figure(page, "Runs started") == "0"
    assert _shape(hidden, str(busy[1].pk)) == _shape(unknown, "00000000-0000-0000-0000-000000000000")


def test_the_auditor_sees_all_of_it(busy: tuple[Workflow, Workflow], quinn: User, browser_of: Callable[..., Client]) -> None:
    page = browser_of(quinn).get("/metrics/").content.decode()

    assert figure(page, "Runs started") == "18"
    for text in ("secret-agent", "secret_code", "secret-policy", "Permission changes", "Hidden one"):
        assert text in page, text


def test_the_number_of_queries_does_not_grow(
    workflows: tuple[Workflow, Workflow], quinn: User, browser_of: Callable[..., Client]
) -> None:
    client = browser_of(quinn)
    now = clock.now()

    def queries() -> int:
        counted()
        client.get("/metrics/")  # what a process reads once is read
        with CaptureQueriesContext(connection) as caught:
            assert client.get("/metrics/").status_code == 200
        return len(caught)

    journal.run(workflows[0].pk, now, code="timeout")
    journal.request(("workflow", str(workflows[0].pk)), now)
    before = queries()
    for number in range(8):
        workflow = Workflow.objects.create(
            name=f"more-{number}", title=f"More {number}", updated_at=now, owner=workflows[0].owner
        )
        journal.run(
            workflow.pk, now, agent=f"agent-{number}", table=f"table-{number}", code=f"code_{number}", queue=f"q-{number}"
        )
        journal.request(("workflow", str(workflow.pk)), now, policy=f"policy-{number}")

    assert queries() == before


def test_what_an_agent_made_up_is_text(
    workflows: tuple[Workflow, Workflow], quinn: User, browser_of: Callable[..., Client]
) -> None:
    journal.run(workflows[0].pk, clock.now(), code=HOSTILE, agent=HOSTILE, case=HOSTILE, table=HOSTILE)
    counted()

    page = browser_of(quinn).get("/metrics/").content.decode()

    assert HOSTILE not in page
    assert html.escape(HOSTILE) in page


def test_a_failure_that_only_the_newest_version_makes_is_marked(workflows: tuple[Workflow, Workflow], quinn: User) -> None:
    now = clock.now()
    journal.run(workflows[0].pk, now - timedelta(days=40), code="timeout", version="a" * 64)
    journal.run(workflows[0].pk, now, code="timeout", version="b" * 64)
    journal.run(workflows[0].pk, now, code="fell_over", version="b" * 64)
    counted()

    groups = {(one.code, one.version): one for one in shown_to(quinn).failures}

    assert groups.keys() == {("timeout", "b" * 12), ("fell_over", "b" * 12)}
    assert groups["fell_over", "b" * 12].is_new_version
    assert not groups["timeout", "b" * 12].is_new_version


def test_runs_inside_a_run_are_not_counted_as_runs(workflows: tuple[Workflow, Workflow], quinn: User) -> None:
    from uuid import uuid4

    from aegis.core.actors import SYSTEM
    from audit.drafts import Draft

    forked = {
        "workflow": "notes", "version": 1, "parent": str(uuid4()), "parent_step": "each", "parent_visit": 1, "ordinal": 1,
        "path": "each", "input": "", "items": "", "index": 0, "outputs": {}, "cases": {}, "next": "read",
    }  # fmt: skip
    journal.write(
        f"run:{uuid4()}", ("workflow", str(workflows[0].pk)), clock.now(), Draft("run.forked", SYSTEM, forked),
        Draft("run.completed", SYSTEM, {"outcome": "done", "success": "none"}, outcome="completed"),
    )  # fmt: skip
    journal.run(workflows[0].pk, clock.now())
    counted()

    assert shown_to(quinn).runs.total == 1


def test_the_pages_say_since_when_they_are_behind_and_to_nobody_by_how_many_events(
    busy: tuple[Workflow, Workflow], quinn: User, olivia: User, may: Callable[..., None], browser_of: Callable[..., Client]
) -> None:
    """They are of the whole installation, whatever the reader may see of it."""
    may(olivia, busy[0], "view")
    assert "up to date" in browser_of(quinn).get("/metrics/").content.decode()
    counted()
    journal.run(busy[1].pk, clock.now() - timedelta(seconds=40), took=timedelta())

    for person in (quinn, olivia):
        for address in ("/metrics/", "/audit/"):
            page = browser_of(person).get(address).content.decode()
            assert re.search(r"4\d s behind, since \d\d:\d\d:\d\d UTC\s*<", page), (person, address)
            assert "missing" not in page, (person, address)


def test_a_chart_says_the_same_in_its_table(busy: tuple[Workflow, Workflow], quinn: User) -> None:
    runs = shown_to(quinn).runs

    assert [kind.count for kind in runs.kinds] == [
        sum(bar.numbers[place] for bar in runs.bars) for place in range(len(runs.kinds))
    ]
    assert {kind.label for kind in runs.kinds} == {"completed", "failed"}
    assert runs.total == 18


def test_policies_tell_expiry_and_time(busy: tuple[Workflow, Workflow], quinn: User) -> None:
    policy = next(one for one in shown_to(quinn).policies if one.name == "refunds")

    assert (policy.ended.text, policy.expired.text, policy.expired_share) == ("6", "2", "33 %")
    assert policy.p50.startswith(("19 min", "20 min"))


def figure(page: str, label: str) -> str:
    found = re.search(rf"</svg>\s*{re.escape(label)}</span><b[^>]*>([^<]*)</b>", page)
    assert found, label
    return found[1]


def _shape(page: str, ref: str) -> str:
    """The page without what the reader typed himself, and without what differs between any two answers."""
    page = re.sub(r'name="csrfmiddlewaretoken" value="[^"]*"|nonce="[^"]*"', "", page.replace(ref, "REF"))
    return re.sub(r"<time[^>]*>[^<]*</time>", "", page)


def test_what_is_handed_over_is_counted_and_no_share_of_the_runs(workflows: tuple[Workflow, Workflow], quinn: User) -> None:
    now = clock.now()
    run = journal.run(workflows[0].pk, now, queue="desk")
    for _ in range(3):
        again = Draft(
            "review.opened", SYSTEM, {"step": "read", "visit": 2, "item": str(run), "queue": "desk", "code": "review"}
        )
        journal.write(f"run:{run}", ("workflow", str(workflows[0].pk)), now, again, run_id=run)
    counted()

    tile = next(tile for tile in shown_to(quinn).tiles if tile.label == "Handed to people")

    assert "%" not in tile.value + tile.detail
    assert int(tile.value) == 4
    assert tile.detail == "review items; 400 for each 100 runs that ended"


def test_the_busiest_tables_are_shown_and_the_others_are_counted_by_the_database(
    workflows: tuple[Workflow, Workflow], quinn: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.now()
    for number in range(7):
        for _ in range(number + 1):
            journal.run(workflows[number % 2].pk, now, table=f"table-{number}")
    counted()
    read: list[set[str]] = []
    real = reading.Found.__init__

    def noting(self: reading.Found, rows: Iterable[reading.Row]) -> None:
        kept = list(rows)
        read.append({row.values[0] for row in kept if row.metric == "routes"})
        real(self, kept)

    monkeypatch.setattr(reading.Found, "__init__", noting)

    shown = shown_to(quinn)

    assert [stack.title for stack in shown.routes] == ["table-6", "table-5", "table-4", "table-3"]
    assert shown.tables_more == 3
    assert read == [{"table-6", "table-5", "table-4", "table-3"}], "no row of the others left the database"
