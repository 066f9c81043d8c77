"""Answers that wait for callers who do not take them: given up in the end, with their calls, else they would wait for good."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from dstk_service.heap import give_back

STALLED_SECONDS = 4.0
"""How long a connection may take none of the answers that wait for it, before they are given up. A connection that is merely
slow takes an answer of 1 MiB in this time, or it is slower than 2.1 Mbit/s.
"""

CONTENDED_SECONDS = 2.0
"""The same, while others wait for the room."""

UNREAD_SECONDS = 30.0
"""How long a single answer may wait on a connection that takes others."""

LOOK_SECONDS = 0.5

Peer = str
"""A connection, as gRPC names it."""


@dataclass(slots=True, eq=False)
class Waiting:
    """An answer that was given to the transport; `give_up` is called at most once."""

    peer: Peer
    since: float
    give_up: Callable[[], object]
    given_up: bool = False


class Readers:
    """Knows what waits for whom. Looks around only while something waits."""

    def __init__(self, contended: Callable[[], bool], on_stall: Callable[[Peer], None]) -> None:
        """`contended`: whether others wait for room. `on_stall` hears of connections of which an answer is given up."""
        self._contended = contended
        self._on_stall = on_stall
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[Waiting, None] = {}
        self._progress: dict[Peer, float] = {}
        """When a connection last took something."""
        self._looking = False

    def begin(self, peer: Peer, give_up: Callable[[], object]) -> Waiting:
        """From now on the answer waits; `end` it in any case."""
        waiting = Waiting(peer, self._loop.time(), give_up)
        self._waiting[waiting] = None
        if not self._looking:
            self._looking = True
            self._loop.call_later(LOOK_SECONDS, self._look)
        return waiting

    def end(self, waiting: Waiting) -> None:
        """The answer was taken, or its call has ended."""
        if self._waiting.pop(waiting, waiting) is None and not waiting.given_up:
            self._progress[waiting.peer] = self._loop.time()

    def _look(self) -> None:
        now = self._loop.time()
        patience = CONTENDED_SECONDS if self._contended() else STALLED_SECONDS
        for waiting in list(self._waiting):
            taken = max(waiting.since, self._progress.get(waiting.peer, waiting.since))
            if not waiting.given_up and (now - taken > patience or now - waiting.since > UNREAD_SECONDS):
                waiting.given_up = True
                self._on_stall(waiting.peer)  # first: what is given up is for others
                waiting.give_up()
        peers = {waiting.peer for waiting in self._waiting}
        self._progress = {peer: at for peer, at in self._progress.items() if peer in peers}
        self._looking = bool(self._waiting)
        if self._looking:
            self._loop.call_later(LOOK_SECONDS, self._look)
        else:
            self._loop.run_in_executor(None, give_back)
