"""Writes lines on a thread of its own, so that a disk that is full or a reader that hangs never holds up a request.

Invariants: `put` neither waits nor raises; at most MOST_BYTES wait; each line that is lost is counted, and the count is written
with the first line that can be written again.
"""

import os
import select
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

MOST_BYTES: Final = 4 << 20
"""Bytes of lines that wait to be written; later lines are lost until there is room."""

FLUSH_SECONDS: Final = 1.0
"""How long a process that ends waits for its last lines."""

LOOK_SECONDS: Final = 5.0


class LineWriter:
    """Writes to a descriptor. `lost(count)` makes the line that tells of lost ones; `idle()` is called every few seconds, on
    the writer's thread.
    """

    def __init__(self, descriptor: int, lost: Callable[[int], str], idle: Callable[[], None] = lambda: None) -> None:
        self._descriptor, self._lost_line, self._idle = descriptor, lost, idle
        self._waiting: deque[bytes] = deque()
        self._bytes = self._lost = 0
        self.lost = 0
        """Lines that were lost since the start, whether a line tells of them yet or not."""
        self._busy = self._torn = self._ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    @property
    def waiting_bytes(self) -> int:
        """Bytes that wait to be written."""
        return self._bytes

    def put(self, line: str) -> None:
        """Writes the line soon, or counts it as lost."""
        data = line.encode(errors="backslashreplace") + b"\n"
        with self._changed:
            if self._ended or self._bytes + len(data) > MOST_BYTES:
                self._lose(1)
                return
            self._waiting.append(data)
            self._bytes += len(data)
            self._changed.notify_all()

    def flush(self, seconds: float = FLUSH_SECONDS) -> None:
        """Waits until everything is written, but not for longer."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting and not self._busy, seconds)

    def close(self) -> None:
        """Ends the thread after what waits is written, or after a second."""
        self.flush()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _run(self) -> None:
        while not self._ended:
            for line in self._take():
                self._write(line)
            with self._changed:
                self._busy = False
                self._changed.notify_all()
            self._idle()

    def _take(self) -> list[bytes]:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ended, LOOK_SECONDS)
            lines = list(self._waiting)
            self._waiting.clear()
            self._busy = True
            return lines

    def _write(self, line: bytes) -> None:
        untold, told, lost = self._lost, 0, 0
        try:
            if untold:
                self._write_whole(f"{self._lost_line(untold)}\n".encode())
                told = untold
            self._write_whole(line)
        except OSError:
            lost = 1
        with self._changed:
            self._bytes -= len(line)
            self._lost -= told
            self._lose(lost)

    def _lose(self, count: int) -> None:
        self._lost += count
        self.lost += count

    def _write_whole(self, line: bytes) -> None:
        left = memoryview(b"\n" + line if self._torn else line)
        while left:
            try:
                written = os.write(self._descriptor, left)
            except BlockingIOError:
                select.select([], [self._descriptor], [], LOOK_SECONDS)
                continue
            left = left[written:]
            self._torn = bool(left)
