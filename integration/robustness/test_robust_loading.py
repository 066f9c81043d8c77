"""Loading keeps what it is given: what is stored is what the source has, and what cannot be loaded is named and kept."""

import json
import os
import subprocess
import sys
import threading

import pytest
from kit.command import Answer, Command

pytestmark = [pytest.mark.slow]

DEEP = b'{"id":1,"v":' + b"[" * 60_000 + b"]" * 60_000 + b"}"

BAD_JSON = {
    b'{"id":1e400}': b"no whole number",
    b'{"id":' + b"9" * 5000 + b"}": b"digits",
    b'{"id":1.2}': b"no whole number",
    b'{"id":1.9}': b"no whole number",
    b'{"id":7.0}': b"no whole number",
    b'{"id":true}': b"no whole number",
    b'{"id":-0}': b"no whole number",
    b'{"id":" 7"}': b"no whole number",
    b'{"id":"1_000"}': b"no whole number",
    b'{"id":"+7"}': b"no whole number",
    '{"id":"٣"}'.encode(): b"no whole number",
    b'{"id":"007"}': b"no whole number",
    b'{"id":null}': b"null",
    b'{"id":[1]}': b"list or an object",
    b'{"other":1}': b"no field 'id'",
    b'{"id":1,"id":2}': b"twice",
    DEEP: b"nested too deeply",
    b"[" * 60_000: b"not a JSON object",
    b'{"id":\xff}': b"UTF-8",
    b'{"id":1,"x":"\\ud800"}': b"not JSON",
    b"\0\0\0": b"not JSON",
    b'{"id":NaN}': b"not JSON",
    b'{"id":1}{"id":2}': b"not JSON",
    b'{"id":1,"v":"' + b"x" * (1 << 20) + b'"}': b"limit is 1048576",
}


def records(dstk: Command, prefix: str) -> dict[str, str]:
    """What is stored below a prefix, as text by key."""
    answer = dstk("scan", "--prefix", prefix, "-o", "json")
    assert answer.returncode == 0, answer.stderr
    return {found["key"]: found["value"] for found in map(json.loads, answer.stdout.splitlines())}


def loads(dstk: Command, *sources: tuple[str, bytes, list[str]]) -> list[Answer]:
    """Loads files of that name and content with those options."""
    for name, content, _ in sources:
        (dstk.directory / name).write_bytes(content)
    return dstk.many(*(["load", name, *options] for name, _, options in sources))


def load(dstk: Command, name: str, content: bytes, *options: str) -> Answer:
    return loads(dstk, (name, content, [*options]))[0]


def test_records_that_cannot_be_read_are_left_out_by_number_and_reason_and_kept_whole(dstk: Command) -> None:
    lines = [b'{"id":100}', *BAD_JSON, b'{"id":101}']
    answer = load(
        dstk, "a.jsonl", b"\n".join(lines), "--key", "id:int", "--key-prefix", "bad", "--skip-bad", "-o", "json"
    )
    assert answer.code == 4, answer
    assert json.loads(answer.stdout)["records"] == 2
    assert json.loads(answer.stdout)["skipped"] == len(BAD_JSON)
    assert list(records(dstk, '("bad",)')) == ["('bad', 100)", "('bad', 101)"]
    kept = (dstk.directory / "a.jsonl.bad").read_bytes()
    position = 0
    for number, (line, why) in enumerate(BAD_JSON.items(), 2):
        begin = kept.index(b"line %d: " % number, position)
        position = kept.index(b"\t" + line + b"\n", begin)
        assert why in kept[begin:position]


def test_without_skip_bad_each_stops_the_load_at_its_line(dstk: Command) -> None:
    some = [*BAD_JSON.items()][::4]
    sources = [
        (f"{number}.jsonl", b'{"id":1}\n' + line + b'\n{"id":2}\n', ["--key", "id:int", "--key-prefix", "stop"])
        for number, (line, _) in enumerate(some)
    ]
    for answer, (line, why) in zip(loads(dstk, *sources), some, strict=True):
        assert answer.code == 1, (line[:50], answer)
        assert b"line 2: " in answer.stderr
        assert why in answer.stderr
        assert b"bug" not in answer.stderr
    assert list(records(dstk, '("stop",)')) == ["('stop', 1)"]


def test_a_row_and_each_field_of_it_are_stored_as_they_are_written(dstk: Command) -> None:
    rows = [
        '{"id":1, "n": 12345678901234567.89, "x":1e400,"o":{"b" : [1.10, 1E5]},"t":"\\u00e9\\n"}',
        '{ "id":2,"n":-0.0,"x":0.1000,"o":[],"t":""}  ',
    ]
    source = ("\ufeff" + "\r\n".join(rows) + "\r\n").encode()
    by_field = [
        (f"{field}.jsonl", source, ["--key", "id:int", "--key-prefix", f"by-{field}", "--value", field])
        for field in ("n", "x", "o", "t")
    ]
    answers = loads(dstk, ("rows.jsonl", source, ["--key", "id:int", "--key-prefix", "row"]), *by_field)
    assert [answer.code for answer in answers] == [0] * 5
    assert list(records(dstk, '("row",)').values()) == rows
    assert list(records(dstk, '("by-n",)').values()) == ["12345678901234567.89", "-0.0"]
    assert list(records(dstk, '("by-x",)').values()) == ["1e400", "0.1000"]
    assert list(records(dstk, '("by-o",)').values()) == ['{"b" : [1.10, 1E5]}', "[]"]
    assert list(records(dstk, '("by-t",)').values()) == ["é\n", ""]


REFUSED_PARTS = {
    "int": ["1.2", "1.9", "1e3", "", " 1", "1 ", "0x10", "1_0", "٣", "+1", "01", "-0", "inf", "9" * 3000],
    "float": [
        "12345678901234567.89",
        "1e400",
        "1e-400",
        "nan",
        "inf",
        "",
        "1_0.5",
        ".5",
        "0x1p3",
        "0.1" + "0" * 30 + "1",
    ],
    "bool": ["True", "1", "yes", "", "TRUE"],
    "uuid": ["123e4567e89b12d3a456426614174000", "{123e4567-e89b-12d3-a456-426614174000}", "x", ""],
    "datetime": [
        "2026-01-31T12:00:00",
        "2026-01-31",
        "2026-01-31T12:00:00.1234567Z",
        "2026-02-30T12:00:00Z",
        "2026-01-31T12:00:00.123456789+00:00",
        "1769860800",
        "0000-01-01T00:00:00Z",
    ],
}
TAKEN_PARTS = {
    "int": {"0": "0", "-12": "-12", "18446744073709551617": "18446744073709551617"},
    "float": {"0.1": "0.1", "1e3": "1000.0", "-0.0": "-0.0", "1.50": "1.5", "5e-324": "5e-324"},
    "bool": {"true": "True", "false": "False"},
    "uuid": {"123E4567-e89b-12d3-a456-426614174000": 'uuid("123e4567-e89b-12d3-a456-426614174000")'},
    "datetime": {"2026-01-31T12:00:00.123456+01:00": 'datetime("2026-01-31T11:00:00.123456+00:00")'},
    "text": {"007": "'007'", "": "''", " x ": "' x '"},
}


@pytest.mark.parametrize("kind", TAKEN_PARTS)
def test_no_key_is_cut_rounded_or_folded(dstk: Command, kind: str) -> None:
    refused, taken = REFUSED_PARTS.get(kind, []), TAKEN_PARTS[kind]
    content = "n\tk\n" + "".join(f"{number}\t{text}\n" for number, text in enumerate([*refused, *taken]))
    options = ["-k", f"k:{kind}", "--key-prefix", f"kind-{kind}", "--skip-bad", "-o", "json"]
    answer = load(dstk, "k.tsv", content.encode(), *options)
    assert json.loads(answer.stdout)["skipped"] == len(refused), answer
    assert set(records(dstk, f'("kind-{kind}",)')) == {f"('kind-{kind}', {shown})" for shown in taken.values()}


def test_one_stray_quote_costs_one_row_of_thousands(dstk: Command) -> None:
    rows = [f"{number},row {number}\n" for number in range(3000)]
    rows[1] = '1,"unclosed\n'
    rows[2500] = '2500,5" pipe\n'
    options = ["--key", "id:int", "--key-prefix", "stray", "--skip-bad", "-o", "json"]
    answer = load(dstk, "stray.csv", ("id,v\n" + "".join(rows)).encode(), *options)
    assert answer.code == 4
    assert json.loads(answer.stdout)["records"] == 2998
    assert (dstk.directory / "stray.csv.bad").read_text().count("\n") == 2
    assert rows[1] in (dstk.directory / "stray.csv.bad").read_text()
    assert len(records(dstk, '("stray",)')) == 2998


def test_a_quote_is_a_character_like_any_other_in_tsv(dstk: Command) -> None:
    content = b'k\tv\n1\t"begins\n2\tends"\n3\t"both"\n4\t\\t\\\\\n5\t,"",\n'
    assert load(dstk, "q.tsv", content, "-k", "k:int", "--key-prefix", "tsv", "--value", "v").code == 0
    assert list(records(dstk, '("tsv",)').values()) == ['"begins', 'ends"', '"both"', "\\t\\\\", ',"",']


def test_a_bad_record_of_several_lines_is_kept_whole_and_its_lines_are_counted(dstk: Command) -> None:
    record = b'1,"two\nlines","a ""third"" field"\r\n'
    content = b"id,v\n" + record + b"2,x\n"
    answer = load(dstk, "m.csv", content, "-k", "id", "--key-prefix", "many", "--skip-bad", "-o", "json")
    assert (json.loads(answer.stdout)["skipped"], json.loads(answer.stdout)["skipped_lines"]) == (1, 2)
    assert (dstk.directory / "m.csv.bad").read_bytes() == b"line 2: 3 fields where the header has 2\t" + record


def test_a_line_of_100_mb_is_a_bad_one_in_bounded_memory(dstk: Command) -> None:
    source, line = dstk.directory / "long.jsonl", b"x" * (100 << 20)
    source.write_bytes(b'{"id":1}\n' + line + b'\n{"id":2}\n')
    program = (
        "import re, sys; from dstk_cli.main import app\n"
        "try: app(sys.argv[1:])\n"
        "finally: print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1], file=sys.stderr)"
    )
    options = ["load", "long.jsonl", "--key", "id", "--key-prefix", "long", "--skip-bad"]
    environment = os.environ | {"DSTK_ROUTER": dstk.router}
    done = subprocess.run(
        [sys.executable, "-c", program, *options], cwd=dstk.directory, env=environment, capture_output=True, check=False
    )
    assert done.returncode == 4, done.stderr
    assert int(done.stderr.split()[-1]) < 220 << 10  # kB; 100 without such a line
    assert list(records(dstk, '("long",)')) == ["('long', 1)", "('long', 2)"]
    kept = (dstk.directory / "long.jsonl.bad").read_bytes()
    assert kept.startswith(b"line 2: 104,857,601 bytes")
    assert kept.endswith(b"\t" + line + b"\n")


def test_a_pipe_with_a_name_is_a_source(dstk: Command) -> None:
    pipe = dstk.directory / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(b"id,v\n1,x\nbad\n"))
    writer.start()
    answer = dstk("load", "pipe", "--format", "csv", "--key", "id", "--key-prefix", "pipe", "--skip-bad")
    writer.join()
    assert answer.returncode == 4, answer.stderr
    assert list(records(dstk, '("pipe",)')) == ["('pipe', '1')"]
    assert (dstk.directory / "stdin.bad").read_bytes() == b"line 3: 1 field where the header has 2\tbad\n"


REFUSED: dict[str, tuple[list[str], bytes]] = {
    "no expiry in silence": (["a.csv", "-k", "id", "--ttl", ""], b"not a duration"),
    "a time to live of 400 digits": (["a.csv", "-k", "id", "--ttl", "9" * 400], b"at most"),
    "a time to live of 200 years": (["a.csv", "-k", "id", "--ttl", "73000d"], b"3155760000000"),
    "an empty prefix": (["a.csv", "-k", "id", "--key-prefix", ""], b"--key-prefix is empty"),
    "an empty prefix for whole keys": (["a.csv", "-k", "id", "--raw-key", "--key-prefix", ""], b"--raw-key"),
    "an empty key": (["a.csv", "-k", ""], b"empty field"),
    "no column for the value": (["a.csv", "-k", "id", "--value", ""], b"no column ''"),
    "a kind that there is not": (["a.csv", "-k", "id:decimal"], b"no column 'id:decimal'"),
    "a directory": (["."], b"a directory"),
    "no key": (["a.csv", "--format", "csv"], b"csv needs --key"),
    "no key for what is CSV by its name": (["a.csv"], b"csv needs --key"),
    "no key for JSON lines": (["a.csv", "--format", "jsonl"], b"jsonl needs --key"),
    "a time to live for a dump": (["a.csv", "--format", "dump", "--ttl", "5m"], b"--ttl requires --key"),
    "a timeout that is no number": (["a.csv", "-k", "id", "--timeout", "nan"], b"86400"),
    "a format that there is not": (["a.csv", "-k", "id", "--format", "xml"], b"xml"),
}


def test_what_cannot_be_meant_is_refused_before_anything_is_written(dstk: Command) -> None:
    (dstk.directory / "a.csv").write_bytes(b"id\nrefused\n")
    for answer, (name, (_, why)) in zip(
        dstk.many(*(["load", *options] for options, _ in REFUSED.values())), REFUSED.items(), strict=True
    ):
        assert answer.code == 2, (name, answer)
        assert why in answer.stderr, (name, answer)
        assert b"Traceback" not in answer.stderr
    assert not records(dstk, '("refused",)')
    assert [path.name for path in dstk.directory.iterdir()] == ["a.csv"]
