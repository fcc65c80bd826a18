"""The reference workflows of the demo beside support-intake: what each is started with, by whom, and who operates it.

A workflow is added by an entry here. Its folder holds `manifests/` and `samples.jsonl`, one input a line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from django.conf import settings

from aegis.core import canonical
from aegis.core.errors import Fault, Malformed

ROOT: Final[Path] = settings.BASE_DIR / "examples"


@dataclass(frozen=True, slots=True)
class Example:
    """One reference workflow.

    Attributes:
        workflow: its name, as its manifest says.
        folder: below `examples/`.
        channel: the account that its samples come in by; nobody can sign in with it, so nobody who decides has started them.
        operators: the groups that may see, start and operate it.
    """

    workflow: str
    folder: str
    channel: str
    channel_name: str
    operators: tuple[str, ...]

    @property
    def manifests(self) -> Path:
        return ROOT / self.folder / "manifests"

    @property
    def samples(self) -> Path:
        return ROOT / self.folder / "samples.jsonl"


DESK: Final = "Operations desk"  # answers for agents; who has answered for one may not decide about what came of it

EXAMPLES: Final[tuple[Example, ...]] = (
    Example("content-pipeline", "content_pipeline", "content-desk", "Content desk", ("Content editors", DESK)),
    Example("qa-release", "qa_release", "qa-pipeline", "Build pipeline", ("Release managers", DESK)),
    Example("ops-incident", "ops_incident", "alert-intake", "Alert intake", ("Site reliability", DESK)),
    Example("invoice-change", "invoice_change", "invoice-inbox", "Invoice inbox", ("Finance controllers", DESK)),
)


def read_samples(path: Path) -> list[Mapping[str, Any]]:
    """The inputs of a sample file.

    Raises:
        Malformed: a line is no JSON object; names it.
    """
    return list(_lines(path))


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            sample = canonical.parse(line)
        except Malformed as error:
            raise Malformed(f"{path.name}: line {number}: {error}", faults=[Fault(f"line {number}", str(error))]) from None
        if not isinstance(sample, dict):
            raise Malformed(f"{path.name}: line {number} is no object", faults=[Fault(f"line {number}", "is no object")])
        yield sample
