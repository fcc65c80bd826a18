"""The two public routes: is the web process alive, and what the browser reports against the policy."""

from __future__ import annotations

import json

import structlog
from django.contrib.auth.decorators import login_not_required
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe
from prometheus_client import Counter

log = structlog.get_logger(__name__)

CSP_REPORTS = Counter("aegis_csp_reports", "Violations of the content security policy that browsers reported")
MAX_REPORT_BYTES = 16 * 1024


@login_not_required
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """200 when this process answers and reaches its database; says nothing else to strangers."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return JsonResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})


@csrf_exempt  # browsers send reports without a token; the body changes nothing but a counter
@login_not_required
@require_POST
def csp_report(request: HttpRequest) -> HttpResponse:
    """Count a violation and log where and what, clipped: the body is whatever a stranger sends."""
    CSP_REPORTS.inc()
    try:
        body = json.loads(request.read(MAX_REPORT_BYTES) or b"{}")
        report = body.get("csp-report", {}) if isinstance(body, dict) else {}
        facts = {key: str(report.get(key, ""))[:200] for key in ("document-uri", "violated-directive", "blocked-uri")}
    except (ValueError, AttributeError):
        facts = {}
    log.warning("csp_report", **{key.replace("-", "_"): value for key, value in facts.items()})
    return HttpResponse(status=204)
