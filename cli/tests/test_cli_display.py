"""How values are laid out: JSON keeps every token, a table keeps keys and etags."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from dstk_cli.data import rows, values
from dstk_cli.data.indent import indented

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON.filter(lambda value: isinstance(value, dict | list)), st.booleans())
def test_json_is_indented_as_python_does_it(value: object, ascii_only: bool) -> None:
    assert indented(json.dumps(value, ensure_ascii=ascii_only)) == json.dumps(value, ensure_ascii=ascii_only, indent=2)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"n":1e400,"m":1.10}', '{\n  "n": 1e400,\n  "m": 1.10\n}'),
        ('{"a":1,"a":2}', '{\n  "a": 1,\n  "a": 2\n}'),
        ('{"a":12345678901234567.89}', '{\n  "a": 12345678901234567.89\n}'),
        ('{"a":"\\ud83d\\u0041"}', '{"a":"\\ud83d\\u0041"}'),
        ('{"a":NaN}', '{"a":NaN}'),
        ("[1", "[1"),
        ("[1] x", "[1] x"),
        ("[" * 100_000, "[" * 100_000),
        ("[" * 100 + "]" * 100, "[" * 100 + "]" * 100),
        ("12", "12"),
    ],
)
def test_no_token_is_changed_and_what_is_not_json_is_left_alone(text: str, shown: str) -> None:
    assert indented(text) == shown


RECORDS = st.tuples(st.text("ab日é\U0001f600", min_size=1, max_size=30), st.text("xy日", max_size=300))


@given(st.lists(RECORDS, min_size=1, max_size=5), st.integers(0, 200))
def test_a_line_has_the_whole_key_and_the_whole_etag(records: list[tuple[str, str]], width: int) -> None:
    shown = [rows.Row(key, values.short(value.encode()), str(10**19)) for key, value in records]
    header, *lines = rows.lines(shown, width, keys_only=False)
    assert header.plain.split() == ["key", "value", "etag"]
    longest = max(cell_len(key) for key, _ in records)
    for line, (key, value) in zip(lines, records, strict=True):
        assert line.plain.startswith(f"{key}  ")
        assert line.plain.endswith(f"  {10**19}")
        assert value in line.plain or "…" in line.plain or "..." in line.plain
        assert cell_len(line.plain) <= max(width, max(longest, 8) + 8 + 2 * rows.GAP + 20)


@pytest.mark.parametrize("width", [80, 160, 200])
def test_a_table_is_no_wider_than_what_it_shows(width: int) -> None:
    shown = [rows.Row("a", "日本", "7"), rows.Row("longer", "v", "123456"), rows.Row("b", "", "8")]
    table = [line.plain for line in rows.lines(shown, width, keys_only=False)]
    assert table == [
        "key     value       etag",
        "a       日本           7",
        "longer  v         123456",
        "b                      8",
    ]


@pytest.mark.parametrize("line", ["1", "", "日本", "x" * 50])
def test_a_value_of_very_many_lines_is_laid_out_at_once(line: str) -> None:
    began = time.process_time()
    shown = values.folded("\n".join([line] * 100_000), 40, indent=9)
    assert time.process_time() - began < 5
    assert shown.count("\n") == 100_000 * (1 + (len(line) > 40)) - 1
    assert values.folded("x" * 90 + "\n日本", 40, indent=2) == f"{'x' * 40}\n  {'x' * 40}\n  {'x' * 10}\n  日本"
