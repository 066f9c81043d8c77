"""Rows out of CSV, TSV and JSON lines: as their standards say, with every bad record's full extent."""

import csv
import io
import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstk_formats import jsonlines, lines
from dstk_formats.delimited import Delimited
from dstk_formats.errors import SourceError
from dstk_formats.lines import Line, Lines, LongLine
from dstk_formats.source import BadLineError, Format, Raw, Row

FINITE = st.floats(allow_nan=False, allow_infinity=False)
CELLS = st.text(st.characters(codec="utf-8"), max_size=20)
ANY_BYTES = st.lists(
    st.sampled_from(
        [b'"', b'""', b",", b"\n", b"\r\n", b"\r", b"a", b"\t", b"\xff", b"\0", b"{", b'{"a":1}', b'"a"', b"1,2\n"]
    )
    | st.binary(max_size=4)
).map(b"".join)


def delimited(text: bytes, form: Format = Format.CSV) -> list[Row | BadLineError]:
    source = Delimited(Lines(io.BytesIO(text)), form)
    return list(source.rows(source.columns, whole=True))


def cells(text: bytes, form: Format = Format.CSV) -> list[tuple[Any, ...]]:
    """Of the good rows."""
    return [row.fields for row in delimited(text, form) if isinstance(row, Row)]


def whole(text: Line) -> bytes:
    """The text of a record that is not too long to be kept."""
    assert not isinstance(text, LongLine)
    return bytes(text)


def bad(found: list[Row | BadLineError]) -> list[tuple[int, bytes]]:
    """Where bad records begin, and all of each."""
    return [(each.line, whole(each.text)) for each in found if isinstance(each, BadLineError)]


def stored(field: str | Raw | None) -> bytes | None:
    """The bytes of a JSON value that are stored."""
    assert not isinstance(field, str)
    return None if field is None else bytes(field)


def good(found: list[Row | BadLineError]) -> list[Row]:
    """All of them, none of which is bad."""
    assert not bad(found)
    return [each for each in found if isinstance(each, Row)]


def json_rows(text: bytes, *wanted: str) -> list[Row | BadLineError]:
    return list(jsonlines.rows(Lines(io.BytesIO(text)), wanted))


@given(st.lists(st.tuples(CELLS, CELLS), max_size=20), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_csv_survives_whatever_a_csv_writer_makes_of_it(table: list[tuple[str, str]], end: str, bom: bool) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([("x", "y"), *table])
    found = delimited((b"\xef\xbb\xbf" if bom else b"") + text.getvalue().encode())
    assert [row.fields for row in good(found)] == table
    assert [json.loads(row.whole) for row in good(found)] == [{"x": x, "y": y} for x, y in table]


@given(st.lists(st.tuples(*[st.text(st.characters(codec="utf-8", exclude_characters="\t\n\r"), min_size=1)] * 2)))
def test_tsv_fields_are_literal(table: list[tuple[str, str]]) -> None:
    text = "".join(f"{x}\t{y}\n" for x, y in [("x", "y"), *table])
    assert cells(text.encode(), Format.TSV) == table


def test_quotes_and_backslashes_mean_nothing_in_tsv() -> None:
    assert cells(b'a\tb\n"1\t2\n"3\t"4"\n\\t\\n\t"\n', Format.TSV) == [('"1', "2"), ('"3', '"4"'), ("\\t\\n", '"')]


@pytest.mark.parametrize(
    ("text", "good", "left_out"),
    [
        (b'1,"unclosed\n2,x\n3,y\n', [("2", "x"), ("3", "y")], [(2, b'1,"unclosed\n')]),
        (b'1,"unclosed\n2,x\n3,"quoted"\n', [("2", "x"), ("3", "quoted")], [(2, b'1,"unclosed\n')]),
        (b'1,"unclosed\n2,"a,b"\n3,"two\nlines"\n', [("2", "a,b"), ("3", "two\nlines")], [(2, b'1,"unclosed\n')]),
        (b'1,"a\n2,"b\n3,c\n', [("3", "c")], [(2, b'1,"a\n'), (3, b'2,"b\n')]),
        (b'1,"a"b\n2,c\n', [("2", "c")], [(2, b'1,"a"b\n')]),
        (b'1,5" pipe\n2,c\n', [("2", "c")], [(2, b'1,5" pipe\n')]),
        (b'1,"a" \n2,c\n', [("2", "c")], [(2, b'1,"a" \n')]),
        (b' "1",a\n2,c\n', [("2", "c")], [(2, b' "1",a\n')]),
        (b"1,a\rb\n2,c\n", [("2", "c")], [(2, b"1,a\rb\n")]),
        (b'1,"two\nlines",3\n2,c\n', [("2", "c")], [(2, b'1,"two\nlines",3\n')]),
        (b"1\n2,c,d\n3,e\n", [("3", "e")], [(2, b"1\n"), (3, b"2,c,d\n")]),
        (b"1,\xff\n2,c\n", [("2", "c")], [(2, b"1,\xff\n")]),
        (b'1,"\xff\nx"\n2,c\n', [("2", "c")], [(2, b'1,"\xff\nx"\n')]),
        (b'1,"at the end', [], [(2, b'1,"at the end')]),
        (b'1,"a ""quoted"" word"\n2,""""\n3,""\n', [("1", 'a "quoted" word'), ("2", '"'), ("3", "")], []),
        (b'1,"a\n\nb"\n\n\r\n2,c\n', [("1", "a\n\nb"), ("2", "c")], []),
        (b'1,"a\r\nb"\r\n2,\0\r\n', [("1", "a\r\nb"), ("2", "\0")], []),
    ],
)
def test_only_what_is_unreadable_in_csv_is_left_out_and_all_of_it(
    text: bytes, good: list[tuple[str, str]], left_out: list[tuple[int, bytes]]
) -> None:
    found = delimited(b"a,b\n" + text)
    assert [row.fields for row in found if isinstance(row, Row)] == good
    assert [(line, extent) for line, extent in bad(found)] == left_out


def test_a_stray_quote_costs_one_line_however_many_follow() -> None:
    rows = [b"%d,row\n" % number for number in range(5000)]
    rows[2] = b'2,"unclosed\n'
    found = delimited(b"a,b\n" + b"".join(rows))
    assert bad(found) == [(4, b'2,"unclosed\n')]
    assert len(found) == 5000


def test_many_stray_quotes_take_time_in_proportion() -> None:
    text = b"a,b\n" + b'1,"x\n' * 50_000 + b"2,y\n" * 50_000
    assert len(bad(delimited(text))) == 50_000


@given(ANY_BYTES, st.sampled_from([Format.CSV, Format.TSV]))
def test_every_byte_of_a_source_is_in_a_row_or_in_a_bad_record(text: bytes, form: Format) -> None:
    found = delimited(b"a,b\n" + text, form)
    kept = b"".join(whole(each.text) for each in found)
    skipped = [line for line in io.BytesIO(text) if line not in {b"\n", b"\r\n"}]
    if not any(b"\n" in whole(each.text)[:-1] for each in found):  # empty lines within quotes are kept
        assert kept == b"".join(skipped)
    assert [each.line for each in found] == sorted({each.line for each in found})


@given(ANY_BYTES)
def test_no_bytes_end_the_reading_of_json_lines(text: bytes) -> None:
    for row in json_rows(b"{}\n" + text, "a", 'strange "name"'):
        assert row.line >= 1


@pytest.mark.parametrize("header", [b"a,b,a\n", b'a,"b\n', b"\xff\n", b"", b"a,b\rc,d\r"])
def test_a_header_that_names_no_columns_is_refused(header: bytes) -> None:
    with pytest.raises(SourceError):
        delimited(header)


@pytest.mark.parametrize(
    "text", [b"\x1f\x8b\x08", "a,b\n".encode("utf-16"), "a,b\n".encode("utf-16-le"), b"PK\x03\x04"]
)
def test_what_is_compressed_or_utf16_is_said_to_be(text: bytes) -> None:
    with pytest.raises(SourceError, match=r"compressed|UTF-16"):
        delimited(text)
    with pytest.raises(SourceError, match=r"compressed|UTF-16"):
        json_rows(text)


def test_a_row_of_json_keeps_its_own_text_and_each_field_has_its_own() -> None:
    text = b'\xef\xbb\xbf{"n": 12345678901234567.89, "m":1e400 , "o": {"a" : [1.10, 1]}, "t":"\\u00e9"}\r\n\n{"n":1}'
    first, second = json_rows(text, "n", "m", "o", "t", "none")
    assert isinstance(first, Row)
    assert first.whole == text.split(b"\r")[0].removeprefix(b"\xef\xbb\xbf")
    assert list(map(stored, first.fields)) == [
        b"12345678901234567.89",
        b"1e400",
        b'{"a" : [1.10, 1]}',
        b'"\\u00e9"',
        None,
    ]
    assert isinstance(second, Row)
    assert (second.line, second.whole) == (3, b'{"n":1}')


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"nonsense", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"7", "not a JSON object"),
        (b'{"a":' + b"[" * 60_000 + b"]" * 60_000 + b"}", "nested too deeply"),
        (b"[" * 60_000, "not a JSON object"),
        (b'{"a":1}x', "not JSON"),
        (b'{"a":01}', "not JSON"),
        (b'{"a":NaN}', "not JSON"),
        (b'{"a":Infinity}', "not JSON"),
        (b'{"a":"\xff"}', "not UTF-8"),
        (b'{"other":"\xff"}', "not UTF-8"),
        (b'{"a":"\t"}', "not JSON"),
        (b'{"a":"\\ud800"}', "not JSON"),
        (b'{"a":1,"a":2}', "'a' is there twice"),
        (b'{"a":1,"\\u0061":2}', "'a' is there twice"),
        (b'{"a":1,}', "not JSON"),
        (b"{'a':1}", "not JSON"),
        (b"\0", "not JSON"),
        (b'{"a":1', "not JSON"),
    ],
)
def test_a_line_that_is_no_object_is_bad_and_reading_goes_on(line: bytes, why: str) -> None:
    found = json_rows(line + b'\n{"a":1}\n', "a")
    assert bad(found) == [(1, line + b"\n")]
    assert why in str(found[0])
    assert isinstance(found[1], Row)


@pytest.mark.parametrize("line", [b'{"b":{"a":1},"a":2}', b'{"a":"say \\"a\\" or \\u0061"}', b'{"x":"a","a":3}'])
def test_a_name_that_is_repeated_elsewhere_is_no_repetition(line: bytes) -> None:
    (row,) = json_rows(line, "a")
    assert isinstance(row, Row)


@given(
    st.dictionaries(
        CELLS,
        st.recursive(st.none() | st.integers() | FINITE | CELLS, st.lists, max_leaves=5),
        max_size=5,
    ),
    st.booleans(),
)
def test_json_of_any_kind_is_read_and_stored_as_it_is(fields: dict[str, Any], ascii_only: bool) -> None:
    text = json.dumps(fields, ensure_ascii=ascii_only).encode()
    (row,) = json_rows(text + b"\n", *fields)
    assert isinstance(row, Row)
    assert row.whole == text
    assert [json.loads(stored(raw) or b"") for raw in row.fields] == list(fields.values())


@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize("seekable", [True, False])
def test_a_line_that_is_too_long_is_bad_and_its_extent_is_known(
    form: Format, seekable: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 100)
    monkeypatch.setattr(lines, "_PIECE", 7)
    long = random.Random(1).randbytes(1000).replace(b"\n", b"") + b"\n"
    text = b'a,b\n1,2\n{"a":1}\n' + long + b"3,4\n"
    (tmp_path / "source").write_bytes(text)
    with (tmp_path / "source").open("rb") as file:
        source = Lines(file if seekable else io.BytesIO(text))
        if form in {Format.CSV, Format.TSV}:
            found = list(Delimited(source, form).rows((), whole=False))
        else:
            found = list(jsonlines.rows(source, ()))
        (error,) = [each for each in found if isinstance(each.text, LongLine)]
        assert isinstance(error, BadLineError)
        assert isinstance(error.text, LongLine)
        assert b"".join(error.text.pieces()) == long
        assert (error.line, error.lines) == (4, 1)
        assert source.position.lines == 5
        assert source.position.size == len(text)
        error.text.close()


def test_a_header_may_have_very_many_columns_and_empty_lines_in_front() -> None:
    names = ",".join(f"c{number}" for number in range(100_000))
    assert len(Delimited(Lines(io.BytesIO(f"\r\n\n{names}\n".encode())), Format.CSV).columns) == 100_000


@pytest.mark.parametrize("encoding", ["UTF-16", "UTF-16LE", "UTF-16BE", "UTF-32", "UTF-32LE", "UTF-32BE"])
def test_another_encoding_is_named_as_iconv_knows_it(encoding: str) -> None:
    with pytest.raises(SourceError, match=f"looks like {encoding}$"):
        delimited("id,t\n1,x\n".encode(encoding))
