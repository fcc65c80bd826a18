"""What Prometheus scrapes: the counts of all time, and how far behind followers and the sealer are.

Off unless AEGIS_METRICS_TOKEN is set. It tells sums of everything, names of workflows, agents and policies among them, so the
token is as good as the right to read all metrics; what people did by name (votes) is not in it.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from aegis.core import clock
from audit import checkpoints, exporters, following, sealer
from audit.metrics import measures
from audit.metrics.measures import Measure
from audit.metrics.models import Series
from audit.scopes import names_of

#: Measures whose values name people.
PERSONAL: Final = frozenset({"votes"})


@login_not_required
@require_safe
def scrape(request: HttpRequest) -> HttpResponse:
    """The text exposition, for whoever brings the token; 404 to everybody else, and while there is none."""
    if not _is_known(request.headers.get("Authorization", "")):
        raise Http404
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Counts())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})


def _is_known(header: str) -> bool:
    token: str = settings.METRICS_TOKEN
    kind, _, brought = header.partition(" ")
    return bool(token) and kind.lower() == "bearer" and hmac.compare_digest(brought.strip().encode(), token.encode())


class Counts(Collector):
    """The sums that each series keeps: a row for each, however many hours were counted. A rebuild looks like a restart of the
    counters, as it should."""

    def collect(self) -> Iterator[Metric]:
        rows: dict[str, list[Series]] = {}
        for series in Series.objects.order_by("pk"):
            rows.setdefault(series.metric, []).append(series)
        workflows = names_of("workflow", {one.scope_id for found in rows.values() for one in found if one.scope == "workflow"})
        for measure in measures.all_measures():
            if measure.name not in PERSONAL:
                yield from _families(measure, rows.get(measure.name, []), workflows)
        yield from _health()


def _families(measure: Measure, rows: list[Series], workflows: Any) -> Iterator[Metric]:
    labels = ["workflow", *measure.dimensions]
    counted: dict[tuple[str, ...], list[int]] = {}
    for row in rows:
        values = (row.a, row.b, row.c, row.d)[: len(measure.dimensions)]
        workflow = workflows.get(row.scope_id, row.scope_id) if row.scope == "workflow" else ""
        both = counted.setdefault((workflow, *values), [0, 0])
        both[0] += row.count
        both[1] += row.total
    count = CounterMetricFamily(
        f"aegis_{measure.name}", f"Events counted as {measure.name} (docs/guide/metrics.md)", labels=labels
    )
    for key, (number, _) in counted.items():
        count.add_metric(key, number)
    yield count
    if measure.amount:
        amount = CounterMetricFamily(
            f"aegis_{measure.name}_amount",
            f"Sum of their amounts: {'milliseconds' if measure.has_spread else 'units as told'}",
            labels=labels,
        )
        for key, (_, total) in counted.items():
            amount.add_metric(key, total)
        yield amount


def _health() -> Iterator[Metric]:
    seconds = GaugeMetricFamily("aegis_follower_lag_seconds", "Age of the oldest event not followed", labels=["follower"])
    events = GaugeMetricFamily("aegis_follower_lag_events", "Events not followed", labels=["follower"])
    for lag in following.lags():
        seconds.add_metric([lag.name], lag.seconds)
        events.add_metric([lag.name], lag.events)
    waiting, newest, now = sealer.unsealed(), checkpoints.latest(), clock.now()
    oldest = (now - waiting.oldest_at).total_seconds() if waiting.oldest_at else 0.0
    refused = CounterMetricFamily("aegis_exporter_refused", "Left out, since the other side refuses it", labels=["follower"])
    for one in exporters.refusals():
        refused.add_metric([one.name], one.count)
    yield from (seconds, events, refused)
    yield GaugeMetricFamily("aegis_journal_sealed_events", "Events that have their place in the tree", value=sealer.size())
    yield GaugeMetricFamily("aegis_journal_unsealed_events", "Events that wait for the sealer", value=waiting.events)
    yield GaugeMetricFamily("aegis_journal_unsealed_age_seconds", "Age of the oldest of them", value=max(oldest, 0.0))
    if newest is not None:
        age = max((now - newest.at).total_seconds(), 0.0)
        yield GaugeMetricFamily("aegis_checkpoint_age_seconds", "Age of the newest signed checkpoint", value=age)
