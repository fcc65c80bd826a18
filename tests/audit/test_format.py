"""The format of the journal, pinned for ever. If a test here fails, the change must be a new FORMAT, not a new expectation."""

from __future__ import annotations

import hashlib
import itertools
import json
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from aegis.core.actors import SYSTEM, agent_actor, user_actor
from aegis.core.errors import Malformed, TooLarge
from audit import chain
from audit.catalogue import UndeclaredContent, UnknownEventType
from audit.drafts import Context, Draft, Head
from tests.audit.conftest import NOON, USER

SALTS = ("000102030405060708090a0b0c0d0e0f", "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")

CONTEXT = Context(
    stream="run:018f0000-0000-7000-8000-0000000000aa",
    scope="workflow",
    scope_id="018f0000-0000-7000-8000-0000000000bb",
    run_id=UUID("018f0000-0000-7000-8000-0000000000aa"),
    subject="018f0000-0000-7000-8000-0000000000cc",
    trace="4bf92f3577b34da6a3ce929d0e0e4736",
    definition="d" * 64,
    fence=7,
)
FULL = Draft(
    "probe.noted",
    agent_actor("018f0000-0000-7000-8000-0000000000dd"),
    data={"count": 2**53 - 1, "code": 'Zoë\u2028"\\/\n\x1f😀'},
    payloads={"reason": "weil’s gilt".encode(), "document": b'{"a":1.5}'},
    on_behalf=USER,
    cause="inbox:3",
    step="classify",
    agent="intake",
    agent_digest="a" * 64,
    capability="ticket.reply",
    outcome="done",
    matrix=311,
    duration_ms=1250,
)

GOLDEN_PLAIN = (
    '{"actor":{"auth":"engine","kind":"system","ref":""},"agent":"","agent_version":"","at":"2026-11-23T12:00:00.000000Z",'
    '"capability":"","cause":"","data":{"code":"c"},"def":"","duration_ms":null,"fence":0,"matrix":0,"on_behalf":"","outcome":"",'
    '"payload":[],"prev":"0000000000000000000000000000000000000000000000000000000000000000","run":"","scope":"system",'
    '"scope_id":"","seq":1,"step":"","stream":"system","subject":"","trace":"","type":"probe.noted","type_version":1,"v":1}'
)
GOLDEN_PLAIN_LEAF = "a06d976e7c68d0a6d21692fe93d8ca70c31de018c21abb3beb2b9396a5eb386c"
GOLDEN_FULL_LEAF = "ab4d9984fb6e1e8e71313c3c397c84e7a5110071ab08c547c13dc774a4eade0a"
GOLDEN_COMMITMENT = "89d362964ce0a4e78bda910db8f4d7f780f846505be391b68b95d2d7b03b7de0"


def seal(*drafts: Draft, context: Context = CONTEXT, head: Head | None = None, at: datetime = NOON) -> list[chain.Line]:
    lines, _ = chain.seal(context, head or Head(), drafts, at, itertools.cycle(SALTS))
    return lines


def test_golden_plain_line() -> None:
    (line,) = seal(Draft("probe.noted", SYSTEM, {"code": "c"}), context=Context(stream="system", scope="system"))

    assert line.text == GOLDEN_PLAIN
    assert line.leaf == GOLDEN_PLAIN_LEAF


def test_golden_full_line() -> None:
    (line,) = seal(FULL)

    assert line.leaf == GOLDEN_FULL_LEAF
    assert line.text.startswith(
        '{"actor":{"auth":"engine","kind":"agent","ref":"018f0000-0000-7000-8000-0000000000dd"},"agent":"intake"'
    )
    assert '"data":{"code":"Zoë\u2028\\"\\\\/\\n\\u001f😀","count":9007199254740991}' in line.text
    assert line.text == json.dumps(json.loads(line.text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def test_golden_commitment() -> None:
    assert chain.commitment(SALTS[0], b"weil") == GOLDEN_COMMITMENT
    assert chain.commitment(SALTS[0], b"weil") == hashlib.sha256(b"aegis/payload/v1" + bytes(range(16)) + b"weil").hexdigest()


def test_leaf_hash_is_that_of_rfc_6962() -> None:
    # RFC 6962's hash of an empty leaf: SHA-256(0x00)
    assert chain.leaf_hash(b"") == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


def test_a_line_has_exactly_the_pinned_keys() -> None:
    assert json.loads(seal(FULL)[0].text).keys() == chain.KEYS


def test_each_line_names_the_hash_of_the_line_before() -> None:
    first, second, third = seal(*[Draft("probe.noted", SYSTEM, {"code": "c"})] * 3)

    assert [line.seq for line in (first, second, third)] == [1, 2, 3]
    assert json.loads(first.text)["prev"] == "0" * 64
    assert json.loads(second.text)["prev"] == first.leaf
    assert json.loads(third.text)["prev"] == second.leaf


def test_sealing_in_two_goes_gives_the_same_lines_as_in_one() -> None:
    drafts = [Draft("probe.noted", SYSTEM, {"code": f"c{n}"}) for n in range(4)]
    whole, head = chain.seal(CONTEXT, Head(), drafts, NOON, itertools.repeat(SALTS[0]))
    front, middle = chain.seal(CONTEXT, Head(), drafts[:2], NOON, itertools.repeat(SALTS[0]))
    back, end = chain.seal(CONTEXT, middle, drafts[2:], NOON, itertools.repeat(SALTS[0]))

    assert front + back == whole
    assert end == head


def test_time_is_written_in_utc_whatever_the_zone() -> None:
    berlin = NOON.astimezone(timezone(timedelta(hours=1)))

    assert seal(FULL, at=berlin)[0].text == seal(FULL)[0].text


def test_payload_text_is_not_in_the_line() -> None:
    (line,) = seal(FULL)

    assert "weil" not in line.text
    assert [(name, body) for name, body, _ in line.payloads] == [("document", b'{"a":1.5}'), ("reason", "weil’s gilt".encode())]


def test_an_unregistered_type_cannot_be_sealed() -> None:
    with pytest.raises(UnknownEventType):
        seal(Draft("probe.never_declared", SYSTEM))


def test_an_undeclared_field_cannot_be_sealed() -> None:
    with pytest.raises(UndeclaredContent, match=r"/data/customer_name: probe.noted does not declare this field"):
        seal(Draft("probe.noted", SYSTEM, {"code": "c", "customer_name": "Zoe"}))


def test_a_required_field_cannot_be_left_out() -> None:
    with pytest.raises(UndeclaredContent, match=r"/data/code: probe.noted requires this field"):
        seal(Draft("probe.noted", SYSTEM))


def test_an_undeclared_payload_cannot_be_sealed() -> None:
    with pytest.raises(UndeclaredContent, match="/payload/photo"):
        seal(Draft("probe.noted", SYSTEM, {"code": "c"}, {"photo": b"x"}))


@pytest.mark.parametrize("value", [1.5, 2**53, "half \ud800 a pair", "nul \x00", {"ключ": 1}, object()])
def test_what_two_readers_could_read_differently_cannot_be_sealed(value: object) -> None:
    with pytest.raises(Malformed):
        seal(Draft("probe.noted", SYSTEM, {"code": value}))


@pytest.mark.parametrize(
    ("body", "error"), [(b"", Malformed), (b"a\x00b", Malformed), (b"\xff", Malformed), (b"x" * 262_145, TooLarge)]
)
def test_a_payload_that_cannot_be_stored_as_text_is_refused(body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        seal(Draft("probe.noted", SYSTEM, {"code": "c"}, {"reason": body}))


def test_a_line_has_a_size_limit() -> None:
    with pytest.raises(TooLarge, match="Use a payload"):
        seal(Draft("probe.noted", SYSTEM, {"code": "x" * 70_000}))


def test_the_actor_says_how_they_proved_themselves() -> None:
    (line,) = seal(Draft("probe.noted", user_actor(USER, auth="api_key:abc"), {"code": "c"}))

    assert json.loads(line.text)["actor"] == {"kind": "user", "ref": USER, "auth": "api_key:abc"}
    assert json.loads(line.text)["at"] == NOON.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
