"""The agents of ops-incident. Each is a plain function; rows name them as registered here.

They read, judge and propose. Whether a fix crosses a boundary is decided by the access matrix, by the service's own name, which
the platform holds the proposal to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aegis.core.errors import AegisError, Fault, Invalid
from orchestration.agents.protocol import Abstain, AgentRequest, Done, Reply, python_agent

from . import fleet, logs, remedies
from .alerts import NotUnderstood, normalise

KNOWN_ENVIRONMENTS: Final = ("production", "staging")


class NotHealthy(AegisError):
    """The service is not well after the fix: the step fails, and the run gives up into undoing it."""

    code, title, http_status = "not_healthy", "The service is not well", 409


@python_agent("ops.normalise")
def normalise_alert(request: AgentRequest) -> Reply:
    """Read an alert on one scale. Input: {alert: alert@1}. Output: incident@1, with the proposal that opens the incident."""
    asked = _object(request.input, "alert")
    environment, service = _named(asked["service"])
    found = normalise(asked["provider"], asked["alert"])
    if isinstance(found, NotUnderstood):
        return Abstain(found.reason)
    if found.environment and found.environment != environment:
        return Abstain(f"the alert is about {found.environment}, it came in as one about {environment}")
    incident = {
        "service": asked["service"],
        "environment": environment,
        "source": found.source,
        "severity": found.severity,
        "stated_severity": found.stated,
        "status": found.status,
        "title": found.title,
        "symptom": found.symptom,
    }
    opening = {
        "capability": "incident.open",
        "resource": {"type": "incident", "id": asked["id"]},
        "parameters": {**incident, "state": "open"},
        "justification": f"{found.source} says {found.stated}, which is {found.severity}",
    }
    return Done(
        output={"incident": incident, "open": opening},
        rationale=f"{found.source} says {found.stated}: {found.severity}, {found.status}, {found.symptom}; service {service}",
        confidence=1.0,
    )


@python_agent("ops.gather")
def gather(request: AgentRequest) -> Reply:
    """Read the logs of the service. Input: {incident}. Output: evidence@1.

    Raises:
        LogsRefused: the name leads elsewhere, or what lies there is no text.
    """
    environment, service = _named(_object(request.input, "incident")["service"])
    found = logs.gather(environment, service)
    return Done(
        output={
            "files": [{"name": name, "bytes": size} for name, size in found.files],
            "lines": list(found.lines),
            "signals": [{"signal": signal, "lines": count} for signal, count in found.signals.items()],
        },
        rationale=f"{len(found.lines)} lines of {len(found.files)} files" if found.files else "there are no logs of it",
        sources=tuple(f"log:{environment}/{service}/{name}" for name, _ in found.files),
    )


@python_agent("ops.propose")
def propose(request: AgentRequest) -> Reply:
    """Choose a fix. Input: {incident, evidence}. Output: remediation@1; confidence as told by the rules."""
    incident, evidence = _object(request.input, "incident"), _object(request.input, "evidence")
    signals = {one["signal"]: one["lines"] for one in evidence["signals"]}
    found = remedies.choose(
        symptom=incident["symptom"], status=incident["status"], severity=incident["severity"], signals=signals
    )
    if isinstance(found, remedies.Undecided):
        return Abstain(found.reason)
    action = {
        "capability": found.action,
        "resource": {"type": "service", "id": incident["service"]},
        "parameters": {
            "action": found.action,
            "severity": incident["severity"],
            "because": found.why[:500],
            "evidence": evidence["lines"][-5:],
        },
        "justification": f"{incident['title'][:200]}: {remedies.WORDS[found.action]}, because {found.why}"[:500],
    }
    return Done(output={"action": action}, rationale=found.why, confidence=found.confidence)


@python_agent("ops.verify")
def verify(request: AgentRequest) -> Reply:
    """Probe the service after the fix. Input: {id, incident, action}. Output: verification@1, with the proposal that closes.

    Raises:
        NotHealthy: it is still not well.
    """
    incident, action = _object(request.input, "incident"), _object(request.input, "action")
    service = incident["service"]
    wrong = fleet.health(fleet.FLEET.read(), service)
    if wrong is None:
        return Abstain(f"{service} cannot be probed")
    if wrong:
        raise NotHealthy(f"{service}: {'; '.join(wrong)}")
    told = f"{service} answers as it should after {action['capability']}"
    closing = {
        "capability": "incident.close",
        "resource": {"type": "incident", "id": str(request.input.get("id", ""))},
        "parameters": {"state": "closed", "fixed_by": action["capability"], "verified": told},
        "justification": told,
    }
    return Done(output={"healthy": True, "told": told, "close": closing}, rationale=told, confidence=1.0)


def _named(service: Any) -> tuple[str, str]:
    """ "production:payments" -> ("production", "payments").

    Raises:
        Invalid: no such name.
    """
    environment, colon, name = service.partition(":") if isinstance(service, str) else ("", "", "")
    if not colon or environment not in KNOWN_ENVIRONMENTS:
        what = f"must be one of {', '.join(KNOWN_ENVIRONMENTS)}, a colon, and a name"
        raise Invalid(f"/service {what}", faults=[Fault("/service", what)])
    return environment, name


def _object(container: Any, key: str) -> Mapping[str, Any]:
    value = container.get(key) if isinstance(container, Mapping) else None
    if not isinstance(value, Mapping):
        raise Invalid(f"/{key} must be an object", faults=[Fault(f"/{key}", "must be an object")])
    return value
