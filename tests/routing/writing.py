"""Tables as tests write them."""

from __future__ import annotations

from typing import Any


def row(id_: str, when: Any, tier: int | None = None, **then: Any) -> dict[str, Any]:
    return {"id": id_, "when": when, "then": then, **({"tier": tier} if tier else {})}


def table(inputs: dict[str, Any], *rows: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """A document; its default is {"case": "none"} unless `spec` says otherwise (None = it has none)."""
    default = spec.pop("default", {"case": "none"})
    whole = {"inputs": inputs, "outputs": {}, "rules": list(rows), **({} if default is None else {"default": default}), **spec}
    return {"apiVersion": "aegis/v1", "kind": "RoutingTable", "metadata": {"name": "t"}, "spec": whole}
