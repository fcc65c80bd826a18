"""Write the manifests that have a source elsewhere: `python -m examples.content_pipeline.generate`.

contracts/*.json -> contracts.yaml and the parameters in capabilities.yaml; the digests of rules, facts and templates -> the
pins in agents.yaml. A test holds the files to what this writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from aegis.core import manifests
from examples.common import documents

HERE: Final = Path(__file__).resolve().parent
FOLDER: Final = HERE / "manifests"

Document = dict[str, Any]

# Agent -> title, callable, roles, and the document it looks things up in: (setting, name).
AGENTS: Final[Mapping[str, tuple[str, str, list[str], tuple[str, str] | None]]] = {
    "content-drafter": ("Drafter", "content.draft", ["content-drafter"], ("templates", "fernbrook")),
    "content-editor": ("Editor of style", "content.edit", ["content-checker"], ("styles", "fernbrook")),
    "style-checker": ("Style checker", "content.check_style", ["content-checker"], ("styles", "fernbrook")),
    "claim-extractor": ("Finder of claims", "content.extract_claims", ["content-checker"], None),
    "fact-checker": ("Fact checker", "content.check_claim", ["content-checker"], ("facts", "fernbrook")),
    "personal-data-finder": ("Finder of personal data", "content.find_personal_data", ["content-checker"], None),
    "content-assessor": ("Assessor", "content.assess", ["content-checker"], None),
    "content-publisher": (
        "Publisher",
        "content.publish",
        ["content-auto-publish", "content-sign-off", "content-safeguard"],
        None,
    ),
}


def generated() -> Mapping[str, str]:
    """File name -> text."""
    return {
        "contracts.yaml": manifests.dump(contracts()),
        "capabilities.yaml": manifests.dump(capabilities()),
        "agents.yaml": manifests.dump(agents()),
    }


def contracts() -> list[Document]:
    """Those that messages keep; the forms of rules, facts and templates are kept by the agents that read them."""
    own = {"style-rules@1", "facts@1", "templates@1"}
    schemas = {path.stem: _schema(path.stem) for path in sorted((HERE / "contracts").glob("*.json")) if path.stem not in own}
    return [_document("Contract", name, schema["title"], {"schema": schema}) for name, schema in schemas.items()]


def capabilities() -> list[Document]:
    drafted = _schema("article-draft@1")["properties"]["file"]["properties"]["parameters"]
    published = _schema("publication@1")["properties"]["publish"]["properties"]["parameters"]
    filing = _capability("low", "record.create", drafted)
    return [
        _document("Capability", "article.draft", "File a draft", filing),
        _document("Capability", "article.publish", "Publish an article", _capability("medium", "record.patch", published)),
        _document(
            "Capability",
            "article.publish-health",
            "Publish an article with health claims",
            _capability("high", "record.patch", published),
        ),
    ]


def agents() -> list[Document]:
    return [
        _document("Agent", name, title, {"owner": "ada", "roles": roles, "connector": {"python": called}, **_pinned(store)})
        for name, (title, called, roles, store) in AGENTS.items()
    ]


def main() -> None:
    for name, text in generated().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


def _pinned(store: tuple[str, str] | None) -> Document:
    if store is None:
        return {}
    kind, name = store
    return {"settings": {kind: name, "sha256": documents.read("content_pipeline", kind, name)[1]}}


def _capability(risk: str, handler: str, parameters: Document) -> Document:
    return {"resource": "article", "risk": risk, "safety": "idempotent", "handler": handler, "parameters": parameters}


def _schema(name: str) -> Document:
    return documents.schema_of("content_pipeline", name)


def _document(kind: str, name: str, title: str, spec: Document) -> Document:
    return {"apiVersion": "aegis/v1", "kind": kind, "metadata": {"name": name, "title": title}, "spec": spec}


if __name__ == "__main__":
    main()
