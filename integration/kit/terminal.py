"""A shell that keeps its state from command to command, as in a terminal."""

import os
import subprocess
import threading
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self

COMMAND_SECONDS = 150.0


class Terminal:
    """bash in a directory. Directory, variables and functions last from command to command."""

    def __init__(self, directory: Path, **variables: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("DSTK_")}
        self._bash = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=directory,
            env=kept | {"COLUMNS": "160"} | variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bash.kill()
        self._bash.communicate()

    def run(self, command: str) -> tuple[int, list[str]]:
        """The exit code, and the lines of both outputs. Raises RuntimeError when the shell ends, as it does in time."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        mark = uuid.uuid4().hex
        self._bash.stdin.write(f"{{ {command}\n}} </dev/null\n")  # what follows is for the shell alone
        self._bash.stdin.write(f'printf "\\n{mark} $?\\n"\n')
        self._bash.stdin.flush()
        overdue = threading.Timer(COMMAND_SECONDS, self._bash.kill)
        overdue.start()
        lines: list[str] = []
        for line in self._bash.stdout:
            if line.startswith(mark):
                overdue.cancel()
                return int(line.split()[1]), _without_the_last_if_empty(lines)
            lines.append(line.rstrip("\n"))
        overdue.cancel()
        raise RuntimeError(f"the shell ended, or {command!r} took longer than {COMMAND_SECONDS:g} s: {lines[-20:]}")


def _without_the_last_if_empty(lines: list[str]) -> list[str]:
    return lines[:-1] if lines and not lines[-1] else lines
