"""The form of an edit: made from the contract of the parameters, filled with what stands, or sent back as it was typed."""

from __future__ import annotations

from django.http import QueryDict

from aegis.core.canonical import Json
from aegis.core.errors import AegisError, Fault, Invalid
from aegis.identity.models import User
from approvals import editing, questions, seen
from approvals.models import ApprovalRequest
from approvals.pages import contractform
from approvals.pages.contractform import ContractForm

_BELOW = "/parameters"


def edit_form(request: ApprovalRequest, shown: Json, posted: QueryDict | None, error: AegisError | None) -> ContractForm | None:
    """None where nothing can be edited.

    Args:
        shown: the proposal as the reader sees it.
        posted: what was sent and refused with `error`; None shows what stands.
    """
    found = editing.editable(request, questions.get(request.question), shown)
    if found is None:
        return None
    form = contractform.build(found.schema)
    if posted is None:
        return form.filled(found.parameters)
    faults = error.faults if error else ()
    return form.posted(posted).with_faults([_inside(fault) for fault in faults if fault.where.startswith(_BELOW)])


def parameters(user: User, request: ApprovalRequest, posted: QueryDict) -> Json:
    """What was typed, as JSON. What the contract does not name has no field, so it stays as it was.

    Raises:
        Invalid: a field cannot be read as what its contract says.
    """
    found = editing.editable(request, questions.get(request.question), seen.frozen(user, request).get("proposal"))
    if found is None:
        return None  # the verb says why
    form = contractform.build(found.schema).posted(posted)
    value, faults = form.value()
    if faults:
        below = [Fault(f"{_BELOW}{fault.where}", fault.what, fault.remedy) for fault in faults]
        raise Invalid("Some fields cannot be read", faults=below)
    if form.is_whole or not isinstance(value, dict):
        return value
    named = {field.key for field in form.fields}
    return {**{key: kept for key, kept in found.parameters.items() if key not in named}, **value}


def _inside(fault: Fault) -> Fault:
    return Fault(fault.where.removeprefix(_BELOW), fault.what, fault.remedy)
