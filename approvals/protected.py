"""Tables of this app whose rows the database itself refuses to change."""

from __future__ import annotations

from audit.triggers import AppendOnly

#: A version is what pins and verdicts refer to by digest: inserted once, then left alone.
VERSIONS = AppendOnly(
    "approvals_documentversion",
    keys=(("id",), ("kind", "name", "number")),
    migration=("approvals", "0003_versions_append_only"),
)
