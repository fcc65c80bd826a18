"""The agents of content-pipeline. Each is a plain function; rows name them as registered here.

They compute and propose, and never act: `content.draft` and `content.publish` put a proposal into their output, and an `act`
step carries it out if the access matrix agrees. A text is data here, never an instruction.

Rules, facts and templates are documents (examples/common/documents.py), named and pinned by an agent's settings, so that
another rule is another agent version, proposed and approved like one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from examples.common import documents
from examples.common.inputs import require
from examples.common.personal_data import find_personal_data
from orchestration.agents.protocol import Abstain, AgentRequest, Done, Reply, python_agent

from . import assessment, claims, drafting, facts, proposals
from .style import engine, mending, rules

EXAMPLE: Final = "content_pipeline"
HOUSE: Final = "fernbrook"
MOST_CHARACTERS: Final = 20_000  # of a text; as in contracts/article-text@1.json
MOST_FINDINGS: Final = 200

T = TypeVar("T")


@python_agent("content.draft")
def draft(request: AgentRequest) -> Reply:
    """A draft of the brief, and the proposal to file it. Input: {brief}. Output: article-draft@1.

    Settings: `templates` (name), `sha256` (its pin). Abstains where the brief says too little.
    """
    brief = require(request.input, "brief", dict)
    templates, digest = _loaded(request, "templates", drafting.load)
    try:
        made = drafting.compose(brief, templates)
    except drafting.CannotDraft as cannot:
        return Abstain(str(cannot))
    if len(made.text) > MOST_CHARACTERS:
        return Abstain(f"the draft has more than {MOST_CHARACTERS} characters")
    output = {"text": made.text, "left_out": list(made.left_out), "file": proposals.file_draft(brief, made)}
    return Done(output=output, rationale=f"{len(made.used)} points used", sources=(f"templates:{digest}",))


@python_agent("content.edit")
def edit(request: AgentRequest) -> Reply:
    """Mend what the house style can mend by itself. Input: {text, style?}. Output: edited@1.

    Raises:
        DocumentRefused: nobody has written the house style that the brief asks for.
    """
    text, found, digest = _text_and_rules(request)
    result = mending.mend(text, found)
    if len(result.text) > MOST_CHARACTERS:
        return Abstain(f"the edited text has more than {MOST_CHARACTERS} characters")
    output = {"text": result.text, "mended": [_finding(one) for one in result.done[:MOST_FINDINGS]]}
    return Done(output=output, rationale=f"{len(result.done)} places mended", sources=(f"styles:{digest}",))


@python_agent("content.check_style")
def check_style(request: AgentRequest) -> Reply:
    """What the house style still says about a text. Input: {text, style?}. Output: style-findings@1."""
    text, found, digest = _text_and_rules(request)
    findings = engine.check(text, found)
    if len(findings) > MOST_FINDINGS:
        return Abstain(f"more than {MOST_FINDINGS} findings; somebody has to write this anew")
    return Done(output={"findings": [_finding(one) for one in findings]}, sources=(f"styles:{digest}",))


@python_agent("content.extract_claims")
def extract_claims(request: AgentRequest) -> Reply:
    """What a text claims. Input: {text, subject}. Output: claims@1."""
    text = _text(request)
    found = claims.extract(text, subject=require(request.input, "subject", str))
    if len(found) > claims.MOST:
        return Abstain(f"more than {claims.MOST} claims")
    return Done(output={"claims": [_claim(one) for one in found]})


@python_agent("content.check_claim")
def check_claim(request: AgentRequest) -> Reply:
    """What the store of facts says to one claim. Input: {claim}. Output: claim-verdict@1.

    Settings: `facts` (name), `sha256` (its pin). Abstains where the store knows nothing: silence is no consent.
    """
    said = require(request.input, "claim", dict)
    fields = {name: require(said, name, str, where="/claim") for name in ("id", "kind", "sentence", "subject", "value", "unit")}
    store, digest = _loaded(request, "facts", facts.load)
    verdict = facts.judge(claims.Claim(**fields), store)
    if verdict is None:
        return Abstain(f'the store {store.name} knows nothing about "{fields["sentence"][:200]}"')
    fact = verdict.fact
    return Done(
        output={
            "claim": fields["id"],
            "sentence": fields["sentence"],
            "verdict": "supported" if verdict.is_supported else "refuted",
            "fact": fact.id,
            "known": fact.says,
            "source": fact.source,
        },
        sources=(f"facts:{digest}", f"fact:{fact.id}"),
    )


@python_agent("content.find_personal_data")
def find_personal(request: AgentRequest) -> Reply:
    """Where personal data stands in a text. Input: {text}. Output: personal-data@1. Says the places, never the data."""
    found = find_personal_data(_text(request))[:MOST_FINDINGS]
    return Done(output={"found": [{"kind": one.kind, "start": one.start, "end": one.end} for one in found]})


@python_agent("content.assess")
def assess(request: AgentRequest) -> Reply:
    """What the checks add up to. Input: {brief, findings, claims, verdicts, personal}. Output: article-assessment@1."""
    brief = require(request.input, "brief", dict)
    lists = {name: require(request.input, name, list) for name in ("findings", "claims", "verdicts", "personal")}
    output = assessment.assess(brief, **lists)
    return Done(output=output, rationale="; ".join(output["reasons"])[:500] or "nothing was found")


@python_agent("content.publish")
def publish(request: AgentRequest) -> Reply:
    """Propose to publish. Input: {brief, text, assessment}. Output: publication@1. Who must agree is the matrix's business."""
    brief, made = (require(request.input, name, dict) for name in ("brief", "assessment"))
    return Done(output={"publish": proposals.publish(brief, _text(request), made)})


def _text(request: AgentRequest) -> str:
    text: str = require(request.input, "text", str)
    return text


def _text_and_rules(request: AgentRequest) -> tuple[str, rules.RuleSet, str]:
    found, digest = _loaded(request, "styles", rules.load, asked=str(request.input.get("style") or ""))
    return _text(request), found, digest


def _loaded(request: AgentRequest, kind: str, load: Callable[[Any], T], *, asked: str = "") -> tuple[T, str]:
    """A document of this kind, and its digest. The pin is of the one in the settings; a brief may ask for another."""
    own = str(request.settings.get(kind, HOUSE))
    pin = request.settings.get("sha256") if asked in ("", own) else None
    found, digest = documents.read(EXAMPLE, kind, asked or own, sha256=pin)
    return _once(load, digest, found), digest


_kept: dict[tuple[Callable[[Any], Any], str], Any] = {}


def _once(load: Callable[[Any], T], digest: str, document: Any) -> T:
    """A document is compiled once per process; a few contents at most are kept."""
    if (load, digest) not in _kept:
        if len(_kept) > 20:
            _kept.clear()
        _kept[load, digest] = load(document)
    result: T = _kept[load, digest]
    return result


def _finding(one: engine.Finding) -> Mapping[str, Any]:
    return {
        "rule": one.rule,
        "severity": one.severity,
        "line": one.line,
        "column": one.column,
        "message": one.message[:500],
        "suggestion": one.suggestion[:200],
    }


def _claim(one: claims.Claim) -> Mapping[str, Any]:
    return {
        "id": one.id,
        "kind": one.kind,
        "sentence": one.sentence,
        "subject": one.subject,
        "value": one.value,
        "unit": one.unit,
    }
