"""A `dstk` command on a terminal that obeys escape sequences, read while it runs."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from dstk_service.testing import PATIENCE_SECONDS

ALTERNATE_SCREEN, MAIN_SCREEN = b"\x1b[?1049h", b"\x1b[?1049l"
HIDE_CURSOR, SHOW_CURSOR = b"\x1b[?25l", b"\x1b[?25h"


class Screen:
    """A running command. `shown`: everything that it has printed so far, escape sequences included."""

    def __init__(self, terminal: int, process: "subprocess.Popen[bytes]") -> None:
        self._terminal, self._process = terminal, process
        self._shown = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def shown(self) -> bytes:
        """What was printed."""
        return bytes(self._shown)

    def resize(self, columns: int, lines: int) -> None:
        """Changes the size of the terminal, and tells the command as a terminal does."""
        _resize(self._terminal, columns, lines)
        self._process.send_signal(signal.SIGWINCH)

    def wait_for(self, text: bytes, after: int = 0) -> int:
        """Waits until the text is printed after this place; the place behind it. Raises AssertionError when it is late."""
        until = time.monotonic() + PATIENCE_SECONDS
        while (at := self.shown.find(text, after)) < 0:
            assert time.monotonic() < until, f"{text!r} was not printed: {self.shown[-2000:]!r}"
            time.sleep(0.01)
        return at + len(text)

    def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        self._process.send_signal(signal.SIGINT)
        code = self._process.wait(PATIENCE_SECONDS)
        self._reader.join(PATIENCE_SECONDS)
        return code

    def _read(self) -> None:
        with suppress(OSError):  # Linux reports the end so
            while piece := os.read(self._terminal, 1 << 16):
                self._shown += piece


@contextmanager
def on_screen(*arguments: str, columns: int = 100, lines: int = 30, **env: str) -> Iterator[Screen]:
    """Runs `dstk` with these arguments during the block."""
    ours, theirs = pty.openpty()
    _resize(theirs, columns, lines)
    inherited = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
    process = subprocess.Popen(
        [sys.executable, "-m", "dstk_cli", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=inherited | {"TERM": "xterm-256color", **env},
    )
    os.close(theirs)
    try:
        yield Screen(ours, process)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _resize(terminal: int, columns: int, lines: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
