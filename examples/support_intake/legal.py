"""Words that a lawyer or a specialist must see before anybody answers. Pure.

A rule finds a reason, never an innocence: a text without findings may still need a lawyer, so the policy's
`legal_review` of the intent counts as well, and either is enough.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_RULES: Final = {
    "legal_threat": (
        r"\b(?:lawyers?|solicitors?|attorneys?|barristers?|legal (?:action|proceedings|steps|advice|representation)|lawsuits?"
        r"|litigation|small claims|see you in court|(?:take|taking|took) (?:you|this|it|harbourline|the matter) to court"
        r"|(?:go|going) to court|court (?:order|case|claim|proceedings)|in court"
        r"|(?:will|gonna|going to|shall|can|might|may|to) sue\b|suing|statutory|breach of contract|letter before action)\b"
    ),
    "regulator": (
        r"\b(?:ombuds(?:man|person|woman)?|regulators?|regulatory authority|supervisory authority"
        r"|financial (?:conduct|services) authority|fca|bafin|cfpb|trading standards"
        r"|consumer (?:protection|rights|council|association|agency)"
        r"|data protection (?:authority|commissioner)|information commissioner)\b"
    ),
    "data_rights": (
        r"\b(?:gdpr|ccpa|(?:subject|data) access request|dsar|right to be forgotten|right of access"
        r"|article (?:1[5-9]|2[0-2])|data protection (?:officer|law|act)"
        r"|(?:delete|erase|remove|export|rectify|copy of)(?: [\w']+){0,3} (?:personal )?data"
        r"|personal data|withdraw my consent|data breach)\b"
    ),
    "discrimination": (
        r"\b(?:discriminat\w+|racis[mt]\w*|sexis[mt]\w*|homophob\w+|islamophob\w+|antisemit\w+|ageis[mt]"
        r"|because (?:of my (?:race|skin|religion|gender|age|disability|accent|nationality|sexuality|headscarf)"
        r"|i am (?:black|muslim|jewish|gay|disabled|a woman|old|foreign))|with my headscarf)\b"
    ),
    "press": r"\b(?:journalists?|newspapers?|reporters?|(?:to|in) the (?:press|media)|tv station|consumer programme)\b",
    "police": r"\b(?:police|criminal (?:complaint|charges)|crime (?:number|reference)|press(?:ing)? charges)\b",
    "estate": (
        r"\b(?:passed away|deceased|probate|executor|power of attorney|(?:died|has died)|death certificate|inheritance dispute"
        r"|insolvency|bankruptcy (?:order|trustee)|garnishment|bailiffs?)\b"
    ),
    "vulnerable_person": (
        r"\b(?:suicid\w*|kill myself|end my life|self[- ]harm\w*|domestic (?:abuse|violence)|gambling (?:addiction|problem)"
        r"|can(?:no|')t afford food|dementia)\b"
    ),
    "financial_crime": r"\b(?:money launder\w+|sanctions? list|terror\w* financ\w+|brib\w+|ransom\w*|blackmail\w*)\b",
}
_COMPILED: Final = {code: re.compile(pattern, re.IGNORECASE) for code, pattern in _RULES.items()}
REASONS: Final = tuple(_RULES)
WORDS_LENGTH: Final = 80  # a rationale that quotes them all stays short


@dataclass(frozen=True, slots=True)
class LegalReason:
    """`code` is one of REASONS; `words` is what the customer wrote, at most WORDS_LENGTH characters of it."""

    code: str
    words: str


def find_legal_reasons(text: str) -> list[LegalReason]:
    """At most one finding per code, in the order of REASONS."""
    plain = text.replace("\u2019", "'")
    matches = ((code, pattern.search(plain)) for code, pattern in _COMPILED.items())
    return [LegalReason(code, match.group()[:WORDS_LENGTH]) for code, match in matches if match]
