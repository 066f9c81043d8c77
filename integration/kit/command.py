"""Runs the `dstk` command as a process, with pipes or on a terminal."""

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from kit.many import MARK

LIMIT_SECONDS = 120
_INTEGRATION = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Answer:
    """The exit code and the output of a command."""

    code: int
    stdout: bytes
    stderr: bytes

    @classmethod
    def read(cls, directory: Path, number: int) -> Self:
        """The result that `kit.many` wrote."""
        code = int((directory / f"{number}.code").read_text())
        return cls(code, *((directory / f"{number}.{stream}").read_bytes() for stream in (1, 2)))


@dataclass(frozen=True, slots=True)
class Command:
    """Calls `dstk` against one router, in one directory."""

    router: str
    directory: Path

    def __call__(self, *arguments: str | bytes, stdin: bytes = b"", **env: str) -> subprocess.CompletedProcess[bytes]:
        """Runs it with pipes. The exit code is not checked."""
        return subprocess.run(
            self._argv(*arguments),
            input=stdin,
            capture_output=True,
            cwd=self.directory,
            env=self._environment(**env),
            timeout=LIMIT_SECONDS,
            check=False,
        )

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[bytes]:
        """Starts it with pipes, and does not wait."""
        return subprocess.Popen(
            self._argv(*arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.directory,
            env=self._environment(**env),
        )

    def many(self, *commands: list[str]) -> list[Answer]:
        """Runs one after the other in one process, with pipes, which takes a tenth of the time."""
        with TemporaryDirectory() as where:
            argv = [sys.executable, "-m", "kit.many", where, json.dumps(commands)]
            subprocess.run(argv, cwd=self.directory, env=self._environment(), timeout=LIMIT_SECONDS, check=True)
            return [Answer.read(Path(where), number) for number in range(len(commands))]

    def on_terminal(self, *commands: list[str], columns: int = 80) -> list[bytes]:
        """Runs one after the other on a terminal of so many columns, without colours; what each printed there."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen(
            [sys.executable, "-m", "kit.many", "-", json.dumps(commands)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=self.directory,
            env=self._environment(TERM="dumb"),
        )
        os.close(theirs)
        try:
            shown = _read_all(ours)
            assert process.wait(LIMIT_SECONDS) == 0, shown
        finally:
            process.kill()
            process.wait()
            os.close(ours)
        return shown.replace(b"\r\n", b"\n").split(MARK)[: len(commands)]

    def _argv(self, *arguments: str | bytes) -> list[str | bytes]:
        return [sys.executable, "-m", "dstk_cli", *arguments]

    def _environment(self, **env: str) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
        return inherited | {"DSTK_ROUTER": self.router, "PYTHONPATH": str(_INTEGRATION)} | env


def _read_all(terminal: int) -> bytes:
    """Until the last process has closed the other end, which Linux reports as an error."""
    read = bytearray()
    try:
        while piece := os.read(terminal, 1 << 16):
            read += piece
    except OSError:
        pass
    return bytes(read)
