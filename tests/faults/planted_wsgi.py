"""The web application with a planted bug: deciding takes no row lock. Served in one test only, which must then find violations.

Two locks stand in a row before a decision about a run: the run's (it is woken by the outcome) and the request's. Either alone
would still keep two deciders apart, so both become plain reads.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from aegis.wsgi import application
from approvals import holding
from approvals.models import ApprovalRequest
from orchestration.engine import inbox
from orchestration.engine.models import Run

__all__ = ["application"]


def _read_request(request_id: UUID) -> Any:
    return ApprovalRequest.objects.select_related("policy").get(pk=request_id)


def _read_run(run_id: UUID) -> Any:
    return Run.objects.get(pk=run_id)


holding.lock_request = _read_request
inbox.lock_run = _read_run
