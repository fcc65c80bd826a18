"""The advice of a policy: each threshold with its evidence, and the document as it would be. Pure and deterministic."""

from __future__ import annotations

from aegis.core.canonical import Json
from approvals import policies
from approvals.advice import deadline, fastpath, quorum
from approvals.advice.cases import Advice, History


def of_policy(document: Json, history: History) -> list[Advice]:
    """What history says about the fast path, the quorum and the deadline of a policy, in this order.

    Raises:
        Invalid: the document is no policy.
    """
    policy, spec = policies.load(document), document["spec"]
    return [module.advise(policy, spec, history) for module in (fastpath, quorum, deadline)]


def document_of(document: Json, advice: Advice) -> Json:
    """The policy's document with what is advised.

    Raises:
        ValueError: nothing is advised.
    """
    if advice.spec is None:
        raise ValueError(f"nothing is advised about the {advice.topic}")
    return {**document, "spec": dict(advice.spec)}


def reason_of(advice: Advice, *, shown_to: str) -> str:
    """Why, for the record: the advice and its statistic.

    Args:
        shown_to: whose sight of the requests it rests on.
    """
    return " ".join((advice.says, *advice.because, f"Counted from the requests that {shown_to} may see."))
