"""From a brief's points to a draft, by the template of its category. Pure; the same brief gives the same draft.

Nothing is made up: every sentence is a point of the brief, or stands in the template.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aegis.core.errors import Invalid
from examples.common.documents import checker_of

SENTENCES_PER_PARAGRAPH: Final = 3
MUST: Final = 3  # weight of a point that is never left out

_PLACEHOLDER: Final = re.compile(r"\{(product|audience|call_to_action)\}")
_WORD: Final = re.compile(r"\w[\w'’.-]*")


class TemplatesRefused(Invalid):
    code, title = "templates_refused", "The templates cannot be used"


class CannotDraft(ValueError):
    """What a writer would need to be told first; for people."""


@dataclass(frozen=True, slots=True)
class Draft:
    """
    Attributes:
        text: Markdown, with the title as its heading.
        used: the points that stand in it, as sentences, in order.
        left_out: points that are said already, or that did not fit and weigh little.
    """

    title: str
    text: str
    used: tuple[str, ...]
    left_out: tuple[str, ...]


Templates = Mapping[str, Mapping[str, Any]]  # by category


def load(document: Any) -> Templates:
    """Read templates (templates@1).

    Raises:
        TemplatesRefused: the document breaks its contract.
    """
    if faults := checker_of("content_pipeline", "templates@1").faults(document):
        raise TemplatesRefused(f"The templates cannot be used: {faults[0]}", faults=faults)
    templates: Templates = document["templates"]
    return templates


def compose(brief: Mapping[str, Any], templates: Templates) -> Draft:
    """Draft a brief (brief@1).

    Raises:
        CannotDraft: no template for the category, too few points, or what must be said does not fit.
    """
    template = templates.get(brief["category"])
    if template is None:
        known = ", ".join(sorted(templates))
        raise CannotDraft(f"there is no template for the category {brief['category']}; there are some for {known}")
    said, repeated = _distinct(brief["points"])
    if len(said) < template["least_points"]:
        raise CannotDraft(f"the brief makes {len(said)} points; {brief['category']} needs {template['least_points']}")
    used, too_many = _fitting(said, template, brief)
    sentences = [sentence for sentence, _ in used]
    return Draft(
        brief["title"],
        _text(brief, template, sentences),
        tuple(sentences),
        tuple(sentence for sentence, _ in (*repeated, *too_many)),
    )


def as_sentence(point: str) -> str:
    """One line that begins with a capital and ends with a full stop, unless it ends with something of its own."""
    line = " ".join(point.split())
    line = line[:1].upper() + line[1:]
    return line if line.endswith((".", "!", "?", ":", "…")) else f"{line}."


Point = tuple[str, int]  # the sentence and its weight


def _distinct(points: Sequence[Mapping[str, Any]]) -> tuple[list[Point], list[Point]]:
    """Heavy ones first, otherwise as they came; two that say the same words are one, the heavier."""
    ordered = sorted(((as_sentence(point["text"]), point.get("weight", 2)) for point in points), key=lambda one: -one[1])
    seen: set[tuple[str, ...]] = set()
    said, repeated = list[Point](), list[Point]()
    for one in ordered:
        words = tuple(sorted(word.lower().rstrip(".") for word in _WORD.findall(one[0])))
        (repeated if words in seen else said).append(one)
        seen.add(words)
    return said, repeated


def _fitting(points: list[Point], template: Mapping[str, Any], brief: Mapping[str, Any]) -> tuple[list[Point], list[Point]]:
    kept, dropped = list(points), list[Point]()
    while len(_WORD.findall(_text(brief, template, [sentence for sentence, _ in kept]))) > template["most_words"]:
        light = [one for one in kept if one[1] < MUST]
        if not light or len(kept) <= template["least_points"]:
            raise CannotDraft(f"what must be said does not fit into {template['most_words']} words")
        dropped.append(light[-1])
        kept.remove(light[-1])
    return kept, dropped


def _text(brief: Mapping[str, Any], template: Mapping[str, Any], sentences: Sequence[str]) -> str:
    parts = [f"# {brief['title']}", _filled(template["lead"], brief), *_body(template["body"], sentences)]
    return "\n\n".join(part for part in (*parts, _filled(template["closing"], brief)) if part) + "\n"


def _body(form: str, sentences: Sequence[str]) -> Iterator[str]:
    if form == "paragraphs":
        for start in range(0, len(sentences), SENTENCES_PER_PARAGRAPH):
            yield " ".join(sentences[start : start + SENTENCES_PER_PARAGRAPH])
    elif form == "steps":
        yield "\n".join(f"{number}. {sentence}" for number, sentence in enumerate(sentences, start=1))
    else:
        yield "\n".join(f"- {sentence}" for sentence in sentences)


def _filled(line: str, brief: Mapping[str, Any]) -> str:
    """The line with the brief's words, once; "" if the brief lacks one of them."""
    names = set(_PLACEHOLDER.findall(line))
    if not all(brief.get(name) for name in names):
        return ""
    filled = _PLACEHOLDER.sub(lambda match: str(brief[match[1]]), line)
    return as_sentence(filled) if filled else ""
