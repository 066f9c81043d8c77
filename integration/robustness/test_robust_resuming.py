"""A load goes on only where it stopped: the same cluster, source and options, and one process at a time."""

import fcntl
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from kit.command import Command
from kit.process_cluster import ProcessCluster, running

pytestmark = [pytest.mark.slow]

OPTIONS = ["--key", "id:int", "--key-prefix", "resumed"]
GOOD = "".join(f'{{"id":{number}}}\n' for number in range(50))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCluster]:
    """Another cluster of the same name."""
    made = ProcessCluster(
        tmp_path_factory.mktemp("other"), nodes=1, router=True, storage_options=["--bootstrap-replicas", "1"]
    )
    with running(made):
        yield made


@pytest.fixture
def interrupted(dstk: Command) -> Path:
    """The source of a load that stopped behind its 50th line, and is put right by now."""
    source = dstk.directory / "places.jsonl"
    source.write_text(f"{GOOD}nonsense\n")
    assert dstk("load", source.name, *OPTIONS).returncode == 1
    source.write_text(f'{GOOD}{{"id":50}}\n')
    return source


def checkpoint(source: Path) -> Path:
    return source.with_name(f"{source.name}.dstk-load.json")


def test_a_load_goes_on_behind_what_is_loaded(dstk: Command, interrupted: Path) -> None:
    answer = dstk("load", interrupted.name, *OPTIONS, "--resume", "-o", "json")
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["records"] == 1
    assert b"50 records already loaded" in answer.stderr
    assert list(dstk.directory.iterdir()) == [interrupted]


def test_not_into_another_cluster_even_of_the_same_name(
    dstk: Command, interrupted: Path, other: ProcessCluster, small_cluster: ProcessCluster
) -> None:
    elsewhere = replace(dstk, router=other.address("router"))
    answer = elsewhere("load", interrupted.name, *OPTIONS, "--resume")
    assert answer.returncode == 1
    assert answer.stdout == b""
    assert b"went into another cluster: 'test' with uid" in answer.stderr
    assert b"load from the start, without --resume" in answer.stderr
    assert elsewhere("scan", "-o", "json").stdout == b""
    # by whichever process of it the cluster is asked
    through_node = replace(dstk, router=small_cluster.address("storage-1"))
    assert through_node("load", interrupted.name, *OPTIONS, "--resume", "--direct").returncode == 0
    assert elsewhere("load", interrupted.name, *OPTIONS, "--direct").returncode == 0
    assert len(elsewhere("scan", "-o", "json").stdout.splitlines()) == 51


OTHER_OPTIONS = {
    "another key": (["--key", "id", "--key-prefix", "resumed"], b"--key was 'id:int' and is 'id'"),
    "another prefix": (["--key", "id:int"], b"--key-prefix was 'resumed' and is not given"),
    "another value": ([*OPTIONS, "--value", "id"], b"--value was not given and is 'id'"),
    "another time to live": ([*OPTIONS, "--ttl", "2h"], b"--ttl was not given and is '2h'"),
    "another format": ([*OPTIONS, "--format", "csv"], b"--format was 'jsonl' and is 'csv'"),
    "whole keys": (["--key", "id", "--raw-key"], b"--raw-key was not given and is 'given'"),
}


def test_not_with_other_options(dstk: Command, interrupted: Path) -> None:
    answers = dstk.many(*(["load", interrupted.name, *options, "--resume"] for options, _ in OTHER_OPTIONS.values()))
    for answer, (_, what) in zip(answers, OTHER_OPTIONS.values(), strict=True):
        assert answer.code == 1
        assert what in answer.stderr
        assert b"repeat those, or load from the start" in answer.stderr


def test_not_from_a_source_that_has_changed_in_front_of_the_position(dstk: Command, interrupted: Path) -> None:
    whole = interrupted.read_text()
    for changed in (whole.replace('"id":7}', '"id":8}'), whole[10:], "", whole.replace("\n", "\r\n"), "\ufeff" + whole):
        interrupted.write_text(changed)
        answer = dstk("load", interrupted.name, *OPTIONS, "--resume")
        assert answer.returncode == 1
        assert b"has changed since" in answer.stderr
    interrupted.write_text(f'{whole}{{"id":51}}\n')
    assert dstk("load", interrupted.name, *OPTIONS, "--resume").returncode == 0


OLDER = b'{"position": {"lines": 50, "size": 500, "checksum": 1}, "records": 50, "recipe": "jsonl Recipe(...)"}'


def test_not_from_a_checkpoint_that_is_damaged_or_of_another_version(dstk: Command, interrupted: Path) -> None:
    for content, why in ((checkpoint(interrupted).read_bytes()[:-9], b"is damaged"), (OLDER, b"another version")):
        checkpoint(interrupted).write_bytes(content)
        answer = dstk("load", interrupted.name, *OPTIONS, "--resume")
        assert answer.returncode == 1
        assert why in answer.stderr
        assert b"remove it and load from the start" in answer.stderr


def test_not_while_another_process_loads_the_same_file(dstk: Command, interrupted: Path) -> None:
    with interrupted.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        first, again = dstk.many(["load", interrupted.name, *OPTIONS], ["load", interrupted.name, *OPTIONS, "--resume"])
        assert b"is being loaded by another process" in first.stderr
        assert b"is being loaded by another process" in again.stderr
    assert dstk("load", interrupted.name, *OPTIONS, "--resume").returncode == 0


def test_bad_records_are_in_their_file_once_however_often_a_load_is_interrupted(dstk: Command) -> None:
    source = dstk.directory / "bad.jsonl"
    source.write_text(f"first bad\n{GOOD}" + '{"id":1,"id":2}\n')
    collected = source.with_name("bad.jsonl.bad")
    collected.write_text("of an earlier load\n")
    assert dstk("load", source.name, *OPTIONS, "--skip-bad").returncode == 4
    assert [line.split(":")[0] for line in collected.read_text().splitlines()] == ["line 1", "line 52"]
    source.write_text(f"first bad\n{GOOD}")
    assert dstk("load", source.name, *OPTIONS).returncode == 1
    assert dstk("load", source.name, *OPTIONS, "--resume", "--skip-bad").returncode == 4
    assert collected.read_text().splitlines()[0].startswith("line 1: not JSON")
    assert len(collected.read_text().splitlines()) == 1
