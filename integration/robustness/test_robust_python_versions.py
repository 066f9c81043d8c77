"""Which Pythons `make install` takes, and that a refusal is one line before anything is installed."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MEMBERS = sorted(path for pattern in ("libs", "services") for path in ROOT.glob(f"{pattern}/*/pyproject.toml"))
PROJECTS = [
    ROOT / "pyproject.toml",
    *(ROOT / part / "pyproject.toml" for part in ("cli", "demo", "bench", "observability")),
    *MEMBERS,
]

FAKE = """#!/bin/sh
exec {real} -c '
import platform, sys, sysconfig
platform.python_implementation = lambda: "{implementation}"
sysconfig.get_platform = lambda: "{machine}"
platform.libc_ver = lambda: ("{libc}", "")
sys.version_info = {version}
exec(sys.argv[2])
' "$@"
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """What `make install` reads, without a .venv."""
    tree = tmp_path / "a tree"
    for path in (*PROJECTS, ROOT / "Makefile", ROOT / "requirements.lock", *(ROOT / "scripts").iterdir()):
        copied = tree / path.relative_to(ROOT)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copied)
    return tree


def fake(
    directory: Path,
    version: tuple[int, int],
    implementation: str = "CPython",
    machine: str = "linux-x86_64",
    libc: str = "glibc",
) -> Path:
    """An interpreter that says of itself what it is told to."""
    path = directory / f"python{version[0]}.{version[1]}"
    text = FAKE.format(
        real=sys.executable, implementation=implementation, machine=machine, libc=libc, version=(*version, 0)
    )
    path.write_text(text)
    path.chmod(0o755)
    return path


def install(tree: Path, python: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--silent", "install", f"PYTHON={python}"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "PYTHON"))}
    return subprocess.run(
        command, cwd=tree, capture_output=True, text=True, check=False, timeout=120, env=environment | variables
    )


def refused(tree: Path, python: str, **variables: str) -> str:
    """The one line that says why."""
    done = install(tree, python, **variables)
    assert done.returncode == 2
    assert not done.stdout
    line, of_make = done.stderr.splitlines()
    assert of_make.startswith("make: ***")
    assert not (tree / ".venv").exists()
    assert line.startswith("error: ")
    assert "CPython 3.11 or 3.12 on Linux x86-64" in line
    assert "make install PYTHON=" in line
    return line


@pytest.mark.parametrize("version", [(2, 7), (3, 9), (3, 10), (3, 13), (3, 14), (4, 0)])
def test_a_version_without_leveldb_is_refused_before_anything_is_installed(
    tree: Path, tmp_path: Path, version: tuple[int, int]
) -> None:
    assert f"is CPython {version[0]}.{version[1]}" in refused(tree, str(fake(tmp_path, version)))


def test_another_implementation_is_refused(tree: Path, tmp_path: Path) -> None:
    assert "is PyPy 3.11" in refused(tree, str(fake(tmp_path, (3, 11), implementation="PyPy")))


@pytest.mark.parametrize(
    ("machine", "libc"), [("linux-aarch64", "glibc"), ("macosx-14-arm64", ""), ("linux-x86_64", "")]
)
def test_another_platform_is_refused(tree: Path, tmp_path: Path, machine: str, libc: str) -> None:
    assert f"on {machine} {libc or 'without glibc'}" in refused(
        tree, str(fake(tmp_path, (3, 12), machine=machine, libc=libc))
    )


@pytest.mark.parametrize("python", ["/nowhere/python3", "no-such-python", "/etc/passwd", "/", "false"])
def test_a_program_that_is_no_python_is_refused(tree: Path, python: str) -> None:
    assert f"'{python}' cannot be run" in refused(tree, python)


def test_the_reason_of_a_python_that_does_not_start_is_shown(tree: Path) -> None:
    line = refused(tree, sys.executable, PYTHONHOME="/nowhere")
    assert "cannot be run (" in line
    assert "Fatal Python error" in line or "encodings" in line


def test_the_refusal_names_a_python_that_is_here(tree: Path, tmp_path: Path) -> None:
    fake(tmp_path, (3, 12))
    line = refused(tree, str(fake(tmp_path, (3, 13))), PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert line.endswith("Here is python3.12: make install PYTHON=python3.12")


def test_a_python_that_cannot_make_environments_names_the_package(tree: Path, tmp_path: Path) -> None:
    bare = fake(tmp_path, (3, 12))
    bare.write_text(bare.read_text().replace("exec(sys.argv[2])", 'exec(sys.argv[2].replace("venv", "no_venv"))'))
    user = tmp_path / "id"  # root would get the package
    user.write_text("#!/bin/sh\necho 1000\n")
    user.chmod(0o755)
    done = install(tree, str(bare), PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.stderr.splitlines()[0].startswith("error: ")
    assert "Run: sudo apt-get install python3.12-" in done.stderr.splitlines()[0]


def test_an_environment_of_another_version_is_not_used_in_silence(tree: Path, tmp_path: Path) -> None:
    (tree / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(fake(tmp_path, (3, 11)), tree / ".venv" / "bin" / "python")
    done = install(tree, str(fake(tmp_path, (3, 12))))
    assert done.returncode == 2
    assert ".venv was made with CPython 3.11" in done.stderr.splitlines()[0]
    assert "make clean install PYTHON=" in done.stderr.splitlines()[0]


def test_the_python_that_runs_this_is_taken() -> None:
    subprocess.run([ROOT / "scripts" / "supported"], env=os.environ | {"PYTHON": sys.executable}, check=True)


def test_every_member_and_the_readme_claim_the_same_versions() -> None:
    claims = {tomllib.loads(path.read_text())["project"]["requires-python"] for path in PROJECTS}
    assert claims == {">=3.11,<3.13"}
    assert "Python 3.11 or 3.12" in (ROOT / "README.md").read_text()
    assert re.search(r"^requires-python", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
