"""The webhooks that hear of approval requests, alerts and emergencies: one POST, signed by Standard Webhooks, dialed as agents.

The same rules of addresses, no redirects, bounded time and answers. The body holds ids and configuration words only: nothing
that an agent or a person typed leaves here, because nobody knows who reads there.
"""

from __future__ import annotations

from typing import Final

from django.conf import settings

from aegis.core import canonical, clock, clock_text, tracing
from aegis.identity.models import TakenRight
from approvals.alerts import notices
from approvals.notices.mail import link_to
from approvals.notices.models import Delivery, Notice
from approvals.notices.outbox import Silent, Undelivered
from orchestration.agents import addresses, signing
from orchestration.agents.addresses import Denied
from orchestration.agents.dialing import Unreachable, connect
from orchestration.agents.exchange import Broken, Connection, Stale, TooMuch
from orchestration.engine.models import Run

KEPT_UNDER: Final = "AEGIS_AGENT_SECRET_NOTICES"  # where the environment has the signing secret
#: That of the webhook of emergencies, if it has an address of its own: whoever gets the one can make up nothing for the other.
EMERGENCIES_KEPT_UNDER: Final = "AEGIS_AGENT_SECRET_EMERGENCY"
_OCCASIONS: Final = {Notice.Kind.BROKEN_INTO: "taken", Notice.Kind.OVER: "ended", Notice.Kind.UNREVIEWED: "review_late"}
SECONDS: Final = 10.0
MAX_ANSWER_BYTES: Final = 64 * 1024


def send(delivery: Delivery) -> None:
    """One attempt. Any 2xx is an answer; the message id is the same for every attempt.

    Raises:
        Silent: no answer in time.
        Undelivered: no connection, an answer that is no 2xx, or an address or secret that cannot be used.
    """
    body = canonical.dump(_body(delivery))
    is_apart = delivery.notice.taken_right_id is not None and settings.EMERGENCY_WEBHOOK_URL
    url, kept_under = (
        (settings.EMERGENCY_WEBHOOK_URL, EMERGENCIES_KEPT_UNDER) if is_apart else (settings.WEBHOOK_URL, KEPT_UNDER)
    )
    deadline = clock.monotonic() + SECONDS
    try:
        allowed = addresses.allowance(tuple(settings.WEBHOOK_HOSTS))
        endpoint = addresses.endpoint(url, allowed)
        signed = signing.headers(
            signing.secrets_of(kept_under),
            message_id=f"msg_{delivery.pk.hex}",
            timestamp=int(clock.now().timestamp()),
            body=body,
        )
        headers = {"content-type": "application/json", "user-agent": "aegis", **_trace(delivery), **signed}
        connection = Connection(connect(endpoint, allowed, deadline=deadline))
        try:
            answer = connection.post(
                endpoint, headers, body, max_bytes=MAX_ANSWER_BYTES, kept_bytes=MAX_ANSWER_BYTES, deadline=deadline
            )
        finally:
            connection.close()
    except TimeoutError:
        raise Silent(f"no whole answer within {SECONDS:g} s") from None
    except Denied as error:
        raise Undelivered(f"its address may not be used: {error}") from None
    except signing.SecretUnusable:
        raise Undelivered(f"{kept_under} is not set or cannot be used") from None
    except (Unreachable, Broken, Stale, TooMuch, OSError) as error:
        raise Undelivered(f"no answer that could be read ({type(error).__name__})") from None
    if not 200 <= answer.status < 300:
        raise Undelivered(f"HTTP {answer.status}" + (": redirects are not followed" if 300 <= answer.status < 400 else ""))


def _trace(delivery: Delivery) -> dict[str, str]:
    """The header of the gate that a request of a run stands at; what is about no run belongs to no trace."""
    request = delivery.notice.request
    run = Run.objects.filter(pk=request.run_id).first() if request is not None and request.run_id else None
    if request is None or run is None:
        return {}
    return {"traceparent": tracing.traceparent(run.trace_id, tracing.span_of_gate(run.pk.hex, str(request.pk)))}


def _body(delivery: Delivery) -> dict[str, object]:
    notice, request, row = delivery.notice, delivery.notice.request, delivery.notice.delegation
    if notice.taken_right is not None:
        return _emergency(notice, notice.taken_right)
    if notice.alert is not None:
        return notices.webhook_body(notice, link_to(notice, None))
    if request is None:
        assert row is not None  # a constraint of the table
        return {
            "type": f"delegation.{notice.kind}",
            "timestamp": clock_text.render(notice.at),
            "data": {
                "delegation": str(row.pk),
                "policy": row.policy,
                "capability": row.capability,
                "starts": clock_text.render(row.starts_at),
                "ends": clock_text.render(row.ends_at),
                "link": link_to(notice, None),
            },
        }
    return {
        "type": f"request.{notice.kind}",
        "timestamp": clock_text.render(notice.at),
        "data": {
            "request": str(request.pk),
            "label": request.label,
            "status": request.status,
            "policy": request.policy.name,
            "capability": request.capability,
            "agent": request.agent,
            "risk": request.risk,
            "stage": request.stage + 1,
            "deadline": clock_text.render(request.deadline),
            "link": link_to(notice, None),
        },
    }


def _emergency(notice: Notice, row: TakenRight) -> dict[str, object]:
    """Without the person: who it was stands on the page."""
    return {
        "type": f"emergency.{_OCCASIONS[Notice.Kind(notice.kind)]}",
        "timestamp": clock_text.render(notice.at),
        "data": {
            "taken": str(row.pk),
            "area": row.area.name,
            "right": row.verb,
            "from": clock_text.render(row.taken_at),
            "until": clock_text.render(row.ended_at or row.ends_at),
            "verdict": row.verdict,
            "link": link_to(notice, None),
        },
    }
