"""Rows out of JSON lines and CSV, records out of rows, sorted pieces of bounded size, the position in the source."""

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstk_cli.data.load import chunks as pieces
from dstk_cli.data.load.checkpoint import Checkpoint, describe, skip_loaded
from dstk_cli.data.load.chunks import Chunk, chunks
from dstk_cli.data.load.recipe import KeyField, Recipe, recipe
from dstk_cli.data.load.source import BadLineError, Format, Lines, Position, Row, header, rows
from dstk_cli.errors import CliError
from dstk_keytypes import Key

BY_ID = Recipe((KeyField("id"),))


def read(text: str | bytes, form: Format = Format.JSONL) -> list[Row | BadLineError]:
    lines = Lines(io.BytesIO(text.encode() if isinstance(text, str) else text))
    return list(rows(lines, form, header(lines, form)))


def cut(text: bytes, how: Recipe = BY_ID, form: Format = Format.JSONL, *, skip_bad: bool = False) -> list[Chunk]:
    lines = Lines(io.BytesIO(text))
    return list(chunks(lines, rows(lines, form, header(lines, form)), how, skip_bad=skip_bad))


def test_json_lines_become_rows_with_their_line_numbers() -> None:
    assert read('{"a":1}\n\n{"a":2}') == [Row(1, {"a": 1}), Row(3, {"a": 2})]


@pytest.mark.parametrize(
    ("line", "why"), [("nonsense", "no JSON"), ("[1]", "no JSON object"), ("[" * 100_000, "no JSON")]
)
def test_a_line_that_is_no_object_is_a_bad_line_and_reading_goes_on(line: str, why: str) -> None:
    bad, good = read(f'{line}\n{{"a":1}}\n')
    assert isinstance(bad, BadLineError)
    assert bad.line == 1
    assert bad.why.startswith(why)
    assert good == Row(2, {"a": 1})


cells = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=20)


@given(st.lists(st.tuples(cells, cells), max_size=20))
def test_csv_survives_whatever_a_csv_writer_makes_of_it(table: list[tuple[str, str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([("x", "y"), *table])
    found = [row.fields for row in read(text.getvalue(), Format.CSV) if isinstance(row, Row)]
    assert found == [{"x": x, "y": y} for x, y in table]


def test_csv_rows_with_other_than_the_header_s_columns_are_bad_lines() -> None:
    bad, good = read("a,b\n1\n2,3\n", Format.CSV)
    assert isinstance(bad, BadLineError)
    assert bad.why == "1 fields where the header has 2"
    assert good == Row(3, {"a": "2", "b": "3"})


def test_a_byte_order_mark_is_no_part_of_the_first_column() -> None:
    assert read(b"\xef\xbb\xbfa,b\n1,2\n", Format.CSV) == [Row(2, {"a": "1", "b": "2"})]


def test_a_column_named_twice_is_refused() -> None:
    with pytest.raises(CliError, match="names a column twice: 'a'"):
        read("a,a\n", Format.CSV)


def test_an_endless_line_is_refused_before_it_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dstk_cli.data.load.source.MAX_LINE_BYTES", 10)
    with pytest.raises(CliError, match="line 1 is longer"):
        read("x" * 11)


@pytest.mark.parametrize(
    ("options", "fields", "key"),
    [
        (("country,id", "city"), {"country": "FR", "id": 7}, Key.of("city", "FR", 7)),
        (("country,id:int", None), {"country": "FR", "id": "7"}, Key.of("FR", 7)),
        (("id:text", '("a", 1)'), {"id": 7}, Key.of("a", 1, "7")),
        (("x:float", None), {"x": "1.5"}, Key.of(1.5)),
        (("a:b", None), {"a:b": "c"}, Key.of("c")),
    ],
)
def test_fields_and_prefix_make_the_key(options: tuple[str, str | None], fields: dict[str, object], key: Key) -> None:
    how = recipe(*options, None, raw_key=False)
    made, value = how.record(Row(1, fields))
    assert made == key
    assert json.loads(value) == fields


def test_a_raw_key_and_a_value_field_are_stored_as_they_are() -> None:
    how = recipe("k", None, "v", raw_key=True)
    assert how.record(Row(1, {"k": "0x00ff", "v": "text"})) == (b"\x00\xff", b"text")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, "no field 'id'"),
        ({"id": None}, "no field 'id'"),
        ({"id": [1]}, "cannot be part of a key"),
        ({"id": float("nan")}, "cannot be part of a key"),
        ({"id": "x" * 2000}, "out of bounds"),
        ({"id": "\udcff"}, ""),
        ({"id": 1, "v": "\udcff"}, "not UTF-8"),
        ({"id": 1, "v": "x" * (1 << 20)}, "the limit is 1048576"),
    ],
)
def test_a_row_that_makes_no_record_says_why(fields: dict[str, object], why: str) -> None:
    with pytest.raises(BadLineError) as bad:
        BY_ID.record(Row(5, fields))
    assert why in str(bad.value)
    assert str(bad.value).startswith("line 5: ")


@pytest.mark.parametrize("options", [("a,b", None, True), ("a", "p", True), ("a,,b", None, False), ("", None, False)])
def test_options_that_make_no_sense_are_refused(options: tuple[str, str | None, bool]) -> None:
    with pytest.raises(CliError):
        recipe(options[0], options[1], None, raw_key=options[2])


def test_pieces_are_sorted_and_the_later_of_two_lines_with_one_key_wins() -> None:
    (piece,) = cut(b'{"id":3}\n{"id":1,"v":1}\n{"id":1,"v":2}\n')
    assert [key.parts() for key, _ in piece.records] == [(1,), (3,)]
    assert json.loads(piece.records[0][1])["v"] == 2
    assert piece.rows == 3


def test_pieces_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "CHUNK_RECORDS", 10)
    found = cut(b"".join(b'{"id":%d}\n' % i for i in range(25)))
    assert [len(piece.records) for piece in found] == [10, 10, 5]
    assert [piece.position.lines for piece in found] == [10, 20, 25]


def test_without_skip_bad_the_last_piece_stands_in_front_of_the_bad_line() -> None:
    (piece,) = cut(b'{"id":1}\nbad\n{"id":2}\n')
    assert len(piece.records) == 1
    assert piece.stopped_by is not None
    assert piece.stopped_by.line == 2
    assert piece.position.lines == 1


def test_with_skip_bad_the_bad_lines_are_collected() -> None:
    (piece,) = cut(b'{"id":1}\nbad\n{"id":2}\n{"x":1}\n', skip_bad=True)
    assert len(piece.records) == 2
    assert [bad.line for bad in piece.bad] == [2, 4]
    assert piece.position.lines == 4


@given(
    st.lists(st.integers(0, 50), max_size=40), st.integers(1, 7), st.sampled_from([Format.JSONL, Format.CSV]), st.data()
)
def test_a_load_that_goes_on_from_any_piece_reads_exactly_the_rest(
    ids: list[int], size: int, form: Format, data: st.DataObject
) -> None:
    text = b"".join(b'{"id":"%d"}\n' % i for i in ids)
    if form is Format.CSV:
        text = b"id\n" + b"".join(b'"%d"\n' % i for i in ids)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "CHUNK_RECORDS", size)
        whole = cut(text, form=form)
        at = data.draw(st.integers(0, len(whole) - 1))
        lines = Lines(io.BytesIO(text))
        columns = header(lines, form)
        skip_loaded(lines, Checkpoint(whole[at].position, 0, "r"), "r")
        rest = list(chunks(lines, rows(lines, form, columns), BY_ID, skip_bad=False))
    assert [piece.records for piece in rest if piece.records] == [p.records for p in whole[at + 1 :] if p.records]


def test_a_checkpoint_survives_its_file(tmp_path: Path) -> None:
    source = tmp_path / "places.jsonl"
    written = Checkpoint(Position(10, 200, 300), 9, describe(BY_ID, Format.CSV))
    written.save(Checkpoint.path(source))
    assert Checkpoint.load(Checkpoint.path(source)) == written
    assert Checkpoint.load(tmp_path / "none") is None


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("{")
    with pytest.raises(CliError, match="is damaged"):
        Checkpoint.load(tmp_path / "c")


@pytest.mark.parametrize("now", [b'{"id":2}\n', b"", b'{"id":1}'])
def test_a_source_that_was_changed_before_the_position_is_not_resumed(now: bytes) -> None:
    (piece,) = cut(b'{"id":1}\n')
    with pytest.raises(CliError, match="has changed since"):
        skip_loaded(Lines(io.BytesIO(now)), Checkpoint(piece.position, 1, "r"), "r")


def test_a_load_with_other_options_is_not_resumed() -> None:
    with pytest.raises(CliError, match="with other options"):
        skip_loaded(Lines(io.BytesIO()), Checkpoint(Position(), 1, "r"), "other")
