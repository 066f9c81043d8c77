"""The history of test results: its lines, what becomes one, and how it looks."""

import io
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from history import junit, recording, render
from history.__main__ import RESULTS, app
from history.model import BadLineError, Machine, Result, Slow, append, read
from history.suites import JUNIT, SUITES, Suite

AT = recording.Commit("37151a4602cd", dirty=True)
RESULT = Result(
    date=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    commit=AT.id,
    dirty=AT.dirty,
    machine=Machine(cores=2, memory_gib=7.8, cpu="a [fast] one", kernel="Linux 6"),
    suite="test",
    passed=1200,
    failed=1,
    skipped=2,
    seconds=400.5,
    slowest=(Slow(test="module::test_long", seconds=12.25),),
)
NOT_RUN = RESULT.model_copy(
    update={"suite": "containers", "passed": 0, "failed": 0, "skipped": 0, "seconds": 0.0, "not_run": "no Docker"}
)


def shown(what: object) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(what)
    return console.file.getvalue()


def test_the_committed_history_can_be_read() -> None:
    assert {result.suite for result in read(RESULTS)} <= {suite.name for suite in SUITES}


def test_lines_read_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    assert read(path) == []
    for result in (RESULT, NOT_RUN):
        append(path, result)
    assert read(path) == [RESULT, NOT_RUN]
    assert len(path.read_text().splitlines()) == 2


def test_a_line_is_as_it_was_when_the_format_was_made(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(
        '{"format":1,"date":"2026-01-02T03:04:05Z","commit":"37151a4602cd","dirty":true,"machine":{"cores":2,"memory_gib":7.8,'
        '"cpu":"a [fast] one","kernel":"Linux 6"},"suite":"test","not_run":"","passed":1200,"failed":1,"skipped":2,'
        '"seconds":400.5,"slowest":[{"test":"module::test_long","seconds":12.25}]}\n'
    )
    assert read(path) == [RESULT]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"passed": -1}, "passed: .*greater than or equal to 0"),
        ({"commit": "main"}, "commit: .*match pattern"),
        ({"format": 2}, "format: "),
        ({"host": "somewhere"}, "host: Extra"),
        ({"date": "2026-01-02T03:04:05"}, "no time zone"),
        ({"not_run": "no Docker"}, "not run has found something"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, change: dict[str, object], why: str) -> None:
    path = tmp_path / "results.jsonl"
    append(path, RESULT)
    with path.open("a") as file:
        file.write(json.dumps(json.loads(RESULT.model_dump_json()) | change) + "\n")
    with pytest.raises(BadLineError, match=rf"'results.jsonl', line 2: .*{why}"):
        read(path)


def test_a_line_that_is_no_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text("<<<<<<< HEAD\n")
    with pytest.raises(BadLineError, match="line 1: Invalid JSON"):
        read(path)


TESTS = """
import pytest

def test_good(): pass
def test_bad(): assert False
@pytest.mark.skip
def test_skipped(): pass
@pytest.fixture
def broken():
    yield
    raise RuntimeError
def test_with_a_broken_fixture(broken): pass
"""


def suite_in(directory: Path, *arguments: str) -> Suite:
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={JUNIT}", *arguments)
    return Suite("test", (*command, str(directory)))


def test_a_run_of_pytest_becomes_a_result(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(TESTS)
    result = recording.run(suite_in(tmp_path), AT, tmp_path)
    assert (result.passed, result.failed, result.skipped) == (1, 2, 1)
    assert (result.commit, result.dirty, result.suite, result.not_run) == (*AT, "test", "")
    assert result.exit_code == 1
    assert result.seconds > 0
    assert "test_good" in " ".join(slow.test for slow in result.slowest)


def test_a_suite_that_cannot_begin_has_failed(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text("def test_good(): pass")
    assert recording.run(suite_in(tmp_path, "--no-such-option"), AT, tmp_path).failed == 1
    (tmp_path / "test_some.py").write_text("import no_such_module")
    assert recording.run(suite_in(tmp_path), AT, tmp_path).failed == 1


@pytest.mark.parametrize("code", [0, 3])
def test_a_command_without_a_report_is_one_test(tmp_path: Path, code: int) -> None:
    result = recording.run(Suite("simulation", (sys.executable, "-c", f"raise SystemExit({code})")), AT, tmp_path)
    assert (result.passed, result.failed) == ((1, 0) if code == 0 else (0, 1))


def test_what_cannot_run_here_is_recorded_as_not_run(tmp_path: Path) -> None:
    result = recording.run(Suite("containers", ("false",), lambda: "no Docker"), AT, tmp_path)
    assert result.not_run == "no Docker"
    assert (result.passed, result.failed) == (0, 0)


def test_a_report_that_is_cut_off_is_a_failure(tmp_path: Path) -> None:
    script = "import sys; open(sys.argv[1], 'w').write('<testsuites>')"
    assert recording.run(Suite("test", (sys.executable, "-c", script, JUNIT)), AT, tmp_path).failed == 1


def test_junit_counts_a_test_once(tmp_path: Path) -> None:
    (tmp_path / "junit.xml").write_text(
        '<testsuites><testsuite><testcase classname="m" name="t" time="1.5"><failure/></testcase>'
        '<testcase classname="m" name="t" time="0.5"><error/></testcase></testsuite></testsuites>'
    )
    assert junit.read(tmp_path / "junit.xml") == junit.Found(0, 1, 0, (Slow(test="m::t", seconds=2.0),))


def test_the_commit_is_dirty_when_files_differ_but_not_by_the_history_alone(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        who = ("-c", "user.name=n", "-c", "user.email=e@example.org")
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True)

    code, history = tmp_path / "code", tmp_path / "results.jsonl"
    code.write_text("1")
    git("init")
    git("add", "-A")
    git("commit", "-m", "first")
    history.write_text("a line")
    clean = recording.commit(tmp_path, history)
    assert not clean.dirty
    code.write_text("2")
    assert recording.commit(tmp_path, history) == (clean.id, True)


def test_a_machine_says_neither_its_name_nor_a_path() -> None:
    said = recording.machine().model_dump_json()
    assert set(json.loads(said)) == {"cores", "memory_gib", "cpu", "kernel"}
    assert str(Path.home()) not in said


def test_the_table_shows_what_was_found_and_what_was_not_run() -> None:
    text = shown(render.table([RESULT, NOT_RUN]))
    for part in ("37151a4602cd+", "1,200", "400.5", "test_long 12.2 s", "not run: no Docker", "a [fast] one"):
        assert part in text


def test_the_table_says_when_a_suite_was_stopped_before_its_end() -> None:
    assert "stopped early, exit code 2" in shown(render.table([RESULT.model_copy(update={"exit_code": 2})]))
    assert "stopped" not in shown(render.table([RESULT.model_copy(update={"exit_code": 1})]))


def test_the_picture_has_a_bar_a_run_on_one_scale_a_suite() -> None:
    half = RESULT.model_copy(update={"seconds": RESULT.seconds / 2, "failed": 0})
    text = shown(render.picture([RESULT, NOT_RUN, half]))
    assert [line.count("█") for line in text.splitlines() if "█" in line] == [render.BAR, render.BAR / 2]
    assert "1 failed" in text
    assert "not run: no Docker" in text


def test_the_commands(tmp_path: Path) -> None:
    path, picture = tmp_path / "results.jsonl", tmp_path / "picture.svg"
    program = CliRunner()
    assert "no results yet" in program.invoke(app, ["show", "--file", str(path)]).output
    append(path, RESULT)
    done = program.invoke(app, ["show", "--file", str(path), "--svg", str(picture)])
    assert done.exit_code == 0
    assert "1,200" in done.output
    assert picture.read_text().startswith("<svg")
    path.write_text("{}\n")
    for command in ("show", "record"):
        refused = program.invoke(app, [command, "--file", str(path)])
        assert refused.exit_code == 2
        assert "line 1" in refused.output
    assert program.invoke(app, ["record", "--only", "nothing", "--file", str(path)]).exit_code == 2
