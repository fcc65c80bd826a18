"""The proposals of the workflow: filing a draft, publishing the article. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .drafting import Draft

Document = dict[str, Any]


def file_draft(brief: Mapping[str, Any], draft: Draft) -> Document:
    return {
        "capability": "article.draft",
        "resource": {"type": "article", "id": brief["id"]},
        "parameters": {
            "status": "draft",
            "category": brief["category"],
            "product": brief["product"],
            "title": draft.title,
            "text": draft.text,
        },
        "justification": f"Drafted from {len(draft.used)} points of the brief by the template {brief['category']}.",
    }


def publish(brief: Mapping[str, Any], text: str, assessment: Mapping[str, Any]) -> Document:
    """`article.publish`, or `article.publish-health` where the law has a say: those are two rights."""
    reasons = "; ".join(assessment["reasons"]) or "nothing was found"
    return {
        "capability": "article.publish-health" if assessment["regulated"] else "article.publish",
        "resource": {"type": "article", "id": brief["id"]},
        "parameters": {
            "status": "published",
            "text": text,
            "risk": assessment["risk"],
            "regulated": assessment["regulated"],
            "personal_data": assessment["personal_data"],
            "claims": assessment["claims"],
        },
        "justification": f"Risk {assessment['risk']}: {reasons}."[:500],
    }
