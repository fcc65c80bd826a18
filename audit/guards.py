"""The journal's own append-only tables."""

from __future__ import annotations

from audit.triggers import AppendOnly

_MIGRATION = ("audit", "0003_append_only")

EVENTS = AppendOnly("audit_event", keys=(("id",), ("stream", "seq")), migration=_MIGRATION)

# The one change a payload may see: being emptied, once.
PAYLOADS = AppendOnly(
    "audit_payload",
    keys=(("id",), ("stream", "seq", "name")),
    migration=_MIGRATION,
    allowed_update=(
        "OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL AND NEW.body = '' AND NEW.salt = ''"
        " AND NEW.id = OLD.id AND NEW.stream = OLD.stream AND NEW.seq = OLD.seq AND NEW.name = OLD.name"
    ),
    updated=("body", "salt", "erased_at"),
)

_TREE = ("audit", "0004_leaves")

LEAVES = AppendOnly("audit_leaf", keys=(("leaf_index",), ("event_id",)), migration=_TREE)
NODES = AppendOnly("audit_node", keys=(("id",), ("level", "position")), migration=_TREE)

CHECKPOINTS = AppendOnly("audit_checkpoint", keys=(("size",),), migration=("audit", "0005_checkpoints"))

ALL = (EVENTS, PAYLOADS, LEAVES, NODES, CHECKPOINTS)
