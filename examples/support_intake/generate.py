"""Write the manifests that have a source elsewhere: `python -m examples.support_intake.generate`.

contracts/*.json -> contracts.yaml and the parameters in capabilities.yaml; policy.csv -> routing.yaml; the digest of the
shipped model -> the classifier's pin in classifier.yaml. A test holds the files to what this writes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from aegis.core import manifests

from .policy import parse_policy
from .routing import routing_table

HERE: Final = Path(__file__).resolve().parent
FOLDER: Final = HERE / "manifests"

Document = dict[str, Any]


def generated() -> Mapping[str, str]:
    """File name -> text."""
    return {
        "contracts.yaml": manifests.dump(contracts()),
        "routing.yaml": manifests.dump([routing_table(parse_policy((HERE / "policy.csv").read_bytes()))]),
        "capabilities.yaml": manifests.dump(capabilities()),
        "classifier.yaml": manifests.dump([classifier()]),
    }


def contracts() -> list[Document]:
    return [
        _document("Contract", path.stem, str(schema.get("title", "")), {"schema": schema})
        for path in sorted((HERE / "contracts").glob("*.json"))
        for schema in [_schema(path.stem)]
    ]


def capabilities() -> list[Document]:
    opening = {
        "resource": "ticket",
        "risk": "low",
        "safety": "idempotent",
        "handler": "record.create",
        "parameters": _schema("ticket@1"),
    }
    replying = {
        "resource": "ticket",
        "risk": "medium",
        "safety": "idempotent",
        "handler": "record.patch",
        "compensation": "ticket.restore",
        "parameters": _schema("reply@1"),
    }
    restoring = {
        "resource": "ticket",
        "risk": "medium",
        "safety": "idempotent",
        "handler": "record.restore",
        "parameters": {
            "type": "object",
            "additionalProperties": False,
            "required": ["body"],
            "properties": {"body": {"type": "object", "title": "Earlier body", "additionalProperties": True}},
        },
    }
    return [
        _document("Capability", "ticket.open", "Open a ticket", opening),
        _document("Capability", "ticket.reply", "Reply to a customer", replying),
        _document("Capability", "ticket.restore", "Put a ticket back as it was", restoring),
    ]


def classifier() -> Document:
    """The classifier, pinned to the model that is shipped: other weights are another agent version."""
    digest = hashlib.sha256((HERE / "model" / "model.json").read_bytes()).hexdigest()
    spec = {
        "owner": "ada",
        "roles": ["intake-classifier"],
        "connector": {"python": "support.classify"},
        "settings": {"model": "support-intake", "sha256": digest},
    }
    return _document("Agent", "support-classifier", "Support classifier", spec)


def main() -> None:
    for name, text in generated().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


def _schema(name: str) -> Document:
    schema: Document = json.loads((HERE / "contracts" / f"{name}.json").read_text(encoding="utf-8"))
    return schema


def _document(kind: str, name: str, title: str, spec: Document) -> Document:
    return {"apiVersion": "aegis/v1", "kind": kind, "metadata": {"name": name, "title": title}, "spec": spec}


if __name__ == "__main__":
    main()
