"""The documents an example ships beside its code: contracts, and what its agents look things up in.

Names are looked up in the folders of `AEGIS_EXAMPLES_DIR`, below the example's name, then in the example itself, so an
installation may bring its own. An agent's settings pin a document by its digest: another content is another agent version.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any, Final

from aegis.core import canonical
from aegis.core.errors import Fault, Invalid
from orchestration.contracts.checker import Checker, compile_schema

ROOT: Final = Path(__file__).resolve().parents[1]
FOLDERS_VARIABLE: Final = "AEGIS_EXAMPLES_DIR"
MAX_BYTES: Final = 4 * 1024 * 1024

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class DocumentRefused(Invalid):
    """No such document, or not the pinned one."""

    code, title = "document_refused", "The document cannot be used"


def schema_of(example: str, contract: str) -> dict[str, Any]:
    """A contract of an example, such as ("content_pipeline", "brief@1")."""
    schema: dict[str, Any] = json.loads((ROOT / example / "contracts" / f"{contract}.json").read_text(encoding="utf-8"))
    return schema


@cache
def checker_of(example: str, contract: str) -> Checker:
    return compile_schema(schema_of(example, contract))


def read(example: str, kind: str, name: str, *, sha256: str | None = None) -> tuple[Any, str]:
    """A document by name, from `<folder>/<example>/<kind>/<name>.json`, and the digest of its bytes.

    Raises:
        DocumentRefused: it is no name, nothing has it, it is too large or no JSON, or its digest is not the pinned one.
    """
    if not _NAME.fullmatch(name):
        raise _refused(f"{name!r} is no name of a document", "small letters, digits, - and _")
    folders = [Path(folder) for folder in os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep) if folder]
    paths = [folder / example / kind / f"{name}.json" for folder in [*folders, ROOT]]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        raise _refused(f"there is no {kind} document {name}", f"add {kind}/{name}.json to a folder of {FOLDERS_VARIABLE}")
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if len(content) > MAX_BYTES:
        raise _refused(f"{path.name} has {len(content):,} bytes; at most {MAX_BYTES:,} are read")
    if sha256 is not None and digest != sha256:
        raise _refused(
            f"{path.name} is not the pinned document", "publish an agent version with its digest, or restore the file"
        )
    try:
        return canonical.parse(content), digest
    except Invalid as error:
        raise _refused(f"{path.name}: {error}") from None


def _refused(what: str, remedy: str = "") -> DocumentRefused:
    return DocumentRefused(what[0].upper() + what[1:], faults=[Fault("", what, remedy)])
