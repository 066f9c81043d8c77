"""What the processes of `dstk local` get from the environment of whoever starts them, and which etcd they find."""

from pathlib import Path

import pytest

import dstk_localcluster
from dstk_localcluster import LocalClusterError, environment, etcd
from dstk_localcluster.environment import child_environment

OURS = {"PYTHONSAFEPATH": "1", "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}


@pytest.mark.parametrize(
    "name",
    [
        *("ETCD_NAME", "ETCD_INITIAL_CLUSTER", "ETCD_DATA_DIR", "ETCD_CONFIG_FILE", "ETCDCTL_ENDPOINTS"),
        *("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONWARNINGS", "PYTHONOPTIMIZE", "PYTHONINSPECT"),
        *("PYTHONASYNCIODEBUG", "PYTHONIOENCODING", "PYTHONDONTWRITEBYTECODE", "PYTHONDEVMODE", "VIRTUAL_ENV"),
        *("GRPC_VERBOSITY", "GRPC_TRACE", "grpc_proxy", "http_proxy", "HTTPS_PROXY", "no_proxy", "UVLOOP_DEBUG"),
        *("GODEBUG", "GOGC", "GOMAXPROCS", "COLUMNS", "BASH_ENV", "LD", "XPATH", "PATHS"),
        *("DSTK_ETCD", "DSTK_CLUSTER", "DSTK_NODE_ID", "DSTK_LISTEN", "DSTK_ADVERTISE", "DSTK_ZONE", "DSTK_WORKERS"),
        *("DSTK_ADMIN_TOKEN_FILE", "DSTK_CHECK_CONFIG", "DSTK_BOOTSTRAP_EXPECT", "DSTK_BOOTSTRAP_REPLICAS"),
        *("DSTK_DATA_DIR", "DSTK_ROUTER", "DSTK_DEBUG", "DSTK_NO_SKIPS"),
    ],
)
def test_what_is_meant_for_somebody_else_reaches_no_child(name: str) -> None:
    assert child_environment({name: "x"}) == {} | OURS


@pytest.mark.parametrize(
    "name",
    [
        *("PATH", "HOME", "TZ", "TMPDIR", "LANG", "LC_ALL", "LC_CTYPE", "LD_PRELOAD", "LD_LIBRARY_PATH"),
        *("MALLOC_ARENA_MAX", "GLIBC_TUNABLES", "FAKETIME", "ETCD_UNSUPPORTED_ARCH"),
        *("DSTK_LOG_LEVEL", "DSTK_DISK_RESERVE_BYTES", "DSTK_LEASE_SECONDS", "DSTK_QUEUE_WRITES"),
    ],
)
def test_what_is_about_the_machine_or_how_much_passes(name: str) -> None:
    assert child_environment({name: "x"}) == {name: "x"} | OURS


def test_ours_wins() -> None:
    assert child_environment({"PYTHONUTF8": "0", "PYTHONSAFEPATH": ""}) == OURS


def test_packages_that_were_found_by_pythonpath_are_found_again_and_nothing_beside_them() -> None:
    home = str(Path(dstk_localcluster.__file__).parents[1])
    assert child_environment({"PYTHONPATH": f"/somewhere:{home}:"})["PYTHONPATH"] == home


def executable(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("entry", ["", ".", "./", "bin", "../{name}/bin"])
def test_a_program_in_the_current_directory_is_not_found_by_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    executable(tmp_path / "etcd"), executable(tmp_path / "bin" / "etcd")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", entry.format(name=tmp_path.name))
    assert environment.on_path("etcd") is None
    found = executable(tmp_path / "other" / "etcd")
    monkeypatch.setenv("PATH", f"{entry}:{found.parent}")
    assert etcd.program() == str(found)


def test_an_etcd_that_is_nowhere_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etcd, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(LocalClusterError, match="no etcd on PATH") as failure:
        etcd.program()
    assert "pip install" in failure.value.hint


def test_etcd_keeps_a_bounded_history() -> None:
    argv = etcd.argv(Path("/data"), 1, 2)
    assert "--auto-compaction-mode=revision" in argv
    assert "--auto-compaction-retention=10000" in argv
