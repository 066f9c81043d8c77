"""What a load remembers, what it leaves out, and dumps: files that must be believed only when they are whole."""

import errno
import io
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstk_cli.data import values
from dstk_cli.data.load.bad import BadLines
from dstk_cli.data.load.checkpoint import Checkpoint, Subject
from dstk_cli.errors import CliError
from dstk_client import Record
from dstk_formats import dump
from dstk_formats.errors import SourceChanged
from dstk_formats.lines import Lines, Position
from dstk_formats.source import BadLineError, Row
from dstk_keytypes import limits
from dstk_keytypes.testing import keys

SUBJECT = Subject("test", "c0ffee", {"--key": "id", "--ttl": None})
CHECKPOINT = Checkpoint(SUBJECT, Position(10, 200, 300), 9, 77)


def taken(text: bytes, count: int) -> Position:
    """Where a source stands behind so many lines."""
    lines = Lines(io.BytesIO(text))
    for _ in range(count):
        lines.take()
    return lines.position


DUMP = b'{"dstk_dump": 1}\n{"key": "a", "value": "", "encoding": "utf-8"}\n{"key": "b", "value": "", "encoding": "utf-8"}\n'


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("done", [1, 2])
def test_a_dump_that_was_cut_off_is_known_for_it_when_its_load_is_resumed(done: int, bom: bytes) -> None:
    text = bom + DUMP
    lines = Lines(io.BytesIO(text))
    first = lines.skip_to(taken(text, done))
    found = list(dump.rows(lines, first))
    assert [isinstance(row, BadLineError) for row in found] == [*[False] * (3 - done), True]
    assert "cut off" in str(found[-1])


def test_empty_lines_of_a_dump_are_skipped_and_a_field_twice_is_refused() -> None:
    text = b'\r\n{"key": "a", "value": "", "encoding": "utf-8"}\n\n{"key": "a", "value": "", "key": "b"}\n'
    good, bad = dump.rows(Lines(io.BytesIO(text)))
    assert isinstance(good, Row)
    assert "the field 'key' is there twice" in str(bad)


def test_a_checkpoint_survives_its_file(tmp_path: Path) -> None:
    path = Checkpoint.path(tmp_path / "places.jsonl")
    CHECKPOINT.save(path)
    assert Checkpoint.load(path) == CHECKPOINT
    assert Checkpoint.load(tmp_path / "none") is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"7", b"\xff\xfe", b"[" * 100_000, b'{"version": 2}'])
def test_a_damaged_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(content)
    with pytest.raises(CliError, match="is damaged"):
        Checkpoint.load(tmp_path / "c")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["records"], -1),
        (["records"], "9"),
        (["records"], True),
        (["position"], None),
        (["position", "size"], 1.5),
        (["bad_bytes"], -1),
        (["subject", "uid"], None),
        (["subject", "options"], 7),
        (["subject"], "test"),
    ],
)
def test_a_checkpoint_with_a_wrong_field_is_damaged(path: list[str], value: Any, tmp_path: Path) -> None:
    CHECKPOINT.save(tmp_path / "c")
    whole = json.loads((tmp_path / "c").read_bytes())
    inner = whole
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    (tmp_path / "c").write_text(json.dumps(whole))
    with pytest.raises(CliError, match="is damaged"):
        Checkpoint.load(tmp_path / "c")


@pytest.mark.parametrize(
    "content", ['{"version": 1}', '{"version": 99}', '{"position": {}, "records": 0, "recipe": "r"}']
)
def test_a_checkpoint_of_another_version_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "c").write_text(content)
    with pytest.raises(CliError, match="another version"):
        Checkpoint.load(tmp_path / "c")


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (Subject("test", "decaf", SUBJECT.options), "another cluster"),
        (Subject("prod", "c0ffee", SUBJECT.options), "another cluster"),
        (replace(SUBJECT, options={"--key": "id:int", "--ttl": None}), "--key was 'id' and is 'id:int'"),
        (replace(SUBJECT, options={"--key": "id", "--ttl": "5m"}), "--ttl was not given and is '5m'"),
        (replace(SUBJECT, options={"--key": "id", "--raw-key": "given"}), "--raw-key was not given"),
    ],
)
def test_a_load_of_anything_else_does_not_go_on(other: Subject, what: str) -> None:
    CHECKPOINT.check(SUBJECT)
    with pytest.raises(CliError, match=what):
        CHECKPOINT.check(other)


@pytest.mark.parametrize("now", [b'{"id":2}\n', b"", b'{"id":1}', b'{"id":1}\r\n'])
def test_a_source_that_was_changed_before_the_position_is_not_resumed(now: bytes) -> None:
    done = replace(CHECKPOINT, position=taken(b'{"id":1}\n', 1))
    Lines(io.BytesIO(b'{"id":1}\n{"id":2}\n')).skip_to(done.position)
    with pytest.raises(SourceChanged, match="has changed since"):
        Lines(io.BytesIO(now)).skip_to(done.position)


def test_what_an_interrupted_load_could_not_note_is_not_there_twice(tmp_path: Path) -> None:
    path = tmp_path / "x.bad"
    first = BadLines(path, 0)
    first.add([BadLineError(1, "why", b"one\n"), BadLineError(2, "why\x1b[2J", b"two\r\nlines")])
    noted = first.size
    first.add([BadLineError(9, "not noted", b"nine\n")])
    again = BadLines(path, noted)
    again.add([BadLineError(9, "noted", b"nine\n")])
    assert path.read_bytes() == (b"line 1: why\tone\nline 2: why\\x1b[2J\ttwo\r\nlines\nline 9: noted\tnine\n")
    assert (first.records, first.lines) == (3, 4)
    path.write_bytes(b"")  # somebody has emptied it
    BadLines(path, noted).add([BadLineError(10, "why", b"ten\n")])
    assert path.read_bytes() == b"line 10: why\tten\n"


def test_a_full_disk_is_that_of_the_file_with_what_was_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", Mock(side_effect=OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(OSError, match="No space left") as caught:
        BadLines(tmp_path / "x.bad", 0).add([BadLineError(1, "why", b"one\n")])
    assert caught.value.filename == str(tmp_path / "x.bad")


@given(keys(), st.binary(max_size=50) | st.text().map(str.encode), st.integers(0, limits.MAX_EXPIRES_AT_MS))
def test_a_line_of_a_dump_is_the_record_it_was_made_of(key: Any, value: bytes, expires_at_ms: int) -> None:
    line = json.dumps(values.as_json(Record(key, value, 1, 2, expires_at_ms)), ensure_ascii=False).encode()
    (row,) = dump.rows(Lines(io.BytesIO(line + b"\n")))
    assert isinstance(row, Row)
    assert dump.FromDump(lambda: 0).record(row) == (key, value, expires_at_ms)
    left_out = dump.FromDump(lambda: max(1, expires_at_ms)).record(row)
    assert (left_out is None) == (expires_at_ms > 0)


LINES = st.sampled_from([b"{}", b'{"key":"k"}', b'{"dstk_dump":1}', b'{"dstk_dump_end":true}', b"\xff", b"\n"])


@given(st.lists(LINES | st.binary()))
def test_no_bytes_end_the_reading_of_a_dump(lines: list[bytes]) -> None:
    make = dump.FromDump(lambda: 0).record
    for row in dump.rows(Lines(io.BytesIO(b'{"key":"k"}\n' + b"\n".join(lines)))):
        try:
            if isinstance(row, Row):
                make(row)
        except BadLineError as error:
            assert error.text
