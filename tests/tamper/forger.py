"""Sixteen kinds of forgery (HAZARDS 5.4), with a superuser's hands on the database. Imports nothing of `audit`, on purpose.

Each forgery is drawn from a seed and says what it did: the first event it made bad, whether a checkpoint kept outside covers
that event, and whether the lines of the sealed journal are touched, which alone the standalone script sees.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

ZERO = "0" * 64
TABLES = ("audit_event", "audit_payload", "audit_leaf", "audit_node", "audit_checkpoint")


@dataclass(slots=True)
class Forged:
    """
    Attributes:
        first: (stream, seq) of the first bad event; None if the forgery is about no single one.
        leaf: its place in the tree, from which on nothing may be called proved.
        is_covered: a checkpoint kept outside stands over it.
        in_lines: the script, given every line and that checkpoint, must find it too.
        against: a checkpoint to verify against beside those kept outside.
    """

    first: tuple[str, int] | None
    leaf: int | None = None
    is_covered: bool = True
    in_lines: bool = True
    against: str = ""
    note: str = ""


@dataclass(slots=True)
class Hands:
    """A connection that may do anything; `covered` events are under the last checkpoint kept outside."""

    connection: Any
    is_postgres: bool
    covered: int
    seed_of_key: bytes
    origin: str
    _sql: list[str] = field(default_factory=list)

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        cursor = self.connection.cursor()
        cursor.execute(statement if self.is_postgres else statement.replace("%s", "?"), values)
        return cursor.fetchall() if cursor.description else []

    def lift(self) -> None:
        """Without triggers, until `lower`."""
        if self.is_postgres:
            for table in TABLES:
                self.rows(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            return
        self._sql = [sql for (sql,) in self.rows("SELECT sql FROM sqlite_master WHERE type = 'trigger'")]
        for (name,) in self.rows("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            self.rows(f'DROP TRIGGER "{name}"')

    def lower(self) -> None:
        """The triggers stand again as if nothing had been."""
        if self.is_postgres:
            names = self.rows(
                "SELECT c.relname, t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
                " WHERE NOT t.tgisinternal AND c.relname = ANY(%s)", list(TABLES),
            )  # fmt: skip
            for table, name in names:
                self.rows(f'ALTER TABLE {table} ENABLE ALWAYS TRIGGER "{name}"')
        for sql in self._sql:
            self.rows(sql)

    def event(self, leaf: int) -> tuple[int, str, int, str]:
        """(id, stream, seq, line) of a leaf."""
        (row,) = self.rows(
            "SELECT e.id, e.stream, e.seq, e.line FROM audit_event e JOIN audit_leaf l ON l.event_id = e.id"
            " WHERE l.leaf_index = %s", leaf,
        )  # fmt: skip
        return row

    def lines(self) -> list[str]:
        """Every sealed line that is left, in its order."""
        found = self.rows("SELECT e.line FROM audit_leaf l JOIN audit_event e ON e.id = l.event_id ORDER BY l.leaf_index")
        return [line for (line,) in found]

    def size(self) -> int:
        return int(self.rows("SELECT count(*) FROM audit_leaf")[0][0])


def leaf_hash(line: str) -> str:
    return hashlib.sha256(b"\x00" + line.encode()).hexdigest()


def canonical(content: dict[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def altered(dice: Random, line: str) -> str:
    """The same event telling another story: its outcome, its moment or its actor."""
    content = json.loads(line)
    which = dice.randrange(3)
    if which == 0:
        content["outcome"] = "approved" if content["outcome"] != "approved" else "rejected"
    elif which == 1:
        content["step"] = content["step"] + "x"
    else:
        content["actor"]["ref"] = "018f0000-0000-7000-8000-00000000beef"
    return canonical(content)


def _victim(hands: Hands, dice: Random, *, window: bool = False) -> int:
    return dice.randrange(hands.covered, hands.size()) if window else dice.randrange(hands.covered)


def _write(hands: Hands, event: int, line: str, leaf: str) -> None:
    content = json.loads(line)
    hands.rows(
        "UPDATE audit_event SET line = %s, leaf = %s, outcome = %s, step = %s, actor_ref = %s WHERE id = %s",
        line, leaf, content["outcome"], content["step"], content["actor"]["ref"], event,
    )  # fmt: skip


def edit_byte(hands: Hands, dice: Random) -> Forged:
    leaf = _victim(hands, dice)
    event, stream, seq, line = hands.event(leaf)
    at = dice.choice([at for at, letter in enumerate(line) if letter.isalnum()])
    other = dice.choice([letter for letter in "0123456789abcdef" if letter != line[at]])
    hands.rows("UPDATE audit_event SET line = %s WHERE id = %s", line[:at] + other + line[at + 1 :], event)
    return Forged((stream, seq), leaf)


def edit_and_rehash(hands: Hands, dice: Random) -> Forged:
    leaf = _victim(hands, dice)
    event, stream, seq, line = hands.event(leaf)
    line = altered(dice, line)
    _write(hands, event, line, leaf_hash(line))
    return Forged((stream, seq), leaf)


def rewrite_stream(hands: Hands, dice: Random) -> Forged:
    """Everything without a signature is made to fit: line, chain, head, and mostly the leaves too."""
    window, with_leaves = dice.random() < 0.25, dice.random() < 0.7
    leaf = _victim(hands, dice, window=window)
    _, stream, first, line = hands.event(leaf)
    prev = json.loads(line)["prev"]
    rows = hands.rows("SELECT id, seq, line FROM audit_event WHERE stream = %s AND seq >= %s ORDER BY seq", stream, first)
    for event, seq, text in rows:
        text = canonical(json.loads(altered(dice, text) if seq == first else text) | {"prev": prev})
        prev = leaf_hash(text)
        _write(hands, event, text, prev)
        if with_leaves:
            hands.rows("UPDATE audit_leaf SET hash = %s WHERE event_id = %s", prev, event)
    hands.rows("UPDATE audit_stream SET head = %s WHERE name = %s", prev, stream)
    return Forged((stream, first), leaf, is_covered=not window, in_lines=not window, note="window" if window else "")


def delete_middle(hands: Hands, dice: Random) -> Forged:
    while True:
        leaf = _victim(hands, dice)
        event, stream, seq, _ = hands.event(leaf)
        if seq < hands.rows("SELECT max(seq) FROM audit_event WHERE stream = %s", stream)[0][0]:
            break
    hands.rows("DELETE FROM audit_payload WHERE stream = %s AND seq = %s", stream, seq)
    hands.rows("DELETE FROM audit_event WHERE id = %s", event)
    if dice.random() < 0.5:
        hands.rows("DELETE FROM audit_leaf WHERE leaf_index = %s", leaf)
    return Forged((stream, seq), leaf)


def truncate_tail(hands: Hands, dice: Random) -> Forged:
    """The end is cut off everywhere it shows in the database: as if it had never been."""
    window = dice.random() < 0.5
    size = hands.size()
    cut = dice.randrange(hands.covered, size) if window else dice.randrange(hands.covered // 2, hands.covered)
    gone = hands.rows("SELECT e.id, e.stream, e.seq FROM audit_event e JOIN audit_leaf l ON l.event_id = e.id"
                      " WHERE l.leaf_index >= %s ORDER BY l.leaf_index", cut)  # fmt: skip
    for event, stream, seq in gone:
        hands.rows("DELETE FROM audit_payload WHERE stream = %s AND seq = %s", stream, seq)
        hands.rows("DELETE FROM audit_event WHERE id = %s", event)
    hands.rows("DELETE FROM audit_leaf WHERE leaf_index >= %s", cut)
    hands.rows("DELETE FROM audit_checkpoint WHERE size > %s", cut)
    hands.rows("DELETE FROM audit_node WHERE (position + 1) * 256 > %s", cut)
    hands.rows("UPDATE audit_tree SET size = %s", cut)
    for stream in {stream for _, stream, _ in gone}:
        last = hands.rows("SELECT seq, leaf FROM audit_event WHERE stream = %s ORDER BY seq DESC LIMIT 1", stream)
        if last:
            hands.rows("UPDATE audit_stream SET seq = %s, head = %s WHERE name = %s", *last[0], stream)
        else:
            hands.rows("DELETE FROM audit_stream WHERE name = %s", stream)
    _, stream, seq = gone[0]
    return Forged(None, cut, is_covered=not window, in_lines=not window, note=f"{stream}#{seq}")


def delete_stream(hands: Hands, dice: Random) -> Forged:
    leaf = _victim(hands, dice)
    _, stream, _, _ = hands.event(leaf)
    first = hands.rows("SELECT min(l.leaf_index) FROM audit_leaf l JOIN audit_event e ON e.id = l.event_id"
                       " WHERE e.stream = %s", stream)[0][0]  # fmt: skip
    for table in ("audit_payload", "audit_event"):
        hands.rows(f"DELETE FROM {table} WHERE stream = %s", stream)
    hands.rows("DELETE FROM audit_stream WHERE name = %s", stream)
    return Forged(None, first, note=stream)


def swap(hands: Hands, dice: Random) -> Forged:
    while True:
        one, two = sorted(dice.sample(range(hands.covered), 2))
        (first, stream, seq, line), (second, _, _, other) = hands.event(one), hands.event(two)
        if dice.random() < 0.5:  # two lines trade places, hashes too
            hands.rows("UPDATE audit_event SET line = %s, leaf = %s WHERE id = %s", other, leaf_hash(other), first)
            hands.rows("UPDATE audit_event SET line = %s, leaf = %s WHERE id = %s", line, leaf_hash(line), second)
        else:  # two leaves trade places, as if one had been recorded before the other
            hands.rows("UPDATE audit_leaf SET event_id = -1 WHERE leaf_index = %s", one)
            hands.rows("UPDATE audit_leaf SET event_id = %s, hash = %s WHERE leaf_index = %s", first, leaf_hash(line), two)
            hands.rows("UPDATE audit_leaf SET event_id = %s, hash = %s WHERE leaf_index = %s", second, leaf_hash(other), one)
        return Forged((stream, seq), one)


def _insert(hands: Hands, like: int, content: dict[str, Any], *, event: int | None = None) -> int:
    """A row for a forged line, its columns as those of the event it is made after."""
    names = "type, at, actor_kind, actor_ref, scope, scope_id, run_id, step, agent, capability, outcome, duration_ms"
    line = canonical(content)
    event = event if event is not None else hands.rows("SELECT max(id) + 1 FROM audit_event")[0][0]
    hands.rows(
        f"INSERT INTO audit_event (id, stream, seq, line, leaf, {names})"
        f" SELECT %s, %s, %s, %s, %s, {names} FROM audit_event WHERE id = %s",
        event, content["stream"], content["seq"], line, leaf_hash(line), like,
    )  # fmt: skip
    return event


def insert_backdated(hands: Hands, dice: Random) -> Forged:
    """One more line behind an old stream, well chained, as if it had been there at that time."""
    _, stream, _, _ = hands.event(_victim(hands, dice))
    like, seq, line, leaf = hands.rows(
        "SELECT id, seq, line, leaf FROM audit_event WHERE stream = %s ORDER BY seq DESC LIMIT 1", stream
    )[0]
    content = json.loads(line) | {"seq": seq + 1, "prev": leaf, "payload": []}
    event = _insert(hands, like, content, event=-dice.randrange(1, 10**6))
    if hands.is_postgres:
        hands.rows("UPDATE audit_event SET xid = '3' WHERE id = %s", event)
    hands.rows("UPDATE audit_stream SET seq = %s, head = %s WHERE name = %s", seq + 1, leaf_hash(canonical(content)), stream)
    return Forged((stream, seq + 1), in_lines=False)


def duplicate_seq(hands: Hands, dice: Random) -> Forged:
    leaf = _victim(hands, dice)
    event, stream, seq, line = hands.event(leaf)
    content = json.loads(altered(dice, line))
    if hands.is_postgres:
        hands.rows("ALTER TABLE audit_event DROP CONSTRAINT event_stream_seq")
        _insert(hands, event, content)
        if dice.random() < 0.5:
            hands.rows("DELETE FROM audit_event WHERE id = %s", event)
            return Forged((stream, seq), leaf)
        return Forged((stream, seq), leaf, in_lines=False)
    line = canonical(content)
    hands.rows(
        "INSERT OR REPLACE INTO audit_event SELECT (SELECT max(id) + 1 FROM audit_event), stream, seq, %s, %s, type, at,"
        " actor_kind, %s, scope, scope_id, run_id, %s, agent, capability, %s, duration_ms FROM audit_event WHERE id = %s",
        line, leaf_hash(line), content["actor"]["ref"], content["step"], content["outcome"], event,
    )  # fmt: skip
    return Forged((stream, seq), leaf)


def fork(hands: Hands, dice: Random) -> Forged:
    """Somebody with the key showed another auditor another history of the same size: verified against what he was given."""
    size = dice.randrange(hands.covered // 2, hands.covered)
    note = signed(hands.seed_of_key, hands.origin, size, dice.randbytes(32))
    return Forged(None, None, in_lines=True, against=note)


def restore_backup(hands: Hands, dice: Random) -> Forged:
    """The copy was made of an old backup: nothing is left to do."""
    size = hands.size()
    return Forged(None, size)


def edit_projection(hands: Hands, dice: Random) -> Forged:
    leaf = _victim(hands, dice)
    event, stream, seq, _ = hands.event(leaf)
    column = dice.choice(["outcome", "step", "actor_ref", "agent", "type", "scope_id"])
    hands.rows(f"UPDATE audit_event SET {column} = 'run.forged' WHERE id = %s", event)
    return Forged((stream, seq), leaf, in_lines=False)


def edit_payload(hands: Hands, dice: Random) -> Forged:
    rows = hands.rows("SELECT p.id, p.stream, p.seq, l.leaf_index FROM audit_payload p JOIN audit_event e"
                      " ON e.stream = p.stream AND e.seq = p.seq JOIN audit_leaf l ON l.event_id = e.id"
                      " WHERE l.leaf_index < %s ORDER BY p.id", hands.covered)  # fmt: skip
    payload, stream, seq, leaf = dice.choice(rows)
    how = dice.randrange(3)
    if how == 0:
        hands.rows("UPDATE audit_payload SET body = '\"approved by phone\"' WHERE id = %s", payload)
    elif how == 1:
        hands.rows("DELETE FROM audit_payload WHERE id = %s", payload)
    else:
        hands.rows("UPDATE audit_payload SET salt = %s WHERE id = %s", "00" * 16, payload)
    return Forged((stream, seq), leaf, in_lines=False)


def lift_trigger(hands: Hands, dice: Random) -> Forged:
    """The guards are put back, then one is taken away for good."""
    hands.lower()
    if hands.is_postgres:
        table, name = dice.choice(hands.rows(
            "SELECT c.relname, t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
            " WHERE NOT t.tgisinternal AND c.relname = ANY(%s) ORDER BY 1, 2", list(TABLES),
        ))  # fmt: skip
        verb = dice.choice(["DISABLE TRIGGER", "ENABLE TRIGGER"])
        hands.rows(f'DROP TRIGGER "{name}" ON {table}' if dice.random() < 0.5 else f'ALTER TABLE {table} {verb} "{name}"')
    else:
        names = [name for (name,) in hands.rows("SELECT name FROM sqlite_master WHERE type = 'trigger' ORDER BY 1")]
        hands.rows(f'DROP TRIGGER "{dice.choice([name for name in names if name.startswith("audit_")])}"')
    return Forged(None, None, in_lines=False)


def forge_erasure(hands: Hands, dice: Random) -> Forged:
    """A payload is emptied as an erasure would, and nobody decided it."""
    rows = hands.rows("SELECT p.id, p.stream, p.seq FROM audit_payload p ORDER BY p.id")
    payload, stream, seq = dice.choice(rows)
    hands.rows("UPDATE audit_payload SET body = '', salt = '', erased_at = '2026-11-01 00:00:00+00:00' WHERE id = %s", payload)
    return Forged((stream, seq), in_lines=False)


def replace_checkpoint(hands: Hands, dice: Random) -> Forged:
    """History is rewritten, leaves and all, and the last checkpoint signed anew, by another key."""
    forged = edit_and_rehash(hands, dice)
    assert forged.leaf is not None
    line = hands.event(forged.leaf)[3]
    hands.rows("UPDATE audit_leaf SET hash = %s WHERE leaf_index = %s", leaf_hash(line), forged.leaf)
    size = hands.rows("SELECT max(size) FROM audit_checkpoint")[0][0]
    root = root_of([leaf_hash(line) for line in hands.lines()[:size]])
    note = signed(dice.randbytes(32), hands.origin, size, root)
    hands.rows("UPDATE audit_checkpoint SET note = %s, root = %s WHERE size = %s", note, root.hex(), size)
    return forged


def root_of(hashes: list[str]) -> bytes:
    """RFC 9162, section 2.1.1, as it is written there."""

    def over(leaves: list[bytes]) -> bytes:
        if len(leaves) == 1:
            return leaves[0]
        k = 1 << ((len(leaves) - 1).bit_length() - 1)
        return hashlib.sha256(b"\x01" + over(leaves[:k]) + over(leaves[k:])).digest()

    return over([bytes.fromhex(leaf) for leaf in hashes])


def signed(seed: bytes, origin: str, size: int, root: bytes) -> str:
    """A checkpoint by this key, in the name of the log."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.from_private_bytes(seed)
    text = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
    key_id = hashlib.sha256(origin.encode() + b"\n\x01" + key.public_key().public_bytes_raw()).digest()[:4]
    return f"{text}\n— {origin} {base64.b64encode(key_id + key.sign(text.encode())).decode()}\n"


Kind = Callable[[Hands, Random], Forged]
KINDS: dict[str, Kind] = {
    kind.__name__: kind
    for kind in (
        edit_byte, edit_and_rehash, rewrite_stream, delete_middle, truncate_tail, delete_stream, swap, insert_backdated,
        duplicate_seq, fork, restore_backup, edit_projection, edit_payload, lift_trigger, forge_erasure, replace_checkpoint,
    )
}  # fmt: skip
