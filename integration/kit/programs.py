"""The programs that `make observe` builds."""

import shutil
import subprocess
from collections.abc import Sequence


def program(name: str) -> str:
    """The path of a program. Raises AssertionError where it is not on PATH."""
    found = shutil.which(name)
    assert found, f"{name} is not on PATH: run `make observe`, which builds it"
    return found


def run(name: str, *arguments: object, within: float = 120) -> str:
    """What a program says. Raises AssertionError, with its output, if it fails."""
    command: Sequence[str] = [program(name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=within, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
