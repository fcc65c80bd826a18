"""Reading strictly: what two readers could understand differently is refused, with its place, in time linear in the text."""

from __future__ import annotations

import json
import random
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.core import canonical
from aegis.core.canonical import MAX_DEPTH, MAX_SAFE_INTEGER, check_value, parse
from aegis.core.errors import Malformed, TooLarge

LIMIT = 1024 * 1024


@pytest.fixture
def soon() -> Iterator[None]:
    """Ends a test that hangs: what is linear takes milliseconds here, what is quadratic takes minutes."""

    def give_up(*_: object) -> None:
        pytest.fail("still reading after 10 seconds")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def refused(text: str | bytes, **limits: int) -> tuple[str, str]:
    with pytest.raises(Malformed) as caught:
        parse(text, **limits)
    (fault,) = caught.value.faults
    return fault.where, fault.what


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ('{"a":[1,{"b":1,"b":2}]}', "/a/1/b", "key appears twice in one object"),
        ('{"a/b~c":{"x":1,"x":1}}', "/a~1b~0c/x", "key appears twice in one object"),
        ("[1,NaN]", "", "NaN is not JSON"),
        ("[-Infinity]", "", "-Infinity is not JSON"),
        ("[0,1e999]", "/1", "number is not finite"),
        ('{"a":"x\\u0000"}', "/a", "text holds a NUL character"),
        ('{"a":{"\\u0000":1}}', "/a", "text holds a NUL character"),
        ('["","\\ud800"]', "/1", "text holds half a surrogate pair"),
        ('{"\\udfff":1}', "/", "text holds half a surrogate pair"),
        ('{"\\udfff":1,"\\udfff":1}', "/", "text holds half a surrogate pair"),
        (f'{{"n":[{MAX_SAFE_INTEGER + 1}]}}', "/n/0", "integer beyond 2^53-1; send it as text"),
        (f"{-MAX_SAFE_INTEGER - 1}", "/", "integer beyond 2^53-1; send it as text"),
        (b'"\xff"', "byte 1", "not valid UTF-8"),
        ('"\ud800"', "byte 1", "not valid UTF-8"),
        ('{"a":\n 1 2}', "line 2, column 4", "Expecting ',' delimiter"),
    ],
)
def test_what_cannot_be_read_one_way_only_is_refused_with_its_place(text: str | bytes, where: str, what: str) -> None:
    assert refused(text) == (where, what)


def test_integers_up_to_the_limit_are_read() -> None:
    assert parse(f"[{MAX_SAFE_INTEGER},-{MAX_SAFE_INTEGER}]") == [MAX_SAFE_INTEGER, -MAX_SAFE_INTEGER]


def test_a_number_of_many_digits_is_refused_as_malformed() -> None:
    refused("9" * 5_000)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_nesting_ends_at_the_limit(opening: str, closing: str) -> None:
    def nested(depth: int) -> str:
        return opening * depth + "1" + closing * depth

    parse(nested(MAX_DEPTH))
    assert refused(nested(MAX_DEPTH + 1))[1] == f"nested deeper than {MAX_DEPTH} levels"


def test_the_depth_of_a_value_ends_at_the_same_limit_and_names_the_place() -> None:
    value: object = 1
    for _ in range(MAX_DEPTH):
        value = [value]
    check_value(value)

    with pytest.raises(Malformed) as caught:
        check_value([value])
    assert caught.value.faults[0].where == "/0" * MAX_DEPTH


def test_the_size_is_that_of_the_bytes() -> None:
    assert parse('"é"', max_bytes=4) == "é"
    with pytest.raises(TooLarge):
        parse('"éé"', max_bytes=5)


@pytest.mark.parametrize("text", ['"' + "[" * 200 + '"', '"\\"' + "{" * 200 + '"', '{"\\\\":"' + "]" * 200 + '"}'])
def test_brackets_within_strings_are_not_nesting(text: str) -> None:
    assert parse(text) == json.loads(text)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(
    "text",
    [
        '"' + '\\"' * (LIMIT // 2 - 1),
        '"' + '\\"' * (LIMIT // 2 - 1) + "\\",
        '{"a":"' + "\\\\" * (LIMIT // 2 - 4),
        '["' + "\\" * (LIMIT - 3),
        '"a' * (LIMIT // 2),
    ],
    ids=["quotes", "quotes and half an escape", "backslashes", "an odd number of backslashes", "many strings"],
)
def test_a_string_that_never_closes_is_refused_in_linear_time(text: str) -> None:
    assert len(text) <= LIMIT
    assert refused(text, max_bytes=LIMIT)[0].startswith("line 1, column ")


@pytest.mark.usefixtures("soon")
def test_many_values_below_one_long_key_take_no_more_memory_than_they_are() -> None:
    text = '{"' + "k" * (LIMIT // 2) + '":[' + "0," * (LIMIT // 4 - 10) + "0]}"

    parse(text, max_bytes=LIMIT)


def naive_depth(text: str) -> int:
    """The deepest nesting, letter by letter."""
    depth = deepest = 0
    inside = escaped = False
    for char in text:
        if inside:
            inside = escaped or char != '"'
            escaped = not escaped and char == "\\"
        elif char == '"':
            inside, escaped = True, False
        elif char in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "]}":
            depth -= 1
    return deepest


def agrees(text: str) -> bool:
    try:
        canonical._refuse_deep(text)
    except Malformed:
        return naive_depth(text) > MAX_DEPTH
    return naive_depth(text) <= MAX_DEPTH


def test_nesting_is_counted_like_letter_by_letter() -> None:
    dice = random.Random(20261123)

    def value(depth: int) -> object:
        text = "".join(dice.choices('[]{}"\\\n aé', k=dice.randrange(12)))
        if depth == 0 or dice.random() < 0.1:
            return text
        return [value(depth - 1)] if dice.random() < 0.5 else {text: value(depth - 1), "other": text}

    for _ in range(500):
        made = value(dice.randrange(MAX_DEPTH - 3, MAX_DEPTH + 8))
        assert agrees(json.dumps(made, ensure_ascii=dice.random() < 0.5))
    for _ in range(2_000):  # no JSON at all
        assert agrees("".join(dice.choices('[[[[[{{]}"\\\n a', k=dice.randrange(400))))


class _Text(str):
    """What a library may hand over in place of plain text."""


awkward = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(min_value=-(2**54), max_value=2**54),
        st.floats(),
        st.text(st.characters(codec=None), max_size=4),
        st.sampled_from(
            ["\x00", "\\u0000", "\ud800", "é", "\\", _Text("text"), (1, 2), UUID(int=0), datetime.min.replace(tzinfo=UTC)]
        ),
    ),
    lambda children: st.one_of(
        st.lists(children, max_size=4),
        st.dictionaries(st.one_of(st.text(max_size=3), st.sampled_from(["é", "\x00", 1])), children, max_size=4),
    ),
    max_leaves=8,
)


def outcome(work: Callable[[], object]) -> object:
    try:
        return work()
    except (Malformed, TypeError) as error:
        return type(error), str(error)


@given(awkward)
def test_the_quick_look_never_says_more_than_the_exact_check(value: object) -> None:
    """Checking and writing in one go lets pass what the exact check does, with the same bytes and the same faults."""

    def exactly() -> bytes:
        canonical._check_value(value, MAX_DEPTH)
        return canonical.dump(value)

    def exactly_as_line() -> bytes:
        canonical._check_line(value, "")
        return canonical.dump(value)

    assert outcome(lambda: canonical.dump_checked(value)) == outcome(exactly)
    assert outcome(lambda: canonical.dump_line(value)) == outcome(exactly_as_line)  # type: ignore[arg-type]


@given(awkward)
def test_what_was_written_reads_back_the_same_both_ways(value: object) -> None:
    try:
        raw = canonical.dump_checked(value)
    except Malformed:
        return
    assert repr(canonical.load(raw)) == repr(parse(raw))


@pytest.mark.parametrize("depth", [MAX_DEPTH, MAX_DEPTH + 1])
def test_the_quick_look_ends_at_the_same_depth(depth: int) -> None:
    value: object = 1
    for _ in range(depth):
        value = [value]

    assert (canonical._dump_plain(value, floats=True, max_depth=MAX_DEPTH) is None) == (depth > MAX_DEPTH)


def test_bytes_that_were_damaged_are_refused() -> None:
    with pytest.raises(Malformed):
        canonical.load('{"a":')
