"""Prometheus gets sums of everything, with the token alone; without one there is no such page."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import Sum
from django.test import Client
from django.test.utils import CaptureQueriesContext
from prometheus_client.parser import text_string_to_metric_families

from aegis.core import clock
from aegis.core.actors import user_actor
from aegis.identity.models import User
from audit import following
from audit.metrics import projection
from audit.metrics.models import Bucket, Series
from audit.scopes import names_of
from orchestration.workflows.models import Workflow
from tests.support import counted as journal
from tests.support.counted import counted

pytestmark = pytest.mark.django_db
TOKEN = "a token of some length"


@pytest.fixture
def busy(configured: object, quinn: User) -> Workflow:
    workflow = Workflow.objects.order_by("name").first()
    assert workflow is not None
    for _ in range(3):
        journal.run(workflow.pk, clock.now(), tokens=50)
    journal.run(workflow.pk, clock.now(), ended="failed", code='odd"code\n')
    journal.request(("workflow", str(workflow.pk)), clock.now(), by=user_actor(quinn.pk, auth="session"))
    counted()
    return workflow


def scraped(client: Client, token: str = TOKEN) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = client.get("/metrics/prometheus", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.content.decode())
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for family in families for one in family.samples}


def test_there_is_no_such_page_unless_a_token_is_set(busy: Workflow, client: Client) -> None:
    for header in ("", "Bearer ", "Bearer x"):
        assert client.get("/metrics/prometheus", headers={"Authorization": header}).status_code == 404


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer ä"])
def test_without_the_right_token_there_is_none_either(busy: Workflow, client: Client, settings: object, header: str) -> None:
    settings.METRICS_TOKEN = TOKEN  # type: ignore[attr-defined]
    assert client.get("/metrics/prometheus", headers={"Authorization": header}).status_code == 404


def test_counts_are_those_of_the_buckets(busy: Workflow, client: Client, settings: object) -> None:
    settings.METRICS_TOKEN = TOKEN  # type: ignore[attr-defined]
    found = scraped(client)
    called = names_of("workflow", {str(busy.pk)})[str(busy.pk)]
    of = {name: value for (name, labels), value in found.items() if dict(labels).get("workflow") == called}

    assert found["aegis_started_total", (("workflow", called),)] == 4
    assert found["aegis_runs_total", (("outcome", "failed"), ("success", ""), ("workflow", called))] == 1
    assert of["aegis_tokens_amount_total"] == 150
    assert found["aegis_follower_lag_events", (("follower", "metrics"),)] == 0
    assert ("aegis_journal_unsealed_age_seconds", ()) in found


def test_nobody_is_named(busy: Workflow, client: Client, settings: object, quinn: User) -> None:
    settings.METRICS_TOKEN = TOKEN  # type: ignore[attr-defined]
    text = client.get("/metrics/prometheus", headers={"Authorization": f"Bearer {TOKEN}"}).content.decode()

    assert str(quinn.pk) not in text
    assert "aegis_votes" not in text


def test_the_lag_of_a_follower_that_stands_still_is_told(busy: Workflow, client: Client, settings: object) -> None:
    settings.METRICS_TOKEN = TOKEN  # type: ignore[attr-defined]
    journal.run(busy.pk, clock.now())
    behind = following.lag(projection.NAME).events

    assert behind > 0
    assert scraped(client)["aegis_follower_lag_events", (("follower", "metrics"),)] == behind


def test_a_scrape_reads_a_row_for_each_series_and_no_hour_however_many_there_are(
    busy: Workflow, client: Client, settings: object
) -> None:
    settings.METRICS_TOKEN = TOKEN  # type: ignore[attr-defined]
    scraped(client)
    with CaptureQueriesContext(connection) as few:
        scraped(client)
    for hours in range(40):
        journal.run(busy.pk, clock.now() - timedelta(hours=hours), tokens=50)
    counted()

    with CaptureQueriesContext(connection) as many:
        found = scraped(client)

    assert len(many) == len(few)
    assert not [query["sql"] for query in many if "audit_bucket" in query["sql"]]
    assert sum(value for (name, _), value in found.items() if name == "aegis_started_total") == 44
    of_buckets = Bucket.objects.values_list("series_id").annotate(n=Sum("count"), t=Sum("total"))
    assert sorted(of_buckets) == sorted(Series.objects.values_list("pk", "count", "total"))
