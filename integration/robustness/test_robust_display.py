"""What is shown is what is stored: on a terminal without anything that the terminal would obey, in a pipe byte for byte."""

import json
import re

import pytest
from kit.command import Command
from kit.process_cluster import ProcessCluster
from rich.cells import cell_len

from dstk_client import connect_sync
from dstk_keytypes import Key

pytestmark = [pytest.mark.slow]

WIDE = ["wide:short", "wide:" + "k" * 100, "wide:日本"]
DEEP = "[" * 2000 + "]" * 2000

AS_STORED = {
    "a backslash at the end": "C:\\Users\\",
    "a backslash before a bracket": "\\[x",
    "markup": "[red]x[/red]",
    "a closing tag": "[/]",
    "an emoji name": ":smile:",
    "a number that is no float": '{"n":1e400}',
    "a number of many digits": '{"n":12345678901234567.89}',
    "a repeated name": '{"a":1,"a":2}',
    "deep JSON": DEEP,
    "what only looks like JSON": '{"a":NaN}',
    "a value in quotes": "'quoted'",
}

HARMLESS = {
    "escape": ("\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"),
    "C1 control": ("\x9b2J", "\\x9b2J"),
    "bidirectional override": ("abc\u202etxt.exe", "abc\\u202etxt.exe"),
    "bidirectional isolate": ("\u2067x\u2069", "\\u2067x\\u2069"),
    "zero width": ("pay\u200bpal\ufeff", "pay\\u200bpal\\ufeff"),
    "carriage return": ("visible\rhidden", "visible\\rhidden"),
    "backspace": ("ab\b\bcd", "ab\\x08\\x08cd"),
    "delete": ("a\x7fb", "a\\x7fb"),
    "line separator": ("a\u2028b", "a\\u2028b"),
}


KEYS = ["[red]k", "C:\\k\\", "text:(k", "0x1b5b324a", "('[/]', '\\x1b[2J', 'back\\\\')"]


@pytest.fixture(scope="module")
def stored(small_cluster: ProcessCluster) -> None:
    """Every value under its name."""
    with connect_sync(small_cluster.address("router"), mode="gateway", timeout=60) as client:
        for name, value in [*AS_STORED.items(), *((name, value) for name, (value, _) in HARMLESS.items())]:
            client.put(Key.text(name), value.encode())
        for key in KEYS:
            client.put(Key.parse(key), b"v")
        for key in WIDE:
            client.put(Key.text(key), b"v" * 500)


def flat(shown: bytes) -> str:
    """What a terminal shows, without the breaks at its right edge and their indentation."""
    return re.sub(r"\s+", "", shown.decode())


@pytest.mark.usefixtures("stored")
def test_a_value_is_shown_as_it_is_stored(dstk: Command) -> None:
    screens = dstk.on_terminal(*(["get", name] for name in AS_STORED))
    for screen, value in zip(screens, AS_STORED.values(), strict=True):
        assert flat(value.encode()) in flat(screen)
    for answer, value in zip(dstk.many(*(["get", name] for name in AS_STORED)), AS_STORED.values(), strict=True):
        assert f"value    {value}\n".encode() in answer.stdout
    lines = dstk.many(*(["get", name, "-o", "json"] for name in AS_STORED))
    assert [json.loads(line.stdout)["value"] for line in lines] == list(AS_STORED.values())
    assert [each.stdout for each in dstk.many(*(["get", name, "--raw"] for name in AS_STORED))] == [
        value.encode() for value in AS_STORED.values()
    ]


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("command", [["get"], ["scan", "--limit", "1", "--start"]])
def test_a_terminal_obeys_nothing_that_is_stored(dstk: Command, command: list[str]) -> None:
    screens = dstk.on_terminal(*([*command, name] for name in HARMLESS), columns=200)
    for screen, (value, shown) in zip(screens, HARMLESS.values(), strict=True):
        assert shown in screen.decode()
        assert value not in screen.decode()
        assert all(character.isprintable() or character == "\n" for character in screen.decode())


@pytest.mark.usefixtures("stored")
def test_json_on_a_terminal_is_the_same_json(dstk: Command) -> None:
    screens = dstk.on_terminal(*(["get", name, "-o", "json"] for name in HARMLESS), columns=500)
    for screen, (value, _) in zip(screens, HARMLESS.values(), strict=True):
        assert json.loads(screen)["value"] == value
        assert screen.decode().strip().isprintable()


@pytest.mark.usefixtures("stored")
def test_a_pipe_is_given_what_is_stored(dstk: Command) -> None:
    for answer, (value, _) in zip(dstk.many(*(["get", name] for name in HARMLESS)), HARMLESS.values(), strict=True):
        assert f"value    {value}\n".encode() in answer.stdout


@pytest.mark.usefixtures("stored")
def test_keys_of_any_bytes_are_shown_in_a_form_that_can_be_typed(dstk: Command) -> None:
    for screen, key in zip(dstk.on_terminal(*(["get", key] for key in KEYS)), KEYS, strict=True):
        assert screen.decode().splitlines()[0].rstrip() == f"key      {key}"
        assert "\x1b" not in screen.decode()
    assert {answer.code for answer in dstk.many(*(["delete", key] for key in KEYS))} == {0}


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("columns", [1, 20, 80])
def test_keys_and_etags_are_never_cut_however_wide_a_value_is(dstk: Command, columns: int) -> None:
    (screen,) = dstk.on_terminal(["scan", "--prefix", "wide:"], columns=columns)
    lines = screen.decode().splitlines()
    answers = dstk.many(*(["get", key, "-o", "json"] for key in WIDE))
    for key, answer in zip(WIDE, answers, strict=True):
        (line,) = [line for line in lines if line.startswith(f"{key} ")]
        assert re.search(rf"v.*… +{json.loads(answer.stdout)['etag']}$", line)
        if columns == 80 and len(key) < 20:
            assert cell_len(line) == columns


def test_names_in_errors_are_shown_and_not_obeyed(dstk: Command) -> None:
    nothing, start, router = dstk.many(
        ["get", "[red]nothing\\"], ["scan", "--start", "([/]"], ["get", "a", "-r", "[b]\x1b[2J"]
    )
    assert nothing.stderr == b"error: no record under key [red]nothing\\\n"
    assert b"([/]" in start.stderr
    assert b"[b]\\x1b[2J" in router.stderr
    assert [nothing.code, start.code, router.code] == [1, 2, 2]


REFUSED: list[tuple[list[str], bytes]] = [
    (["scan", "--limit", "18446744073709551615"], b"1000000000000000"),
    (["scan", "--limit", "1" * 5000], b"limit"),
    (["scan", "--limit", "0"], b"limit"),
    (["get", "k", "--timeout", "nan"], b"timeout"),
    (["get", "k", "--timeout", "inf"], b"86400"),
    (["get", "k", "--timeout", "5000000"], b"86400"),
    (["put", "k", "v", "--ttl", ""], b"not a duration"),
    (["put", "k", "v", "--ttl", " "], b"not a duration"),
    (["put", "k", "v", "--ttl", "9" * 400], b"at most 36525 days"),
    (["put", "k", "v", "--ttl", "9" * 30], b"3155760000000"),
    (["put", "k", "v", "--ttl", "0.5ms"], b"whole number of milliseconds"),
    (["put", "k", "v", "--ttl", "1.00000000000000000000000000001s"], b"whole number of milliseconds"),
    (["put", "k", "v", "--ttl", "٣"], b"not a duration"),
    (["put", "k", "v", "--ttl", "nan"], b"not a duration"),
    (["put", "k", "v", "--if-etag", "18446744073709551616"], b"18446744073709551615"),
    (["scan", "--prefix", ""], b"1..1024"),
    (["scan", "--start", ""], b"1..1024"),
    (["scan", "--end", ""], b"1..1024"),
]


def test_numbers_and_empty_texts_are_refused_with_their_limit(dstk: Command) -> None:
    answers = dstk.many(*(arguments for arguments, _ in REFUSED))
    for answer, (arguments, limit) in zip(answers, REFUSED, strict=True):
        assert answer.code == 2, (arguments, answer)
        assert limit in answer.stderr, (arguments, answer)
        assert b"Traceback" not in answer.stderr
        assert answer.stdout == b""
