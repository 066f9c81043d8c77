"""Keys as people type and read them."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dstk_keytypes import InvalidKey, Key
from dstk_keytypes.testing import keys

IDENTIFIER = UUID("12345678-1234-5678-1234-567812345678")
NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@given(keys())
@example(Key.text("(not a tuple"))
@example(Key.text("0x"))
@example(Key.text("text:"))
@example(Key.text(" ("))
@example(Key.of(float("nan"), float("-inf"), -0.0))
@example(Key.of("both ' and \"", b"\\", "\n"))
def test_what_is_displayed_is_parsed_to_the_same_key(key: Key) -> None:
    assert Key.parse(key.display()) == key
    assert key.display().isprintable()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("hello", Key(b"hello")),
        ("user:42", Key(b"user:42")),
        (" spaces stay ", Key(b" spaces stay ")),
        ("é", Key("é".encode())),
        ("0x6869", Key(b"hi")),
        ("0XFF", Key(b"0XFF")),
        ("text:0x6869", Key(b"0x6869")),
        ("text:text:a", Key(b"text:a")),
        ('("city","FR",2988507)', Key.of("city", "FR", 2988507)),
        ("('city', 'FR', 2988507)", Key.of("city", "FR", 2988507)),
        ('("one",)', Key.of("one")),
        ("((), (1, (-2,)))", Key.of((), (1, (-2,)))),
        ("(None, True, 1, 1.0, -0.5, b'\\x00')", Key.of(None, True, 1, 1.0, -0.5, b"\0")),
        (f'(uuid("{IDENTIFIER}"),)', Key.of(IDENTIFIER)),
        ('(datetime("2026-01-31T13:00:00+01:00"), float("-inf"))', Key.of(NOON, float("-inf"))),
    ],
)
def test_what_people_type_is_understood(text: str, key: Key) -> None:
    assert Key.parse(text) == key


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        (Key(b"hello"), "hello"),
        (Key(b"\xff\xfe"), "0xfffe"),
        (Key(b"two\nlines"), "0x74776f0a6c696e6573"),
        (Key(b"(open"), "text:(open"),
        (Key.of("city", "FR", 2988507), "('city', 'FR', 2988507)"),
        (Key.of("one"), "('one',)"),
        (Key.of(NOON, IDENTIFIER), f'(datetime("2026-01-31T12:00:00+00:00"), uuid("{IDENTIFIER}"))'),
    ],
)
def test_keys_are_shown_for_people(key: Key, shown: str) -> None:
    assert key.display() == shown


@pytest.mark.parametrize(
    "text",
    [
        "", "text:", "0x", "0x6", "0xhi", "\udcff", "text:\udcff", "k" * 1025,
        "(", "()", "(1", '("one")', "(1)", "(1,) + (2,)", "(1, 2)[0]", "(1, 1 + 1)", "(x,)", "([1],)",
        "({},)", "(1j,)", "(...,)", '(open("/etc/hosts"),)', '(uuid("x"),)', '(uuid("x", 1),)', "(uuid(1),)",
        '(float("x"),)', '(datetime("soon"),)', '(datetime("2026-01-31"),)', '("\\d",)', '(f"{1}",)', "(*(1,),)",
        "(" * 5000, "(" + "9" * 5000 + ",)", "(\0,)",
        "(" * 40 + "," + ",)" * 39 + ")", "(-True,)", "('\\ud800',)",
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(InvalidKey):
        Key.parse(text)


@given(st.text(max_size=30) | st.text("(),'\"\\0x1u[]{}#\n\0*-+.f", max_size=15).map(lambda text: f"({text}"))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        key = Key.parse(text)
    except InvalidKey:
        return
    assert Key.parse(key.display()) == key


def test_a_refusal_says_what_to_do() -> None:
    with pytest.raises(InvalidKey) as refusal:
        Key.parse("(draft")
    assert refusal.value.value == "'(draft'"
    assert "put text: before" in refusal.value.limit


@pytest.mark.parametrize("unseen", ["\ufe0f", "\u034f", "\u3164", "\u115f", "\uffa0", "\u2800", "\U000e0101"])
def test_keys_that_differ_by_what_nobody_sees_are_shown_differently(unseen: str) -> None:
    for key in (Key.text(f"a{unseen}"), Key.of(f"a{unseen}")):
        assert unseen not in key.display()
        assert Key.parse(key.display()) == key
