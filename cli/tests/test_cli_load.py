"""`dstk load` against a cluster of one dict: everything arrives, interruptions resume, bad lines are reported."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from dstk_cli.data.load import loader
from dstk_cli.data.load.origin import origin
from dstk_cli.errors import FAILED, USAGE, CliError, explain
from dstk_formats import chunks as pieces
from dstk_formats.errors import NotADump, SourceChanged, SourceError
from dstk_keytypes import Key
from dstk_service.errors import DiskFull, Internal, NotServing, Overloaded, WriteAmbiguous


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "CHUNK_RECORDS", 10)
    monkeypatch.setattr(loader, "BATCH_RECORDS", 4)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "places.jsonl"
    path.write_text("".join(f'{{"country":"FR","id":{i}}}\n' for i in reversed(range(25))))
    return path


def load(shell: Any, source: Path, *options: str) -> Result:
    return shell("load", str(source), "--key-prefix", "city", "--key", "country,id", *options)


@pytest.mark.usefixtures("small")
def test_every_line_becomes_a_record(shell: Any, source: Path) -> None:
    shell.client.border = Key.of("city", "FR", 13)
    answer = load(shell, source, "--output", "json")
    assert answer.exit_code == 0, answer.output
    assert set(shell.client.records) == {Key.of("city", "FR", i) for i in range(25)}
    assert json.loads(answer.stdout)["records"] == 25
    assert list(source.parent.iterdir()) == [source]


def test_csv_from_standard_input_with_a_typed_key(shell: Any) -> None:
    answer = shell("load", "-", "--format", "csv", "--key", "id:int", stdin=b"id,name\n7,x\n")
    assert answer.exit_code == 0, answer.output
    assert json.loads(shell.client.records[Key.of(7)].value) == {"id": "7", "name": "x"}


def test_an_unknown_column_is_refused_at_once(shell: Any, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    answer = shell("load", str(tmp_path / "a.csv"), "--key", "z")
    assert answer.exit_code == 2
    assert "the columns are: x, y" in answer.stderr


@pytest.mark.usefixtures("small")
def test_a_bad_line_stops_the_load_and_resume_goes_on_once_it_is_put_right(shell: Any, source: Path) -> None:
    good = source.read_text().splitlines(keepends=True)
    source.write_text("".join([*good[:17], "nonsense\n", *good[17:]]))
    answer = load(shell, source)
    assert answer.exit_code == 1
    assert "line 18: not JSON" in answer.stderr
    assert len(shell.client.records) == 17
    source.write_text("".join(good))
    shell.client.records.clear()
    answer = load(shell, source, "--resume")
    assert answer.exit_code == 0, answer.output
    assert "17 records already loaded" in answer.stderr
    assert set(shell.client.records) == {Key.of("city", "FR", i) for i in range(8)}
    assert list(source.parent.iterdir()) == [source]


def test_skip_bad_leaves_bad_lines_out_and_collects_them(shell: Any, source: Path) -> None:
    with source.open("a") as file:
        file.write('nonsense\n{"country":"FR"}\n')
    answer = load(shell, source, "--skip-bad")
    assert answer.exit_code == 4
    assert len(shell.client.records) == 25
    collected = (source.parent / "places.jsonl.bad").read_text().splitlines()
    assert [line.split(":")[0] for line in collected] == ["line 26", "line 27"]
    assert "skipped line 26" in answer.stderr


@pytest.mark.usefixtures("small")
def test_a_cluster_that_is_busy_or_partly_down_is_waited_for(shell: Any, source: Path) -> None:
    shell.client.failures = [NotServing("x", 0.1), Overloaded("y", 0.1), WriteAmbiguous("z"), DiskFull("d", 1.0)]
    assert load(shell, source).exit_code == 0
    assert len(shell.client.records) == 25


@pytest.mark.usefixtures("small")
def test_a_load_that_failed_remembers_what_was_acknowledged(shell: Any, source: Path) -> None:
    shell.client.failures = []
    original, calls = shell.client.bulk_insert, 0

    async def failing(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 3:
            raise Internal("a defect")
        return await original(*arguments, **options)

    shell.client.bulk_insert = failing
    answer = load(shell, source)
    assert answer.exit_code == 1
    assert answer.stderr.startswith("error: a defect\n")
    shell.client.bulk_insert = original
    shell.client.records.clear()
    assert load(shell, source, "--resume").exit_code == 0
    assert set(shell.client.records) == {Key.of("city", "FR", i) for i in range(15)}


def test_a_failure_that_lasts_longer_than_the_timeout_ends_the_load(shell: Any, source: Path) -> None:
    shell.client.failures = [NotServing("the node is gone", 0.1)] * 5
    answer = load(shell, source, "--timeout", "0.01")
    assert answer.exit_code == 1
    assert "the node is gone" in answer.stderr


def test_a_file_that_becomes_shorter_while_it_is_loaded_is_no_success(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(change: str) -> None:
        with origin(str(source), None, has_key=True, resume=False).open():
            source.write_text(change)
            os.utime(source, (1, 1))

    load(source.read_text() + "{}\n")
    assert "changed while it was loaded" in capsys.readouterr().err
    with pytest.raises(CliError, match=r"became shorter while it was loaded: [0-9,]+ bytes, and then 3$"):
        load("{}\n")


@pytest.mark.parametrize(
    ("error", "hint", "exit_code"),
    [
        (NotADump(), "name the fields that form the key: --key country,id:int", USAGE),
        (SourceChanged(), "load from the start, without --resume", FAILED),
        (SourceError("the source is compressed", "decompress it"), "decompress it", FAILED),
    ],
)
def test_what_is_wrong_with_a_source_comes_with_what_to_do(error: SourceError, hint: str, exit_code: int) -> None:
    known = explain(error)
    assert known is not None
    assert (known.message, known.hint, known.exit_code) == (error.message, hint, exit_code)
