"""What `dstk scan` has written, `dstk load` reads back: every byte of keys and values, and when each record expires."""

import json
import os
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from kit.command import Command
from kit.process_cluster import ProcessCluster, running
from kit.spoiled import holds_once

from dstk_client import connect, connect_sync
from dstk_keytypes import Key, KeyRange
from dstk_service.testing import eventually

pytestmark = [pytest.mark.slow]

EVERYTHING = KeyRange(b"", None)
DAY_AFTER_MS = time.time_ns() // 1_000_000 + 86_400_000
"""No record expires while a test runs, however slow the machine is."""
LONG_AGO, FAR_OFF = 1, 253_402_300_799_999
TELLING_KEYS = [
    *(Key(bytes([byte])) for byte in range(256)),
    *(Key.text(text) for text in ("text:x", "0x", "(", "a\n", "[red]", "é\u202e", " x ", "\\", '"', "x" * 1024)),
    Key.of(None, True, -1, 1.5),
    Key.of(float("nan"), -0.0, float("inf")),
    Key.of("\ud7ff\0", b"\0\xff"),
    Key.of(10**2000),
    Key.of(((("deep",),),)),
]
VALUES = [
    b"",
    b"\n",
    b"\r\n",
    b"\0",
    b"\xff\xfe",
    "é\u2028\u202e".encode(),
    b'{"a": 1e400}',
    b'"',
    b"\\",
    b"\xed\xa0\x80",
]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def random_records(seed: int, count: int) -> dict[Key, tuple[bytes, int]]:
    """Value and expiry by key."""
    rng = random.Random(seed)
    keys = [*TELLING_KEYS, *(Key(rng.randbytes(rng.randint(1, 40))) for _ in range(count))]
    return {key: (_value(rng), _expiry(rng)) for key in keys}


def _value(rng: random.Random) -> bytes:
    return rng.choice([*VALUES, rng.randbytes(rng.randint(0, 200)), b"text", bytes(rng.choice([0, 30_000]))])


def _expiry(rng: random.Random) -> int:
    return rng.choice([0, 0, DAY_AFTER_MS + rng.randrange(10**9), FAR_OFF, DAY_AFTER_MS])


def insert(cluster: ProcessCluster, records: dict[Key, tuple[bytes, int]]) -> None:
    with connect_sync(cluster.address("router"), mode="gateway", timeout=60) as client:
        client.insert_sorted((key, value, expiry) for key, (value, expiry) in sorted(records.items()))


def stored(cluster: ProcessCluster) -> list[tuple[bytes, bytes, int]]:
    """All that a cluster has, in its order."""
    with connect_sync(cluster.address("router"), mode="gateway", timeout=60) as client:
        return [(bytes(each.key), each.value, each.expires_at_ms) for each in client.scan(EVERYTHING)]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCluster]:
    """An empty cluster, with another partition map."""
    made = ProcessCluster(
        tmp_path_factory.mktemp("target"),
        nodes=1,
        splits=["b", "y"],
        router=True,
        storage_options=["--bootstrap-replicas", "1"],
    )
    with running(made):
        yield made


@pytest.fixture(scope="module")
def filled(small_cluster: ProcessCluster) -> list[tuple[bytes, bytes, int]]:
    """What the source has."""
    insert(small_cluster, random_records(7, 5000))
    found = stored(small_cluster)
    assert len(found) > 5000
    return found


@pytest.fixture(autouse=True)
def _empty_target(target: ProcessCluster) -> None:
    with connect_sync(target.address("router"), mode="gateway", timeout=60) as client:
        keys = [record.key for record in client.scan(EVERYTHING)]
        for key in keys[:100]:
            client.delete(key)
        client.insert_sorted((key, b"stale", LONG_AGO) for key in keys[100:])  # a record that has expired is gone
        assert not list(client.scan(EVERYTHING))


def into(dstk: Command, target: ProcessCluster) -> Command:
    return replace(dstk, router=target.address("router"))


def test_a_dump_in_a_file_round_trips_everything(
    dstk: Command, target: ProcessCluster, filled: list[tuple[bytes, bytes, int]]
) -> None:
    written = dstk("scan", "--output", "dump.jsonl")
    assert written.returncode == 0, written.stderr
    assert f"{len(filled):,} records to dump.jsonl".encode() in written.stderr
    assert [path.name for path in dstk.directory.iterdir()] == ["dump.jsonl"]
    first, *_, last = (dstk.directory / "dump.jsonl").read_bytes().splitlines()
    assert json.loads(first)["dstk_dump"] == 1
    assert json.loads(last) == {"dstk_dump_end": True, "records": len(filled)}
    loaded = into(dstk, target)("load", "dump.jsonl", "-o", "json")
    assert loaded.returncode == 0, loaded.stderr
    assert json.loads(loaded.stdout)["records"] == len(filled)
    assert stored(target) == filled


def test_what_scan_prints_as_json_loads_from_a_pipe(
    dstk: Command, target: ProcessCluster, filled: list[tuple[bytes, bytes, int]]
) -> None:
    lines = dstk("scan", "--output", "json", "--reverse").stdout
    answer = into(dstk, target)("load", "-", stdin=lines)
    assert answer.returncode == 0, answer.stderr
    assert stored(target) == filled


def test_what_has_expired_meanwhile_is_left_out_and_counted(dstk: Command, target: ProcessCluster) -> None:
    def line(key: str, expires_at: str | None) -> str:
        return json.dumps({"key": key, "value": "v", "encoding": "utf-8", "expires_at": expires_at}) + "\n"

    times = ["1970-01-01T00:00:00.001Z", "2020-02-29T23:59:59.999Z", "9999-12-31T23:59:59.999Z", None]
    (dstk.directory / "d.jsonl").write_text("".join(line(f"k{at}", moment) for at, moment in enumerate(times)))
    answer = into(dstk, target)("load", "d.jsonl", "-o", "json")
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout) | {"seconds": 0, "per_second": 0} == {
        "records": 2,
        "skipped": 0,
        "skipped_lines": 0,
        "expired": 2,
        "seconds": 0,
        "per_second": 0,
    }
    assert b"skipped 2 expired records" in answer.stderr
    assert stored(target) == [(b"k2", b"v", FAR_OFF), (b"k3", b"v", 0)]


async def test_a_record_expires_where_it_was_loaded_when_it_would_have_expired(
    dstk: Command, target: ProcessCluster, small_cluster: ProcessCluster
) -> None:
    async def expires(ttl_ms: int) -> None:
        moment = now_ms() + ttl_ms
        async with connect(small_cluster.address("router"), mode="gateway", timeout=60) as client:
            await client.bulk_insert([(Key.text("brief"), b"v")], expires_at_ms=[moment])
        assert dstk("scan", "--prefix", "brief", "--output", "./brief.jsonl").returncode == 0
        assert into(dstk, target)("load", "brief.jsonl").returncode == 0
        async with connect(target.address("router"), mode="gateway", timeout=60) as client:
            asked, found = now_ms(), await client.get(Key.text("brief"))
            assert found is not None, "it was not loaded in time"
            while found is not None:
                assert found.expires_at_ms == moment
                assert asked < moment
                asked, found = now_ms(), await client.get(Key.text("brief"))
        assert moment <= now_ms()

    await holds_once(expires, (5_000, 20_000, 60_000))


REFUSED_LINES = {
    b'{"key": "k", "value": "v", "encoding": "rot13"}': b"encoding is 'rot13'",
    b'{"key": "k", "value": "v"}': b"encoding is None",
    b'{"key": "k", "etag": 1}': b"--keys-only",
    b'{"key": "k", "value": "/w=", "encoding": "base64"}': b"padding",
    b'{"key": "(1", "value": "v", "encoding": "utf-8"}': b"key",
    b'{"key": "", "value": "v", "encoding": "utf-8"}': b"1..1024 bytes",
    b'{"key": "k", "value": "v", "encoding": "utf-8", "expires_at": "tomorrow"}': b"expires_at",
    b'{"key": "k", "value": "v", "encoding": "utf-8", "expires_at": "2026-02-30T00:00:00.000Z"}': b"day",
    b'{"value": "v", "encoding": "utf-8"}': b"no key",
    b'{"key": 7, "value": "v"}': b"Expected `str",
    b'{"dstk_dump": 2}': b"version 2",
    b'{"dstk_dump_end": true, "records": 99}': b"99 records",
    b"id,name": b"malformed",
    b"[" * 60_000: b"not a line of a dump",
}


def test_json_lines_that_are_no_dump_need_a_key(dstk: Command) -> None:
    answer = dstk("load", "-", stdin=b'{"id":1}\n')
    assert answer.returncode == 2
    assert b"--key" in answer.stderr


def test_a_line_that_is_none_of_a_dump_is_bad_and_says_why(dstk: Command, target: ProcessCluster) -> None:
    good = b'{"key": "good", "value": "v", "encoding": "utf-8"}\n'
    (dstk.directory / "d.jsonl").write_bytes(b"\n".join(REFUSED_LINES) + b"\n" + good)
    answer = into(dstk, target)("load", "d.jsonl", "--skip-bad", "-o", "json")
    assert answer.returncode == 4, answer.stderr
    assert json.loads(answer.stdout)["skipped"] == len(REFUSED_LINES)
    assert stored(target) == [(b"good", b"v", 0)]
    kept = (dstk.directory / "d.jsonl.bad").read_bytes().splitlines()
    for number, (line, why) in enumerate(zip(kept, REFUSED_LINES.values(), strict=True), 1):
        assert line.startswith(b"line %d: " % number)
        assert why in line


@pytest.mark.usefixtures("filled")
def test_a_dump_that_was_cut_off_is_known_for_it(dstk: Command, target: ProcessCluster) -> None:
    assert dstk("scan", "--limit", "100", "--output", "d.jsonl").returncode == 0
    lines = (dstk.directory / "d.jsonl").read_bytes().splitlines(keepends=True)
    for cut in (lines[:-1], lines[:50], [*lines[:50], lines[50][:9]], [*lines[:50], *lines[51:]], lines[:1]):
        (dstk.directory / "cut.jsonl").write_bytes(b"".join(cut))
        (answer,) = into(dstk, target).many(["load", "cut.jsonl"])
        assert answer.code == 1, cut[-1]
        assert b"stopped at cut.jsonl, line" in answer.stderr


@pytest.mark.usefixtures("filled")
async def test_a_dump_that_is_interrupted_leaves_what_was_there_before(dstk: Command) -> None:
    (dstk.directory / "d.jsonl").write_text("of yesterday")
    process = dstk.start("scan", "--output", "d.jsonl")
    try:
        await eventually(lambda: len(list(dstk.directory.iterdir())) > 1 or process.poll() is not None)
        process.send_signal(signal.SIGINT)
    finally:
        _, errors = process.communicate(timeout=120)
    if process.returncode:  # it may have been done by then
        assert process.returncode == 130
        assert b"was not written" in errors
        assert (dstk.directory / "d.jsonl").read_text() == "of yesterday"
    assert [path.name for path in dstk.directory.iterdir()] == ["d.jsonl"]


def test_a_file_that_cannot_be_written_is_named(dstk: Command) -> None:
    (dstk.directory / "taken").mkdir()
    answers = dstk.many(
        ["scan", "--output", "no/such/directory.jsonl"],
        ["scan", "--output", "xml"],
        ["scan", "--output", "d.jsonl", "--keys-only"],
    )
    assert [answer.code for answer in answers] == [1, 2, 2]
    assert b"No such file or directory" in answers[0].stderr
    assert b"table, json, or a file" in answers[1].stderr
    assert b"--keys-only" in answers[2].stderr
    assert dstk("scan", "--output", "./taken").returncode == 2
    assert [path.name for path in dstk.directory.rglob("*")] == ["taken"]


@pytest.mark.usefixtures("filled")
def test_what_is_no_file_is_written_to_and_stays_what_it_is(dstk: Command) -> None:
    pipe = dstk.directory / "pipe"
    os.mkfifo(pipe)
    process = dstk.start("scan", "--output", "./pipe", "--limit", "3")
    read = pipe.read_bytes()
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert pipe.is_fifo()
    assert read.endswith(b'{"dstk_dump_end": true, "records": 3}\n')
    answer = dstk("scan", "--output", "/dev/fd/1", "--limit", "3")
    assert answer.stdout.count(b"\n") == 5
    assert answer.stderr == b"written 3 records to /dev/fd/1\n"
    assert Path("/dev/fd/1").exists()


@pytest.mark.usefixtures("filled")
def test_a_dump_replaces_what_a_link_leads_to_and_lets_nobody_else_read_it(dstk: Command) -> None:
    (dstk.directory / "kept.jsonl").write_text("of yesterday")
    (dstk.directory / "kept.jsonl").chmod(0o600)
    (dstk.directory / "link.jsonl").symlink_to("kept.jsonl")
    (dstk.directory / "loop.jsonl").symlink_to("loop.jsonl")
    long = "x" * 249 + ".jsonl"
    outputs = ["link.jsonl", "loop.jsonl", long, "."]
    linked, looped, longest, here = dstk.many(*(["scan", "--limit", "1", "--output", f"./{name}"] for name in outputs))
    assert [linked.code, looped.code, longest.code, here.code] == [0, 1, 0, 2]
    assert b"loop.jsonl: Too many levels of symbolic links" in looped.stderr
    assert b"is a directory" in here.stderr
    assert (dstk.directory / "link.jsonl").is_symlink()
    assert (dstk.directory / "kept.jsonl").stat().st_mode & 0o777 == 0o600
    assert (dstk.directory / "kept.jsonl").read_text().count("\n") == 3
    assert {path.name for path in dstk.directory.iterdir()} == {"kept.jsonl", "link.jsonl", "loop.jsonl", long}
