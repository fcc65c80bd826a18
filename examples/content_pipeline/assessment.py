"""What the checks of a text add up to: how risky it is to publish, and why. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

Risk = Literal["low", "medium", "high"]
REGULATED: Final = frozenset({"health"})  # categories that the law speaks about, whatever the text says
MOST_REASONS: Final = 20


def assess(
    brief: Mapping[str, Any],
    findings: Sequence[Mapping[str, Any]],
    claims: Sequence[Mapping[str, Any]],
    verdicts: Sequence[Mapping[str, Any]],
    personal: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """An article-assessment@1.

    A health claim makes any text regulated, so calling it something else does not take it past the people who must see it.
    Without a verdict for each claim the text counts as refuted: what nobody judged is not published.
    """
    count = {severity: sum(one["severity"] == severity for one in findings) for severity in ("error", "warning", "suggestion")}
    refuted = [one for one in verdicts if one["verdict"] == "refuted"]
    unsourced = [one for one in verdicts if one["verdict"] == "supported" and not one.get("source")]
    missing = max(0, len(claims) - len(verdicts))
    is_regulated = brief["category"] in REGULATED or any(one["kind"] == "health" for one in claims)
    reasons = [f"personal data ({kind})" for kind in sorted({one["kind"] for one in personal})]
    reasons += [f"line {one['line']}: {one['message']}" for one in findings if one["severity"] == "error"]
    reasons += [f"not so: {one.get('sentence', 'a claim')} {one.get('known', '')}".strip() for one in refuted]
    reasons += [f"{missing} claims have no verdict"] if missing else []
    reasons += [f"line {one['line']}: {one['message']}" for one in findings if one["severity"] == "warning"]
    reasons += [f"judged by a person: {one.get('sentence', 'a claim')}" for one in unsourced]
    reasons += ["health claims are regulated"] if is_regulated else []
    return {
        "risk": _risk(is_regulated, bool(count["warning"] or unsourced)),
        "regulated": is_regulated,
        "personal_data": len(personal),
        "errors": count["error"],
        "warnings": count["warning"],
        "suggestions": count["suggestion"],
        "claims": len(claims),
        "refuted": len(refuted) + missing,
        "reasons": [reason[:300] for reason in reasons[:MOST_REASONS]],
    }


def _risk(is_regulated: bool, is_doubtful: bool) -> Risk:
    return "high" if is_regulated else "medium" if is_doubtful else "low"
