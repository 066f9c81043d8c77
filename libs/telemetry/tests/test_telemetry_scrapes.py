"""Callers who scrape at the same time."""

import asyncio

import pytest
from typing_extensions import override

from dstk_service.testing import eventually
from dstk_telemetry.metrics.instruments import Instruments
from dstk_telemetry.metrics.scrapes import OPENMETRICS, PLAIN, Scrapes, format_of
from dstk_telemetry.registry.kinds import Owner


class Gated(Instruments):
    """Numbers its expositions, and makes each when it is told to."""

    def __init__(self) -> None:
        super().__init__(Owner.ROUTER)
        self.begun, self.gate, self.broken = 0, asyncio.Semaphore(0), False

    @override
    async def exposition(self, accept: str = "") -> tuple[bytes, str]:
        self.begun += 1
        number = self.begun
        await self.gate.acquire()
        if self.broken:
            raise ValueError(number)
        return b"%d" % number, accept


async def test_who_comes_during_a_scrape_shares_the_next_one() -> None:
    instruments = Gated()
    scrapes = Scrapes(instruments)
    first = asyncio.create_task(scrapes.exposition(""))
    await eventually(lambda: instruments.begun == 1)
    later = [asyncio.create_task(scrapes.exposition("")) for _ in range(100)]
    other = asyncio.create_task(scrapes.exposition(OPENMETRICS))
    for _ in range(3):
        instruments.gate.release()
    assert await first == (b"1", PLAIN)
    assert set(await asyncio.gather(*later)) == {(b"2", PLAIN)}
    assert await other == (b"3", OPENMETRICS)


async def test_a_caller_that_leaves_takes_nothing_from_others() -> None:
    instruments = Gated()
    scrapes = Scrapes(instruments)
    leaving, staying = (asyncio.create_task(scrapes.exposition("")) for _ in range(2))
    await eventually(lambda: instruments.begun == 1)
    leaving.cancel()
    instruments.gate.release()
    assert await staying == (b"1", PLAIN)


async def test_a_scrape_that_fails_is_followed_by_others() -> None:
    instruments = Gated()
    scrapes = Scrapes(instruments)
    instruments.broken = True
    instruments.gate.release()
    with pytest.raises(ValueError, match="1"):
        await scrapes.exposition("")
    instruments.broken = False
    instruments.gate.release()
    assert await scrapes.exposition("") == (b"2", PLAIN)


PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
"""What Prometheus 3 sends."""


@pytest.mark.parametrize(
    ("accept", "asked"),
    [
        ("", PLAIN),
        ("*/*", PLAIN),
        ("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", PLAIN),
        ("text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4", PLAIN),
        ("application/openmetrics-text", OPENMETRICS),
        ("text/plain;q=0.5 , Application/OpenMetrics-Text;version=0.0.1", OPENMETRICS),
        ("application/openmetrics-text;version=1.0.x;escaping=\xff", OPENMETRICS),
        ("application/openmetrics-texture", PLAIN),
        (PROMETHEUS, OPENMETRICS),
    ],
)
async def test_a_caller_gets_one_of_two_formats(accept: str, asked: str) -> None:
    assert format_of(accept) == asked
    text, content_type = await Scrapes(Instruments(Owner.ROUTER)).exposition(accept)
    assert content_type.startswith(asked)
    assert text.endswith(b"# EOF\n") == (asked == OPENMETRICS)
