"""Records out of rows, without a cast that loses anything, and sorted pieces of bounded size."""

import io
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from dstk_cli.data.load.recipe_options import recipe
from dstk_cli.errors import CliError
from dstk_formats import chunks as pieces
from dstk_formats import jsonlines
from dstk_formats.chunks import Chunk, chunks
from dstk_formats.delimited import Delimited
from dstk_formats.lines import Lines
from dstk_formats.parts import of_field
from dstk_formats.recipe import KeyField, Made, Maker, Recipe
from dstk_formats.source import BadLineError, Format, Row
from dstk_keytypes import Key

BY_ID = Recipe((KeyField("id"),))


def record(how: Recipe, fields: dict[str, Any]) -> Made:
    """Of a line of JSON with these fields."""
    (row,) = jsonlines.rows(Lines(io.BytesIO(json.dumps(fields).encode())), how.wanted)
    assert isinstance(row, Row)
    return Maker(how).record(row)


def cut(
    text: bytes, how: Recipe = BY_ID, form: Format = Format.JSONL, *, skip_bad: bool = False, at: Any = None
) -> list[Chunk]:
    """The pieces of a source, from a position on."""
    lines = Lines(io.BytesIO(text))
    rows = jsonlines.rows(lines, how.wanted)
    if form is Format.CSV:
        rows = Delimited(lines, form).rows(how.wanted, whole=True)
    if at is not None:
        lines.skip_to(at)
    return list(chunks(lines, rows, Maker(how).record, skip_bad=skip_bad))


@given(st.integers())
def test_every_whole_number_is_itself(number: int) -> None:
    assert of_field(str(number), "int") == of_field(Raw(str(number).encode()), "") == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_in_its_shortest_form_is_itself(number: float) -> None:
    made = of_field(repr(number), "float")
    assert repr(made) == repr(number)


@given(st.decimals(allow_nan=False, allow_infinity=False), st.sampled_from(["int", "float", ""]))
def test_two_numbers_never_become_one(number: Decimal, kind: str) -> None:
    text = str(number)
    try:
        made = of_field(Raw(text.encode()), kind)
    except ValueError:
        return
    assert Decimal(repr(made)) == number


@given(st.text())
def test_text_is_itself_in_csv_and_in_json(text: str) -> None:
    assert of_field(text, "") == of_field(Raw(json.dumps(text).encode()), "text") == text


@given(st.text(), st.sampled_from(["int", "float", "bool", "uuid", "datetime"]))
def test_what_is_none_of_a_kind_is_refused_by_value_error(text: str, kind: str) -> None:
    try:
        of_field(text, kind)
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("options", "fields", "key"),
    [
        (("country,id", "city"), {"country": "FR", "id": 7}, Key.of("city", "FR", 7)),
        (("country,id:int", None), {"country": "FR", "id": "7"}, Key.of("FR", 7)),
        (("id:text", '("a", 1)'), {"id": 7}, Key.of("a", 1, "7")),
        (("x:float", None), {"x": "1.5"}, Key.of(1.5)),
        (("a:b", None), {"a:b": "c"}, Key.of("c")),
        (("a", None), {"a": True}, Key.of(True)),
        (('q"', None), {'q"': "c"}, Key.of("c")),
        (("a,a", None), {"a": 1}, Key.of(1, 1)),
    ],
)
def test_fields_and_prefix_make_the_key(options: tuple[str, str | None], fields: dict[str, object], key: Key) -> None:
    made = record(recipe(*options, None, raw_key=False), fields)
    assert made.key == key
    assert json.loads(made.value) == fields


def test_a_raw_key_and_a_value_field_are_stored_as_they_are() -> None:
    how = recipe("k", None, "v", raw_key=True)
    assert record(how, {"k": "0x00ff", "v": "text"}) == (b"\x00\xff", b"text", 0)
    assert record(how, {"k": 7, "v": None}) == (b"7", b"null", 0)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, "no field 'id'"),
        ({"id": None}, "is null"),
        ({"id": [1]}, "a list or an object"),
        ({"id": "x" * 2000}, "out of bounds"),
        ({"id": 10**4000}, "digits"),
        ({"id": 1, "v": "x" * (1 << 20)}, "the limit is 1048576"),
    ],
)
def test_a_row_that_makes_no_record_says_why(fields: dict[str, object], why: str) -> None:
    with pytest.raises(BadLineError) as bad:
        record(BY_ID, fields)
    assert why in str(bad.value)
    assert str(bad.value).startswith("line 1: ")
    assert len(str(bad.value)) < 500


def test_whatever_a_record_does_to_what_reads_it_it_is_that_record_which_is_bad(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for error in (OverflowError("x"), RecursionError("x"), ZeroDivisionError("x"), LookupError("x")):

        def fails(*_: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr("dstk_formats.recipe.of_field", fails)
        with pytest.raises(BadLineError, match=type(error).__name__):
            record(BY_ID, {"id": 1})


@pytest.mark.parametrize(
    "options",
    [
        ("a,b", None, True),
        ("a", "p", True),
        ("a", "", True),
        ("a,,b", None, False),
        ("", None, False),
        ("a", "", False),
    ],
)
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
    found = cut(b"".join(b'{"no":%d}\n' % i for i in range(25)), skip_bad=True)
    assert [len(piece.bad) for piece in found] == [10, 10, 5]


def test_without_skip_bad_the_last_piece_stands_in_front_of_the_bad_line() -> None:
    (piece,) = cut(b'{"id":1}\nbad\n{"id":2}\n')
    assert len(piece.records) == 1
    assert piece.stopped_by is not None
    assert piece.stopped_by.line == 2
    assert piece.position.lines == 1


def test_with_skip_bad_the_bad_lines_are_collected() -> None:
    (piece,) = cut(b'{"id":1}\nbad\n{"id":2}\n{"x":1}\n', skip_bad=True)
    assert len(piece.records) == 2
    assert [(bad.line, bad.text) for bad in piece.bad] == [(2, b"bad\n"), (4, b'{"x":1}\n')]
    assert piece.position.lines == 4


@given(
    st.lists(st.integers(0, 50), max_size=40), st.integers(1, 7), st.sampled_from([Format.JSONL, Format.CSV]), st.data()
)
def test_a_load_that_goes_on_from_any_piece_reads_exactly_the_rest(
    ids: list[int], size: int, form: Format, data: st.DataObject
) -> None:
    text = b"".join(b'{"id":"%d"}\n' % i for i in ids)
    if form is Format.CSV:
        text = b"id,v\n" + b"".join(b'"%d","two\nlines"\n' % i for i in ids)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "CHUNK_RECORDS", size)
        whole = cut(text, form=form)
        at = data.draw(st.integers(0, len(whole) - 1))
        rest = cut(text, form=form, at=whole[at].position)
    assert [piece.records for piece in rest if piece.records] == [p.records for p in whole[at + 1 :] if p.records]
