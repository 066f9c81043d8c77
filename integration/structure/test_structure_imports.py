"""Which package may import which: the contracts in pyproject.toml are kept, and would not be kept in silence."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("lint-imports")


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    command = [PROGRAM, "--no-cache", "--config", "pyproject.toml"]
    paths = ":".join(
        str(path)
        for path in [
            *sorted(root.glob("*/*/src")),
            *(root / part / "src" for part in ("cli", "demo", "bench", "observability")),
        ]
    )
    environment = {"PYTHONPATH": paths, "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


def test_the_contracts_are_kept() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("libs/keytypes/src/dstk_keytypes/limits.py", "import dstk_service"),
        ("libs/client/src/dstk_client/scan.py", "import dstk_storage.config"),
        ("services/storage/src/dstk_storage/application/routing.py", "import dstk_router.config"),
        ("services/storage/src/dstk_storage/domain/reads.py", "import grpc"),
        ("services/storage/src/dstk_storage/domain/store.py", "from dstk_storage.adapters import leveldb"),
    ],
)
def test_an_import_in_the_wrong_direction_breaks_a_contract(tmp_path: Path, file: str, line: str) -> None:
    for part in ("libs", "services", "cli", "demo", "bench", "observability"):
        shutil.copytree(
            ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("*.egg-info", "__pycache__", "tests")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    target = tmp_path / file
    target.write_text(target.read_text() + f"\n{line}\n")
    done = lint(tmp_path)
    assert done.returncode == 1, done.stdout
    assert "BROKEN" in done.stdout


def test_modules_stay_small() -> None:
    sources = [
        path for path in ROOT.glob("*/**/src/**/*.py") if "dstk/v1" not in str(path) and ".venv" not in str(path)
    ]
    assert len(sources) > 100
    long = {
        str(path.relative_to(ROOT)): count for path in sources if (count := len(path.read_text().splitlines())) > 300
    }
    assert not long
