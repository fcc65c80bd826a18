"""A document as the text of the editor: `core.manifests` reads and writes it, so form, command line and git agree."""

from __future__ import annotations

import re
from collections.abc import Iterable

from aegis.core import canonical, manifests
from aegis.core.canonical import Json
from aegis.core.errors import Fault, Invalid, TooLarge
from aegis.core.manifests import Manifest

SOURCE = "text"
MAX_TEXT_BYTES = canonical.MAX_PAYLOAD_BYTES
_PLACE = re.compile(rf"{SOURCE}:(\d+):(\d+)(?:: )?")


def to_text(document: Json) -> str:
    """A document as YAML."""
    return manifests.dump([document]).removeprefix("---\n")


def from_text(text: str) -> Manifest:
    """Read exactly one document.

    Raises:
        TooLarge, Malformed, Invalid: `where` of each fault is "line L, column C".
    """
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_TEXT_BYTES:
        raise TooLarge(f"The document has {size:,} bytes; at most {MAX_TEXT_BYTES:,} are accepted")
    try:
        found = manifests.read(text, SOURCE)
    except Invalid as error:
        raise type(error)(in_words(error.detail), faults=_in_lines(error.faults)) from None
    if len(found) != 1:
        what = "the text is empty" if not found else f"the text holds {len(found)} documents; edit one at a time"
        raise Invalid(what, faults=[Fault("", what)])
    return found[0]


def line_of(manifest: Manifest, pointer: str) -> int | None:
    """The line (from 1) of a place in the document, or of the nearest place around it that is written down."""
    found = _PLACE.match(manifest.at(pointer))
    return int(found[1]) if found else None


def in_words(text: str) -> str:
    """ "text:3:5" as "line 3, column 5"."""
    return _PLACE.sub(lambda found: f"line {found[1]}, column {found[2]}: ", text).removesuffix(": ")


def _in_lines(faults: Iterable[Fault]) -> list[Fault]:
    return [Fault(in_words(fault.where), fault.what, fault.remedy) for fault in faults]


def value_text(value: Json) -> str:
    """Any JSON value as YAML, for people."""
    return manifests.dump_value(value)


def value_from(text: str, what: str) -> Json:
    """One value typed as YAML or JSON, read as strictly as a document.

    Raises:
        Malformed, TooLarge: `where` of each fault is "line L, column C".
    """
    try:
        return manifests.read_value(text, SOURCE)
    except Invalid as error:
        raise type(error)(f"The {what}: {in_words(error.detail)}", faults=_in_lines(error.faults)) from None
