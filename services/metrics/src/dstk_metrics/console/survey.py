"""What all nodes and the doctor say of the cluster, gathered once for all who ask."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from dstk_doctor import Facts, Finding, examine
from dstk_service.clock import Clock
from dstk_service.errors import DstkError

EVERY_SECONDS = 5.0
"""The least time from the end of a gathering to the next one."""

SHARE = 0.1
"""The largest part of the time that is spent on gathering, since large clusters have much to tell."""


@dataclass(frozen=True)
class Snapshot:
    """The cluster as of `at_ms`, Unix ms by the service's clock. `trouble`: why it could not be gathered again since."""

    facts: Facts
    findings: Sequence[Finding]
    at_ms: int
    trouble: str = ""


class Survey:
    """Gathers when a caller asks, at most every EVERY_SECONDS and for at most SHARE of the time: without callers, the nodes are
    left alone. `gather` raises DstkError.
    """

    def __init__(self, gather: Callable[[], Awaitable[Facts]], clock: Clock) -> None:
        self._gather, self._clock = gather, clock
        self._newest: Snapshot | DstkError | None = None
        self._not_before = 0.0
        self._running: asyncio.Task[None] | None = None

    async def newest(self) -> Snapshot:
        """The newest snapshot at once, and a newer one later; only the first callers wait. Raises the DstkError of the
        gathering if there is none.
        """
        if self._running is None and self._clock.monotonic() >= self._not_before:
            self._running = asyncio.create_task(self._run())
        if not isinstance(self._newest, Snapshot) and self._running is not None:
            await asyncio.shield(self._running)
        if isinstance(self._newest, Snapshot):
            return self._newest
        assert self._newest is not None
        raise self._newest

    async def close(self) -> None:
        """Ends a gathering in progress."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    async def _run(self) -> None:
        began = self._clock.monotonic()
        try:
            facts = await self._gather()
            findings = await asyncio.to_thread(examine, facts)
            self._newest = Snapshot(facts, findings, self._clock.now_ms())
        except DstkError as error:
            self._newest = self._aged(error)
        finally:
            took = self._clock.monotonic() - began
            self._not_before = self._clock.monotonic() + max(EVERY_SECONDS, took / SHARE - took)
            self._running = None

    def _aged(self, error: DstkError) -> Snapshot | DstkError:
        if not isinstance(self._newest, Snapshot):
            return error
        return Snapshot(self._newest.facts, self._newest.findings, self._newest.at_ms, str(error))
