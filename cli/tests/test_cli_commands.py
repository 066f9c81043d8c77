"""What the data commands take, print and end with."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dstk_cli.data import values
from dstk_cli.errors import CliError
from dstk_cli.main import app
from dstk_keytypes import Key, Ttl
from dstk_service import figures


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_record_is_put_got_and_deleted(shell: Any) -> None:
    assert "etag 1" in shell("put", "hello", "world").stdout
    got = shell("get", "hello")
    assert got.exit_code == 0
    assert "world" in got.stdout
    assert "deleted" in shell("delete", "hello").stdout
    assert shell.client.records == {}


@pytest.mark.parametrize("command", ["get", "delete"])
def test_a_missing_key_is_exit_code_1_with_one_clean_line(shell: Any, command: str) -> None:
    answer = shell(command, "nobody")
    assert answer.exit_code == 1
    assert answer.stderr == "error: no record under key nobody\n"
    assert answer.stdout == ""


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("plain text", Key.text("plain text")),
        ('("city","FR",2988507)', Key.of("city", "FR", 2988507)),
        ("0x00ff", Key(b"\x00\xff")),
    ],
)
def test_keys_are_text_tuples_or_hex(shell: Any, typed: str, key: Key) -> None:
    assert shell("put", typed, "v").exit_code == 0
    assert list(shell.client.records) == [key]


def test_a_value_comes_from_a_file_or_from_standard_input(shell: Any, tmp_path: Path) -> None:
    (tmp_path / "v").write_bytes(b"\xff\x00")
    assert shell("put", "a", "--file", str(tmp_path / "v")).exit_code == 0
    assert shell("put", "b", "-", stdin=b"typed\n").exit_code == 0
    assert [record.value for record in shell.client.records.values()] == [b"\xff\x00", b"typed\n"]


@pytest.mark.parametrize(
    "arguments", [["a"], ["a", "v", "--file", __file__], ["a", "v", "--if-absent", "--if-etag", "3"]]
)
def test_a_put_that_says_too_little_or_too_much_is_a_usage_error(shell: Any, arguments: list[str]) -> None:
    answer = shell("put", *arguments)
    assert answer.exit_code == 2
    assert "->" in answer.stderr
    assert shell.client.records == {}


def test_json_is_one_object_with_the_value_as_text_or_marked_as_base64(shell: Any) -> None:
    shell("put", "a", '{"x":1}', "--ttl", "2h")
    shell("put", "b", "-", stdin=b"\xff")
    (text,), (raw,) = (lines(shell("get", key, "--output", "json").stdout) for key in "ab")
    assert (text["value"], text["encoding"]) == ('{"x":1}', "utf-8")
    assert text["expires_at"] == "2023-11-15T00:13:20.000Z"
    assert (base64.b64decode(str(raw["value"])), raw["encoding"]) == (b"\xff", "base64")
    assert raw["expires_at"] is None


def test_raw_prints_the_bytes_and_nothing_else(shell: Any) -> None:
    shell("put", "b", "-", stdin=b"\xff\n")
    assert shell("get", "b", "--raw").stdout_bytes == b"\xff\n"


def test_a_refused_precondition_names_the_current_etag_and_what_to_do(shell: Any) -> None:
    shell("put", "a", "1")
    for option in (["--if-absent"], ["--if-etag", "7"]):
        answer = shell("put", "a", "2", *option)
        assert answer.exit_code == 1
        assert re.search(r"etag (is )?1\b", answer.stderr)
        assert "->" in answer.stderr
    assert shell("put", "a", "2", "--if-etag", "1").exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["get", "0xZZ"],
        ["get", '("open'],
        ["get", "x" * 1025],
        ["get", ""],
        ["put", "a", "b", "--ttl", "soon"],
        ["put", "a", "b", "--ttl", "0"],
        ["put", "a", "b", "--ttl", "999999d"],
        ["scan", "--start", "b", "--end", "a"],
        ["scan", "--limit", "0"],
        ["scan", "a", "--prefix", "a"],
        ["scan", "a", "b"],
        ["get", "a", "--router", "nowhere"],
        ["get", "a", "--router", "host:99999"],
        ["get", "a", "--output", "xml"],
        ["load", "/no/such/file.csv", "--key", "a"],
        ["load", "-", "--key", "a"],
        ["load", "-", "--format", "csv", "--key", "a", "--resume"],
    ],
)
def test_wrong_arguments_are_exit_code_2_without_a_traceback(shell: Any, arguments: list[str]) -> None:
    answer = shell(*arguments)
    assert answer.exit_code == 2
    assert "Traceback" not in answer.output
    assert answer.stdout == ""
    assert answer.stderr


@pytest.fixture
def alphabet(shell: Any) -> Any:
    for letter in "abcde":
        shell("put", letter, letter.upper())
    shell("put", '("city","FR",1)', "Paris")
    return shell


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        (["--start", "b", "--end", "d"], ["b", "c"]),
        (["--start", "d"], ["d", "e"]),
        (["--start", "a", "--reverse", "--limit", "2"], ["e", "d"]),
        (["--prefix", "c"], ["c"]),
        (["--prefix", '("city","FR")'], ["('city', 'FR', 1)"]),
        (['("city","FR")'], ["('city', 'FR', 1)"]),
        (["c", "--reverse"], ["c"]),
        (["--prefix", "c", "--start", "x"], []),
    ],
)
def test_a_scan_covers_the_keys_that_were_asked_for(alphabet: Any, options: list[str], keys: list[str]) -> None:
    found = lines(alphabet("scan", *options, "--output", "json").stdout)
    assert [record["key"] for record in found] == keys


def test_a_table_that_was_cut_says_how_to_go_on(alphabet: Any) -> None:
    first = alphabet("scan", "--limit", "3", "--keys-only", "--start", "a")
    assert "--start d or" in first.stderr
    backwards = alphabet("scan", "--limit", "2", "--reverse")
    assert "--end d or" in backwards.stderr
    assert "5 records" in alphabet("scan", "--start", "a").stderr


def test_keys_only_leaves_the_values_out(alphabet: Any) -> None:
    (record,) = lines(alphabet("scan", "--prefix", "a", "--keys-only", "--output", "json").stdout)
    assert "value" not in record


def test_markup_in_data_is_shown_as_it_is(shell: Any) -> None:
    shell("put", "[red]k", "[bold]v[/bold]")
    assert "[red]k" in shell("scan").stdout
    assert "[bold]v[/bold]" in shell("get", "[red]k").stdout


def test_a_local_cluster_that_is_not_up_says_how_to_start_one(tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["get", "a", "--data-dir", str(tmp_path)], env={"DSTK_ROUTER": ""})
    assert answer.exit_code == 3
    assert "dstk local up" in answer.stderr


@pytest.mark.parametrize(
    ("text", "milliseconds"), [("90", 90_000), ("1.5", 1500), ("500ms", 500), ("2m", 120_000), ("1h", 3_600_000)]
)
def test_durations(text: str, milliseconds: int) -> None:
    assert values.parse_ttl(text) == Ttl(milliseconds)


@pytest.mark.parametrize("text", ["", "5 weeks", "-3", "1e3", "m"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(CliError, match="is not a duration"):
        values.parse_ttl(text)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"text", "text"),
        (b"\xff", "b'\\xff'"),
        (b"two\nlines", "'two\\nlines'"),
        (("é" * 500).encode(), "é" * 200 + "... (1,000 bytes)"),
        (("x" + "é" * 500).encode(), "x" + "é" * 199 + "... (1,001 bytes)"),
        (b"x" * 300, "x" * 200 + "... (300 bytes)"),
        ("é".encode() * 150, "é" * 150),
    ],
)
def test_a_value_is_shown_on_one_line(value: bytes, shown: str) -> None:
    assert values.short(value) == shown


@pytest.mark.parametrize(
    ("text", "word"), [("a", "a"), ("a b", "'a b'"), ("('c', 1)", "\"('c', 1)\""), ("'$x", "''\"'\"'$x'")]
)
def test_a_key_is_quoted_for_the_shell(text: str, word: str) -> None:
    assert values.for_shell(text) == word


def test_sizes_are_shown_in_the_largest_unit() -> None:
    assert [figures.size(n) for n in (0, 1023, 1536, 20 << 20, 3 << 40)] == [
        "0 B",
        "1023 B",
        "1.5 KiB",
        "20 MiB",
        "3.0 TiB",
    ]
