"""Personal data in a text, with offsets. Pure; each kind is a pattern plus, where one exists, its checksum.

Offsets are [start, end) in characters of the text as given. Kinds never overlap: the more specific one wins.
Names of people are found only after a phrase that announces them ("my name is"); finding every name needs another tool.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

# Characters of an IBAN by country (ISO 13616 registry), the SEPA area and its neighbours.
IBAN_LENGTHS: Final = {
    country: length
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FI FO GL NL",
        19: "MK SI",
        20: "AT BA EE KZ LT LU XK",
        21: "CH HR LI LV",
        22: "BG BH DE GB GE IE ME RS",
        23: "AE GI IL TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VA",
        25: "PT",
        26: "IS TR",
        27: "FR GR IT MC SM",
        28: "AL AZ CY DO HU LB PL",
        29: "BR EG PS QA UA",
        30: "JO KW MU",
        31: "MT SC",
    }.items()
    for country in countries.split()
}
MASKED_KINDS: Final = frozenset({"card", "iban", "national_id"})


@dataclass(frozen=True, slots=True)
class Found:
    """`kind` is one of KINDS; text[start:end] is the value."""

    kind: str
    start: int
    end: int


def luhn_holds(digits: str) -> bool:
    """The checksum of payment card numbers (ISO/IEC 7812-1, annex B)."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + position % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def iban_holds(iban: str) -> bool:
    """The mod-97 check of ISO 13616; blanks allowed, upper or lower case."""
    compact = re.sub(r"[\s-]", "", iban).upper()
    moved = compact[4:] + compact[:4]
    return moved.isascii() and moved.isalnum() and int("".join(str(int(char, 36)) for char in moved)) % 97 == 1


def _whole(_: str, __: int, end: int) -> int:
    return end


# Lengths by first digits, so that a reference number is not taken for a card by one lucky checksum in ten:
# Visa, Mastercard, American Express, Diners, JCB, then Discover, UnionPay and Maestro.
_CARD_NUMBER: Final = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|(?:5[1-5]|2[2-7])\d{14}|3[47]\d{13}|3[0689]\d{12}|35\d{14}|(?:2131|1800)\d{11}"
    r"|5[0678]\d{10,17}|6\d{11,18}"
)


def _card_end(text: str, start: int, end: int) -> int:
    """The longest run of digit groups that is a card number, so that an expiry date behind it does not hide it."""
    for stop in range(end, start + 11, -1):
        digits = re.sub(r"\D", "", text[start:stop])
        at_boundary = text[stop - 1].isdigit() and not text[stop : stop + 1].isdigit()
        if at_boundary and _CARD_NUMBER.fullmatch(digits) and luhn_holds(digits):
            return stop
    return 0


def _iban_end(text: str, start: int, _: int) -> int:
    """Read on for as many characters as the country prescribes; what follows the IBAN is left alone."""
    wanted = IBAN_LENGTHS.get(text[start : start + 2].upper(), 0)
    stop = start
    while wanted and stop < len(text) and (text[stop] in " -" or (text[stop].isascii() and text[stop].isalnum())):
        wanted -= text[stop] not in " -"
        stop += 1
    closed = wanted == 0 and stop > start and not text[stop : stop + 1].isalnum()
    return stop if closed and iban_holds(text[start:stop]) else 0


def _phone_end(text: str, start: int, end: int) -> int:
    digits = re.sub(r"\D", "", text[start:end])
    return end if 7 <= len(digits) <= 16 and len(set(digits)) > 2 else 0


def _ip_end(text: str, start: int, end: int) -> int:
    try:
        ipaddress.ip_address(text[start:end])
    except ValueError:
        return 0
    return end


def _ssn_end(text: str, start: int, end: int) -> int:
    area, group, serial = re.split(r"[- ]", text[start:end])
    return 0 if area in {"000", "666"} or area[0] == "9" or group == "00" or serial == "0000" else end


MONTH: Final = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
DATE: Final = (
    r"(?:\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[./-]\d{1,2}[./-](?:19|20)?\d{2}"
    rf"|\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?{MONTH}\.?,?\s+(?:19|20)\d{{2}}"
    rf"|{MONTH}\.?\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+(?:19|20)\d{{2}})"
)
_BORN = r"(?:born(?: on)?|date of birth|birth ?date|birthday|d\.?o\.?b\.?)(?: (?:is|was))?"
_DOCUMENT = (
    r"(?:passport|id card|identity card|national id|social security|tax id|ssn|driving licence|driver'?s licen[sc]e)"
    r"(?: (?:number|no\.?|nr\.?|id))?(?: is)?"
)
_PHONE_CUE = r"(?:phone|mobile|cell|tel|telephone|call|ring|reach|text|whatsapp|number|fax)"
_STREET = (
    r"(?:street|st|road|rd|avenue|ave|lane|ln|drive|dr|way|court|ct|square|sq|terrace|place|pl|boulevard|blvd|crescent"
    r"|close|gardens|row|parkway|pkwy|highway|hwy|quay|mews|grove|hill|walk)"
)
_STREET_JOINED = (
    r"[A-Z][\w'-]*(?:stra(?:ss|ß)e|str\.|gasse|weg|platz|allee|laan|straat|gracht|gatan|vägen|katu|tie|vej|gade|veien|gata)"
)
_ADDRESS_CUE = (
    r"(?:(?:live|lives|living|located|reside|resides|staying) at|address(?: is| to| with|:)"
    r"|(?:deliver|send|ship|moved)(?: it)? to)"
)
_NAME = r"[A-Z][\w'’-]+"
_NAME_CUE = r"(?i:(?:my|full|his|her|partner's|wife's|husband's) name(?:'s| is|:)?|this is|i am called|signed|regards,|name:)"
_FULL_NAME = rf"{_NAME}(?: (?:[A-Z]\.? )?{_NAME})?"
_NO_NAME = (
    r"(?:on|in|at|not|no|now|the|a|an|of|to|and|but|wrong|also|still|already|written|spelled|spelt|misspelled|missing|used|there)"
    r"\b"
)

# kind, pattern (the group "value", or all of it), where it ends (0: it is none), flags; earlier entries win.
_RULES: Final[tuple[tuple[str, str, Callable[[str, int, int], int], re.RegexFlag], ...]] = (
    ("email", r"[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+", _whole, re.IGNORECASE),
    ("iban", r"\b[A-Z]{2}\d{2}(?=[ -]?[A-Z0-9])", _iban_end, re.IGNORECASE),
    ("card", r"(?<![\w+-])\d(?:[ -]?\d){11,22}(?!\w)", _card_end, re.NOFLAG),
    ("ip_address", r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\d)", _ip_end, re.NOFLAG),
    ("ip_address", r"(?<![\w:])(?=[\da-f]*:[\da-f]*:)[\da-f:]{6,39}(?![\w:])", _ip_end, re.IGNORECASE),
    ("national_id", r"(?<![\w-])\d{3}([- ])\d{2}\1\d{4}(?![\w-])", _ssn_end, re.NOFLAG),
    ("national_id", r"\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b", _whole, re.NOFLAG),
    (
        "national_id",
        rf"\b{_DOCUMENT}\s*[:#]?\s*(?P<value>(?=[A-Z0-9-]{{0,17}}\d{{3}})[A-Z0-9][A-Z0-9-]{{4,19}})\b",
        _whole,
        re.IGNORECASE,
    ),
    ("date_of_birth", rf"\b{_BORN}\s*[:,]?\s*(?:the )?(?P<value>{DATE})", _whole, re.IGNORECASE),
    ("phone", r"(?<![\w+(.])\+\d[\d\s().-]{5,20}\d(?!\w)", _phone_end, re.NOFLAG),
    (
        "phone",
        rf"\b{_PHONE_CUE}\b[^\d\n+(]{{0,30}}(?P<value>[+(]?\d[\d\s().x-]{{5,22}}\d)(?![\w-])",
        _phone_end,
        re.IGNORECASE,
    ),
    (
        "phone",
        r"(?<![\w.+-])(?P<value>\(?\d[\d ()-]{5,18}\d)(?=[ -]{1,2}(?:office|fax|mobile|home|cell|work)\b)",
        _phone_end,
        re.IGNORECASE,
    ),
    ("phone", r"(?<![\w.,-])(?<!\d )\(?0(?!00)\d{1,4}\)?(?:[ .-]?\d{2,5}){2,4}(?![\w-])", _phone_end, re.NOFLAG),
    (
        "phone",
        r"(?<![\w.,-])(?:1[-. ])?(?:\(\d{2,4}\) ?|\d{3}[-. ])\d{3}[-. ]\d{3,4}(?:x\d{1,5})?(?![\w-])",
        _phone_end,
        re.NOFLAG,
    ),
    (
        "address",
        rf"\b\d{{1,5}}[A-Za-z]?,? (?:[A-Z][\w'.-]* ){{1,4}}?(?i:{_STREET})\b\.?"
        r"(?:,? (?:Apt|Apartment|Suite|Flat|Unit)\.? ?\w{1,6})?",
        _whole,
        re.NOFLAG,
    ),
    (
        "address",
        r"\b\d{1,5}[a-z]?,? (?:[a-z'.-]+ ){1,3}?(?:street|road|avenue|lane|boulevard|crescent|terrace)\b",
        _whole,
        re.NOFLAG,
    ),
    (
        "address",
        rf"\b{_ADDRESS_CUE}\s+(?P<value>\d{{1,5}}[a-z]?,? [^\W\d_][^\n,;!?]{{3,60}})",
        _whole,
        re.IGNORECASE,
    ),
    ("address", rf"\b(?:\d{{1,5}} )?{_STREET_JOINED} \d{{1,4}}[a-z]?\b", _whole, re.NOFLAG),
    ("address", r"\b(?:Apt|Apartment|Suite|P\.? ?O\.? Box)\.? ?\d{1,6}\b", _whole, re.IGNORECASE),
    ("postcode", r"\b[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}\b", _whole, re.NOFLAG),
    (
        "name",
        rf"\b{_NAME_CUE}\s+(?P<value>(?:(?:Mr|Mrs|Ms|Dr)\.? )?{_NAME}(?: (?:(?:van|von|de|der|da|di) ){{0,2}}{_NAME}){{0,2}})",
        _whole,
        re.NOFLAG,
    ),
    ("name", rf"\b(?P<value>{_NAME} {_NAME}) (?:lives|resides) (?:at|in)\b", _whole, re.NOFLAG),
    ("name", rf"[\"”’] (?:says|said|adds|added|explains|explained) (?P<value>{_FULL_NAME})", _whole, re.NOFLAG),
    ("name", rf"^(?P<value>{_FULL_NAME}): ?[\"“]", _whole, re.MULTILINE),
    ("name", rf"\b(?:is|was|am|were|woman|man|person|customer) called (?P<value>{_NAME} {_NAME})", _whole, re.NOFLAG),
    (
        "name",
        rf"\bmy name(?:'s| is) (?P<value>(?!{_NO_NAME})[^\W\d_]{{2,}}(?: (?!{_NO_NAME})[^\W\d_]{{2,}})?)",
        _whole,
        re.IGNORECASE,
    ),
    ("name", r"\b(?:mr|mrs|ms|dr)\. (?P<value>[^\W\d_]{2,})", _whole, re.IGNORECASE),
    ("name", rf"\b(?:Mr|Mrs|Ms|Miss|Dr)\.? (?P<value>{_NAME}(?: {_NAME})?)", _whole, re.NOFLAG),
)
_COMPILED: Final = tuple((kind, re.compile(pattern, flags), measure) for kind, pattern, measure, flags in _RULES)
KINDS: Final = tuple(dict.fromkeys(kind for kind, *_ in _RULES))


def find_personal_data(text: str) -> list[Found]:
    """Every finding, by position. Cost grows linearly with the text."""
    found: list[Found] = []
    for kind, pattern, measure in _COMPILED:
        has_value = "value" in pattern.groupindex
        for match in pattern.finditer(text):
            start, end = match.span("value") if has_value else match.span()
            end = measure(text, start, end)
            end = start + len(text[start:end].rstrip(" .,;:-(")) if end else 0
            if end > start and not any(start < other.end and other.start < end for other in found):
                found.append(Found(kind, start, end))
    return sorted(found, key=lambda item: item.start)


def mask(kind: str, value: str) -> str:
    """What may be shown of a value outside its text: the last four characters of numbers that move money or name a person."""
    if kind not in MASKED_KINDS:
        return value
    compact = re.sub(r"[\s-]", "", value)
    return "*" * (len(compact) - 4) + compact[-4:]


def redact(text: str) -> str:
    """The text with each finding replaced by its kind in brackets, for lists and subjects."""
    parts: list[str] = []
    at = 0
    for item in find_personal_data(text):
        parts += [text[at : item.start], f"[{item.kind.replace('_', ' ')}]"]
        at = item.end
    return "".join([*parts, text[at:]])
