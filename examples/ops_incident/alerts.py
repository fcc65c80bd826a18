"""An alert as any product sends it -> what it is about, on one scale. Pure.

A product is a row of `PRODUCTS`: where it keeps severity, title, service and whether the trouble is over. Of several places the
first that has something counts. An alert of a product without a row is read by the words most of them use.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from .severity import Severity, on_scale

MAX_TITLE: Final = 200

Status = Literal["firing", "resolved"]
#: What the trouble is, as far as title and text of an alert tell.
Symptom = Literal["cpu", "memory", "disk", "queue", "latency", "errors", "down", "other"]

_SYMPTOMS: Final[tuple[tuple[Symptom, re.Pattern[str]], ...]] = (
    ("memory", re.compile(r"\bmemory|\boom\b|\bheap\b", re.I)),
    ("disk", re.compile(r"\bdisk|no space left|\bstorage\b", re.I)),
    ("queue", re.compile(r"\bqueue|\bmq|\bconsumer\b|\bbacklog\b", re.I)),
    ("cpu", re.compile(r"\bcpu|\bload\b|overload", re.I)),
    ("errors", re.compile(r"5xx|error rate|\b50[0-9]\b|\berrors?\b|failed to|submission failed", re.I)),
    ("latency", re.compile(r"latency|slow|timed? ?out", re.I)),
    ("down", re.compile(r"\bdown\b|offline|unreachable|recovered|not ok", re.I)),
)
_SLUG: Final = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Product:
    """Dotted places in a payload, best first. `a[key=x].b` is b of the item of list a whose key is x."""

    severity: tuple[str, ...]
    title: tuple[str, ...]
    service: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    over: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # place -> values that say it is over


@dataclass(frozen=True, slots=True)
class Incident:
    """An alert, normalised. `service` and `environment` are "" where the alert names none."""

    source: str
    severity: Severity
    stated: str  # the product's own word or number
    status: Status
    title: str
    symptom: Symptom
    service: str
    environment: str


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    reason: str


PRODUCTS: Final[Mapping[str, Product]] = {
    "axiom": Product(("action",), ("event.title",), over={"action": ("closed",)}),
    "checkly": Product(("alert_type",), ("event", "check_name"), ("check_name",), over={"alert_type": ("alert_recovery",)}),
    "checkmk": Product(
        ("severity", "status"), ("summary",), ("host",), over={"notification_type": ("recovery",), "status": ("up", "ok")}
    ),
    "cloudwatch": Product(
        ("Message.Priority",), ("Message.AlarmDescription", "Message.AlarmName"), ("Message.Application", "Message.AlarmName"),
        over={"Message.NewStateValue": ("ok",)},
    ),
    "coralogix": Product(
        ("fields[key=severity].value", "fields[key=priority].value"), ("description", "name"), ("fields[key=subsystem].value",),
        over={"alert_action": ("resolve", "resolved")},
    ),
    "dash0": Product(
        ("data.issue.severity", "data.issue.status"), ("data.issue.summary",),
        ("data.issue.labels[key=service.name].value.stringValue",),
        over={"type": ("alert.resolved",), "data.issue.status": ("resolved",)},
    ),
    "datadog": Product(("priority",), ("title",), ("tags{service}", "title"), ("tags{environment}",)),
    "gcpmonitoring": Product(
        ("incident.metadata.system_labels.severity", "incident.severity"), ("incident.summary",),
        ("incident.resource_id", "incident.resource_display_name"), ("incident.metadata.user_labels.environment",),
        over={"incident.state": ("closed",)},
    ),
    "grafana": Product(("labels.severity",), ("title",), ("labels.service", "labels.monitor")),
    "graylog": Product(("event.priority",), ("event.message", "event_definition_title"), ("event.source",)),
    "libre_nms": Product(("severity",), ("title",), ("sysName", "hostname"), over={"state": ("0",)}),
    "netbox": Product(("event",), ("data.display", "model"), ("data.slug",)),
    "prometheus": Product(
        ("labels.severity",), ("summary", "annotations.summary", "labels.alertname"),
        ("labels.service", "labels.workload", "labels.job", "labels.alertname"),
        over={"status": ("resolved",)},
    ),
    "sentry": Product(("level",), ("message", "event.title"), ("project_slug", "project"), ("event.environment",)),
    "signalfx": Product(
        ("severity",), ("messageTitle", "inputs.messageTitle", "description"), ("rule", "inputs.rule"),
        over={"statusExtended": ("ok", "stopped", "manually resolved")},
    ),
    "thousandeyes": Product(
        ("alert.severity",), ("alert.ruleName", "alert.testName"), ("alert.hostname", "alert.ruleName"),
        over={"eventType": ("alert_notification_clear",), "alert.active": ("0",)},
    ),
    "wazuh": Product(("severity",), ("message",)),
}  # fmt: skip

_ANY: Final = Product(
    ("severity", "level", "priority", "urgency", "labels.severity", "alert.severity"),
    ("title", "summary", "message", "name", "description"),
    ("service", "labels.service", "application", "host", "hostname"),
    ("environment", "labels.environment"),
    over={"status": ("resolved", "ok", "closed", "recovered"), "state": ("resolved", "ok", "closed")},
)


def normalise(provider: str, payload: Any) -> Incident | NotUnderstood:
    """Read an alert. Total: what cannot be judged is told with a reason."""
    if not isinstance(payload, Mapping):
        return NotUnderstood("the alert is no object")
    product = PRODUCTS.get(provider, _ANY)
    stated = next(_found(payload, product.severity), None)
    if stated is None:
        return NotUnderstood(f"no severity at {', '.join(product.severity)}")
    severity = on_scale(provider, stated)
    if severity is None:
        return NotUnderstood(f"{str(stated)[:40]!r} is no severity of {provider} that I know")
    title = " ".join(str(next(_found(payload, product.title), "") or provider).split())
    return Incident(
        source=provider,
        severity=severity,
        stated=str(stated)[:40],
        status="resolved" if _is_over(payload, product) else "firing",
        title=title if len(title) <= MAX_TITLE else title[: MAX_TITLE - 1] + "\u2026",
        symptom=symptom_of(" ".join([title, *_texts(payload)])),
        service=slug(str(next(_found(payload, product.service), ""))),
        environment=_environment(str(next(_found(payload, product.environment), ""))),
    )


def symptom_of(text: str) -> Symptom:
    return next((symptom for symptom, pattern in _SYMPTOMS if pattern.search(text)), "other")


def slug(text: str) -> str:
    """ "Production Web Cluster" -> "production-web-cluster": what services are called here."""
    return _SLUG.sub("-", text.lower()).strip("-")[:40].strip("-")


def _environment(word: str) -> str:
    known = {"prod": "production", "production": "production", "live": "production"}
    return known.get(word.lower(), "staging" if word.lower() in ("staging", "stage", "test", "qa") else "")


def _is_over(payload: Mapping[str, Any], product: Product) -> bool:
    return any(str(value).lower() in values for place, values in product.over.items() for value in _found(payload, (place,)))


def _texts(payload: Mapping[str, Any]) -> list[str]:
    """What else tells of the trouble: names of metrics and conditions on the upper levels."""
    places = (
        "description", "message", "query", "Message.MetricName", "Message.AlarmName", "incident.metric.displayName",
        "incident.condition_name", "annotations.summary", "summary", "originatingMetric", "alert.ruleExpression",
    )  # fmt: skip
    return [str(value)[:500] for value in _found(payload, places)]


def _found(payload: Mapping[str, Any], places: Sequence[str]) -> Iterator[Any]:
    """Scalars at these places that say something, in order."""
    for place in places:
        value = _at(payload, place)
        is_text = isinstance(value, str) and value.strip() and not value.startswith(("$", "*"))  # a template nobody filled in
        if is_text or (isinstance(value, int) and not isinstance(value, bool)):
            yield value


def _at(payload: Any, place: str) -> Any:
    name, brace, tag = place.partition("{")
    if brace:
        return _tag(_at(payload, name), tag.rstrip("}"))
    for part in _parts(place):
        key, bracket, condition = part.partition("[")
        payload = payload.get(key) if isinstance(payload, Mapping) else None
        if bracket:
            _, _, wanted = condition.rstrip("]").partition("=")
            items = payload if isinstance(payload, list) else []
            payload = next((item for item in items if isinstance(item, Mapping) and item.get("key") == wanted), None)
    return payload


def _parts(place: str) -> list[str]:
    """Split at dots that do not stand in brackets."""
    return re.split(r"\.(?![^\[]*\])", place)


def _tag(tags: Any, name: str) -> str:
    """The value of "name:value" in a list of tags, or in a text with commas."""
    listed = tags.split(",") if isinstance(tags, str) else tags if isinstance(tags, list) else []
    for one in listed:
        key, colon, value = str(one).partition(":")
        if colon and key.strip() == name:
            return value.strip()
    return ""
