"""One scrape at a time, however many callers ask."""

import asyncio

from dstk_telemetry.metrics.instruments import Instruments

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
PLAIN = "text/plain; version=0.0.4"

Exposition = tuple[bytes, str]
"""Text and content type."""


class Scrapes:
    """Makes expositions one after the other. Callers who wait for the same format share the next one, which has figures from
    after their call: any number of callers takes the service at most two scrapes.
    """

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._turn = asyncio.Lock()
        self._next: dict[str, asyncio.Task[Exposition]] = {}
        """By format: not yet begun."""

    async def exposition(self, accept: str) -> Exposition:
        """Everything in the format that the header `accept` asks for, and its content type."""
        asked = format_of(accept)
        if asked not in self._next:
            self._next[asked] = asyncio.create_task(self._make(asked))
        return await asyncio.shield(self._next[asked])

    async def _make(self, asked: str) -> Exposition:
        async with self._turn:
            del self._next[asked]
            return await self._instruments.exposition(asked)


def format_of(accept: str) -> str:
    """OPENMETRICS for who accepts it in any version, else PLAIN: the two formats that every version of Prometheus reads."""
    media_types = [each.partition(";")[0].strip().lower() for each in accept.split(",")]
    return OPENMETRICS if "application/openmetrics-text" in media_types else PLAIN
