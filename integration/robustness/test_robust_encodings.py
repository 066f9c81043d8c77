"""The command line in a world that is not UTF-8: streams, locales, arguments, names of files."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.process_cluster import ProcessCluster, running

pytestmark = [pytest.mark.slow]

DSTK = os.fsencode(Path(sys.executable).with_name("dstk"))
KEY, VALUE = "ké 💥", "é Ж 💥"
ASCII_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0"}
"""Python then decodes arguments as ASCII, other bytes as lone surrogates, and encodes names of files so."""


class Shell:
    """Runs `dstk` as a process with bytes as arguments."""

    def __init__(self, router: str, directory: Path) -> None:
        self._environment = {name: value for name, value in os.environ.items() if name[:3] not in {"LC_", "PYT", "LAN"}}
        self._environment |= {"DSTK_ROUTER": router, "LANG": "C.UTF-8"}
        self.directory = os.fsencode(directory)

    def __call__(self, *arguments: str | bytes, **variables: str) -> subprocess.CompletedProcess[bytes]:
        words = [DSTK, *(each.encode() if isinstance(each, str) else each for each in arguments)]
        done = subprocess.run(
            words, env=self._environment | variables, cwd=self.directory, capture_output=True, timeout=120, check=False
        )
        assert b"Traceback" not in done.stderr
        assert b"this is a bug" not in done.stderr
        return done

    def path(self, name: bytes) -> bytes:
        return self.directory + b"/" + name


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    with running(ProcessCluster(tmp_path_factory.mktemp("encodings"), router=True)) as cluster:
        made = Shell(cluster.address("router"), tmp_path_factory.mktemp("files"))
        assert made("put", KEY, VALUE).returncode == 0
        yield made


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "ascii:strict", "cp1252", "utf-16", "utf-8"])
def test_json_means_the_same_in_every_encoding(shell: Shell, encoding: str) -> None:
    done = shell("get", KEY, "--output", "json", PYTHONIOENCODING=encoding)
    assert done.returncode == 0
    record = json.loads(done.stdout.decode(encoding.split(":", maxsplit=1)[0]))
    assert (record["key"], record["value"]) == (KEY, VALUE)


@pytest.mark.parametrize(
    "command", [["scan"], ["nodes"], ["doctor"], ["put", "--help"], ["put", KEY, VALUE], ["get", f"{KEY}?"]]
)
def test_what_an_encoding_lacks_is_shown_as_an_escape(shell: Shell, command: list[str]) -> None:
    done = shell(*command, PYTHONIOENCODING="latin-1")
    assert done.returncode == (1 if command[-1] == f"{KEY}?" else 0)
    shown = (done.stdout + done.stderr).decode("latin-1")
    assert KEY not in shown
    assert (r"ké \U0001f4a5" in shown) == (KEY in "".join(command) or command == ["scan"])


def test_utf8_is_understood_in_an_ascii_locale(shell: Shell) -> None:
    done = shell("get", KEY, "--output", "json", **ASCII_LOCALE)
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert json.loads(done.stdout)["value"] == VALUE
    assert shell("put", "ключ", "значение", **ASCII_LOCALE).returncode == 0
    assert json.loads(shell("get", "ключ", "-o", "json").stdout)["value"] == "значение"


@pytest.mark.parametrize("variables", [{}, ASCII_LOCALE], ids=["utf-8", "ascii"])
@pytest.mark.parametrize(
    "command",
    [
        [*("get", b"\xff")],
        [*("put", "a", b"\xff")],
        [*("put", b"\xc3", "a")],
        [*("scan", "--prefix", b"a\xff")],
        [*("get", "a", "--router", b"\xff:1")],
        [*("nodes", "drain", b"\xff")],
        [*("controller", "set", b"replicas=\xff")],
    ],
)
def test_an_argument_that_is_not_utf8_is_refused_by_name(
    shell: Shell, command: list[str | bytes], variables: dict[str, str]
) -> None:
    done = shell(*command, **variables)
    assert done.returncode == 2
    assert b"which is not UTF-8" in done.stderr
    assert not done.stdout


@pytest.mark.parametrize("variables", [{}, ASCII_LOCALE], ids=["utf-8", "ascii"])
@pytest.mark.parametrize("name", [b"\xff", "é".encode()], ids=["bytes", "utf-8"])
def test_a_file_may_have_any_name(shell: Shell, name: bytes, variables: dict[str, str]) -> None:
    Path(os.fsdecode(shell.path(name + b".jsonl"))).write_bytes(b'{"id": "from a file"}\n')
    loaded = shell("load", name + b".jsonl", "--key", "id", **variables)
    assert loaded.returncode == 0, loaded.stderr
    assert shell("put", "a", b"--file=" + name + b".jsonl", **variables).returncode == 0
    missing = shell("load", name + b".csv", "--key", "id", **variables)
    assert missing.returncode == 2
    assert b"no such file" in missing.stderr


def test_a_directory_without_a_cluster_may_have_any_name(shell: Shell) -> None:
    done = shell("local", "status", "--data-dir", b"\xff")
    assert done.returncode == 3
    assert b"no cluster is up in" in done.stderr


@pytest.mark.parametrize(("value", "tracebacks"), [("0", False), ("off", False), ("1", True)])
def test_the_variable_for_tracebacks_means_what_it_says(tmp_path: Path, value: str, tracebacks: bool) -> None:
    environment = os.environ | {"DSTK_DEBUG": value}
    done = subprocess.run(
        [DSTK, "get", "", "--data-dir", tmp_path], env=environment, capture_output=True, timeout=120, check=False
    )
    assert (b"Traceback" in done.stderr) == tracebacks
