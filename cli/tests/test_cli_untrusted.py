"""What comes from outside is shown as it is, and nothing of it is obeyed by a terminal or read as markup."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from dstk_cli.untrusted import as_markup, visible, visible_json

HOSTILE = st.lists(
    st.sampled_from(
        ["\\", "[", "]", "[/]", "[bold]", "[/bold]", "red", "#", "@", "/", "\x1b[31m", "\u202e", "\u200b", ":x:", "é"]
    )
    | st.characters(),
    max_size=12,
).map("".join)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("C:\\Users\\", "C:\\Users\\"),
        ("\\[x", "\\[x"),
        ("[red]x[/red]", "[red]x[/red]"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("\x9b2J", "\\x9b2J"),
        ("a\u202eb\u2066c", "a\\u202eb\\u2066c"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("two\r\nlines\ttab", "two\\r\\nlines\\ttab"),
        ("\ud800", "\\ud800"),
        ("日本 é", "日本 é"),
        ("\U000e0041", "\\U000e0041"),
        ("\x7f\u2028\u2029", "\\x7f\\u2028\\u2029"),
        ("a\ufe0fb\U000e0101", "a\\ufe0fb\\U000e0101"),
        ("\u3164\u115f\uffa0\u034f\u2800", "\\u3164\\u115f\\uffa0\\u034f\\u2800"),
    ],
)
def test_what_a_terminal_would_obey_is_shown_as_its_escape(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert Text.from_markup(as_markup(text), emoji=False).plain == shown


@given(
    HOSTILE,
    st.sampled_from([("", ""), ("[green]", "[/]"), ("a ", "[bold]b[/]"), ("", "]"), ("[dim]x", "[/] [red]y[/]")]),
)
def test_data_among_markup_is_never_read_as_markup(text: str, around: tuple[str, str]) -> None:
    before, behind = around
    made = Text.from_markup(f"{before}{as_markup(text)}{behind}", emoji=False)
    assert made.plain == Text.from_markup(f"{before}@@@{behind}").plain.replace("@@@", visible(text))


@given(HOSTILE)
def test_nothing_that_is_shown_is_unprintable(text: str) -> None:
    assert visible(text).isprintable()
    assert all(character.isprintable() or character == "\n" for character in visible(text, keep="\n"))


@given(HOSTILE)
def test_json_on_a_terminal_is_the_same_json(text: str) -> None:
    shown = visible_json(json.dumps({"value": text}, ensure_ascii=False))
    assert shown.isprintable()
    assert json.loads(shown) == {"value": text}
