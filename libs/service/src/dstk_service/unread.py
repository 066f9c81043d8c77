"""Gives up answers, and their calls, that callers do not read; otherwise they would wait without end."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from dstk_service.heap import give_back

STALLED_SECONDS = 4.0
"""Seconds for which a connection may read none of its waiting answers before they are given up. A slow connection reads an
answer of 1 MiB in this time if it has at least 2.1 Mbit/s.
"""

CONTENDED_SECONDS = 2.0
"""The same, while other answers wait for room."""

UNREAD_SECONDS = 30.0
"""Seconds that a single answer may wait on a connection that reads others."""

LOOK_SECONDS = 0.5

Peer = str
"""gRPC's name of a connection."""


@dataclass(slots=True, eq=False)
class Waiting:
    """An answer that was handed to the transport; `give_up` is called at most once."""

    peer: Peer
    since: float
    give_up: Callable[[], object]
    given_up: bool = False


class Readers:
    """Tracks the answers that wait for each connection. Its timer runs only while an answer waits."""

    def __init__(self, contended: Callable[[], bool], on_stall: Callable[[Peer], None]) -> None:
        """`contended`: whether others wait for room. `on_stall`: called with a connection whose answer is given up."""
        self._contended = contended
        self._on_stall = on_stall
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[Waiting, None] = {}
        self._progress: dict[Peer, float] = {}
        """When each connection last read an answer."""
        self._looking = False

    def begin(self, peer: Peer, give_up: Callable[[], object]) -> Waiting:
        """Starts watching an answer; the caller must always call `end`."""
        waiting = Waiting(peer, self._loop.time(), give_up)
        self._waiting[waiting] = None
        if not self._looking:
            self._looking = True
            self._loop.call_later(LOOK_SECONDS, self._look)
        return waiting

    def end(self, waiting: Waiting) -> None:
        """Stops watching an answer that was read, or whose call has ended."""
        if self._waiting.pop(waiting, waiting) is None and not waiting.given_up:
            self._progress[waiting.peer] = self._loop.time()

    def _look(self) -> None:
        now = self._loop.time()
        patience = CONTENDED_SECONDS if self._contended() else STALLED_SECONDS
        for waiting in list(self._waiting):
            taken = max(waiting.since, self._progress.get(waiting.peer, waiting.since))
            if not waiting.given_up and (now - taken > patience or now - waiting.since > UNREAD_SECONDS):
                waiting.given_up = True
                self._on_stall(waiting.peer)  # first, because the freed room goes to others
                waiting.give_up()
        peers = {waiting.peer for waiting in self._waiting}
        self._progress = {peer: at for peer, at in self._progress.items() if peer in peers}
        self._looking = bool(self._waiting)
        if self._looking:
            self._loop.call_later(LOOK_SECONDS, self._look)
        else:
            self._loop.run_in_executor(None, give_back)
