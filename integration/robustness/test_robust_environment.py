"""Whatever the environment: foreign variables, a hostile current directory, closed and full outputs, impossible terminals.

One local cluster of a single node is started in the worst of surroundings; then there are calls that need no cluster.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from kit.dstk_local import DSTK, DstkLocal

from dstk_localcluster.environment import child_environment
from dstk_service.testing import eventually

pytestmark = [pytest.mark.slow]

MODULES = (
    "queue",
    "json",
    "grpc",
    "signal",
    "asyncio",
    "uvloop",
    "plyvel",
    "dstk_storage",
    "dstk_router",
    "dstk_metrics",
    "sitecustomize",
)
FOREIGN = {
    **dict.fromkeys(("ETCD_NAME", "ETCD_INITIAL_CLUSTER", "ETCD_DATA_DIR", "ETCD_CONFIG_FILE", "ETCDCTL_API"), "x"),
    **dict.fromkeys(
        ("DSTK_ETCD", "DSTK_CLUSTER", "DSTK_NODE_ID", "DSTK_LISTEN", "DSTK_ADVERTISE", "DSTK_CONSOLE_LISTEN"), "!"
    ),
    **dict.fromkeys(("DSTK_ADMIN_TOKEN_FILE", "DSTK_CHECK_CONFIG", "DSTK_BOOTSTRAP_REPLICAS", "DSTK_WORKERS"), "9"),
    **dict.fromkeys(("GRPC_VERBOSITY", "GRPC_DNS_RESOLVER", "http_proxy", "https_proxy", "grpc_proxy"), "no"),
    "PYTHONWARNINGS": "error",
    "PYTHONOPTIMIZE": "2",
    "PYTHONSTARTUP": "queue.py",
    "PYTHONDONTWRITEBYTECODE": "1",
    "GODEBUG": "gctrace=1",
    "TMPDIR": "/none",
    "TZ": "Mars/Phobos",
    "LANG": "C",
    "LC_ALL": "POSIX",
    "COLUMNS": "0",
    "DSTK_DEBUG": "0",
    "DSTK_LOG_LEVEL": "warning",
    "TERMINAL_WIDTH": "wide",
    "PYTHONIOENCODING": "latin-1",
}
NAME = "a [b]'c\" ünï " + "x" * 150


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A current directory full of files that must not be run."""
    made = tmp_path_factory.mktemp("hostile")
    for name in MODULES:
        (made / f"{name}.py").write_text(
            f"open({str(made / 'executed')!r}, 'a').write({name!r})\nraise SystemExit(1)\n"
        )
    program = made / "etcd"
    program.write_text(f"#!/bin/sh\necho etcd >> {str(made / 'executed')!r}\nexit 1\n")
    program.chmod(0o755)
    return made


@pytest.fixture(scope="module")
def local(here: Path) -> Iterator[DstkLocal]:
    environment = {**FOREIGN, "PATH": f":.:{os.environ['PATH']}:"}
    made = DstkLocal(here / NAME, here=here, environment=environment)
    made("local", "up", "--detach", "--nodes", "1")
    yield made
    made.end()


@pytest.fixture
def nothing_executed(here: Path) -> Iterator[None]:
    yield
    assert not (here / "executed").exists(), (here / "executed").read_text()


@pytest.mark.usefixtures("nothing_executed")
async def test_a_cluster_serves_in_a_hostile_directory_under_foreign_variables(local: DstkLocal) -> None:
    local("put", "hello", "world")
    assert '"value": "world"' in local("get", "hello", "--output", "json")
    await eventually(lambda: local.status()["state"] == "serving")


@pytest.mark.usefixtures("nothing_executed")
def test_a_process_that_is_started_again_is_as_safe(local: DstkLocal) -> None:
    local.kill("router")
    local("put", "again", "x", "--timeout", "60")


def test_what_runs_has_none_of_the_foreign_variables_and_works_in_its_own_directory(local: DstkLocal) -> None:
    for ref in local.processes()[1:]:
        process = psutil.Process(ref.pid)
        found = process.environ()
        assert found == child_environment(local.environment)
        assert not found.keys() & {*FOREIGN} - {"TMPDIR", "TZ", "LANG", "LC_ALL", "DSTK_LOG_LEVEL"}
        assert process.cwd() == str(local.directory)


def test_what_runs_may_have_as_many_descriptors_as_the_system_allows(local: DstkLocal) -> None:
    for ref in local.processes()[1:]:
        soft, hard = psutil.Process(ref.pid).rlimit(psutil.RLIMIT_NOFILE)
        assert soft == min(hard, 65_536)


@pytest.mark.usefixtures("nothing_executed")
@pytest.mark.parametrize("source", ["rows.jsonl", "-"])
def test_a_load_runs_nothing_of_the_current_directory(local: DstkLocal, here: Path, source: str) -> None:
    (here / "rows.jsonl").write_text('{"id": 1}\n')
    done = subprocess.run(
        local.argv("load", source, "--key", "id:int", "--format", "jsonl"),
        input='{"id": 2}\n',
        env=local.environment,
        cwd=here,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("nothing_executed")
@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["-m", "dstk_cli", "--version"], "dstk 0"),
        (["-mdstk_cli", "--version"], "dstk 0"),
        (["-m", "dstk_service.tokens", "/none/token"], "No such file"),
        (["-m", "dstk_bench", "--help"], "Usage"),
    ],
)
def test_programs_of_ours_forget_the_directory_that_they_are_run_in(here: Path, command: list[str], says: str) -> None:
    done = subprocess.run([sys.executable, *command], cwd=here, capture_output=True, text=True, check=False)
    assert says in done.stdout + done.stderr


@pytest.mark.parametrize("module", ["dstk_storage", "dstk_router", "dstk_metrics"])
def test_services_too_but_for_what_bears_their_own_name(tmp_path: Path, module: str) -> None:
    for name in ("queue", "json", "grpc", "uvloop", "plyvel"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('executed')")
    command = [sys.executable, "-m", module, "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("pythonpath", [".", ":", ":/more", "/more:"])
def test_an_empty_entry_of_pythonpath_lets_nothing_of_the_current_directory_in(tmp_path: Path, pythonpath: str) -> None:
    for name in ("queue", "json", "grpc", "typer", "rich", "psutil"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('executed')")
    environment = {**os.environ, "PYTHONPATH": pythonpath}
    for command in ([DSTK], [sys.executable, "-m", "dstk_cli"]):
        done = subprocess.run(
            [*command, "--version"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.stdout.startswith("dstk 0"), done.stderr


def test_a_program_of_somebody_else_keeps_its_directory(tmp_path: Path) -> None:
    (tmp_path / "theirs.py").write_text("import dstk_client, helper\n")
    (tmp_path / "helper.py").write_text("print('theirs')\n")
    command = [sys.executable, "-m", "theirs"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout == "theirs\n"


@pytest.mark.parametrize(("value", "shown"), [("0", 0), ("false", 0), ("", 0), ("no", 0), ("1", 1), ("true", 1)])
def test_a_variable_that_says_no_means_no(tmp_path: Path, value: str, shown: int) -> None:
    (tmp_path / "cluster.json").write_text("{")
    (tmp_path / "etcd" / "member").mkdir(parents=True)
    environment = {**os.environ, "DSTK_DATA_DIR": str(tmp_path), "DSTK_DEBUG": value}
    done = subprocess.run([DSTK, "local", "up"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("Traceback (most recent call last)") >= shown
    assert ("Traceback" in done.stderr) == bool(shown)


def in_shell(directory: Path, arguments: str) -> "subprocess.CompletedProcess[str]":
    """`dstk ARGUMENTS`, redirections included."""
    environment = {**os.environ, "DSTK_DATA_DIR": str(directory)}
    line = f"set -o pipefail; '{DSTK}' {arguments}"
    return subprocess.run(
        ["bash", "-c", line], env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ("local status >&-", 1, "error: standard output is closed"),
        ("local up >&-", 1, "error: standard output is closed"),
        ("get x >&- <&-", 1, "error: standard output is closed"),
        ("local status 2>&-", 3, ""),
        ("local status <&-", 3, "no cluster is up"),
        ("local status >&- 2>&- <&-", 1, ""),
        ("put x - <&- -r 127.0.0.1:1", 1, "standard input or output is closed"),
        ("--version >/dev/full", 1, "error: No space left on device"),
        ("--help >/dev/full", 1, "error: No space left on device"),
        ("local status 2>/dev/full", 3, ""),
        ("--version >&-", 0, ""),
    ],
)
def test_an_output_that_takes_nothing_is_told_where_it_can_be(
    tmp_path: Path, arguments: str, code: int, says: str
) -> None:
    done = in_shell(tmp_path, arguments)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("columns", ["0", "1", "²", "9" * 30])
def test_impossible_widths_are_those_of_no_terminal(tmp_path: Path, columns: str) -> None:
    environment = {**os.environ, "COLUMNS": columns, "LINES": columns, "TERMINAL_WIDTH": columns}
    for arguments in (["--help"], ["local", "status", "--data-dir", str(tmp_path)]):
        done = subprocess.run([DSTK, *arguments], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode in {0, 3}, done.stderr


@pytest.mark.parametrize(("limit", "says"), [(100, "file descriptor limit"), (200, "needs 256 file descriptors")])
def test_too_few_descriptors_are_told_in_one_line(tmp_path: Path, limit: int, says: str) -> None:
    made = DstkLocal(tmp_path / "c", prefix=("bash", "-c", f'ulimit -n {limit}; exec "$0" "$@"'))
    said = made("local", "up", "--detach", "--nodes", "1", expect=1)
    assert says in said
    assert len(said.splitlines()) == 2
    made.end()


def test_a_wrong_setting_is_told_by_its_name(tmp_path: Path) -> None:
    made = DstkLocal(tmp_path / "c", environment={"DSTK_LOG_LEVEL": "loud"})
    said = made("local", "up", "--detach", "--nodes", "1", expect=1)
    assert "storage-1 does not start (exit 2): --log-level (or DSTK_LOG_LEVEL) is 'loud'" in said
    made.end()


def test_an_etcd_that_does_not_start_is_told_in_its_own_words(tmp_path: Path) -> None:
    made = DstkLocal(tmp_path / "c")
    made.directory.mkdir()
    (made.directory / "etcd").touch()
    first, second = made("local", "up", "--detach", expect=1).splitlines()
    assert first.startswith("error: etcd does not start (exit 1): ")
    assert "not a directory" in first
    assert second.endswith("etcd.log")
    made.end()
