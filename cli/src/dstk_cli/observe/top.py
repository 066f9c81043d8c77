"""`dstk top`: what the cluster does now."""

import asyncio
import signal
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace
from typing import Annotated

import typer
from rich.live import Live

from dstk_cli import console
from dstk_cli.help import examples
from dstk_cli.observe.quantities import Load
from dstk_cli.observe.service import reach
from dstk_cli.observe.snapshot import Snapshot, snapshots
from dstk_cli.observe.top_view import TopScreen, line
from dstk_cli.options import DEFAULT_TIMEOUT, number
from dstk_cli.session import Session, connected
from dstk_cli.untrusted import as_markup
from dstk_client.metrics import MetricsClient
from dstk_service.errors import DeadlineExceeded, NotServing, Overloaded

MAX_INTERVAL = 60
MAX_ROWS = 100
RETRY_SECONDS = 1.0

TOP_EXAMPLES = examples("""
  dstk top                        until Ctrl-C
  dstk top --by writes --interval 1
  dstk top --once                 prints the figures of this moment
  dstk top | tee load.txt         a line every 2 seconds
  dstk top --output json          one object a line, for programs
""")

By = Annotated[
    Load, typer.Option("--by", help="Busiest partitions and nodes first, by this load.", case_sensitive=False)
]
Interval = Annotated[
    float, typer.Option("--interval", min=1, max=MAX_INTERVAL, callback=number, help="Seconds between updates.")
]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=MAX_ROWS, help="Maximum number of partitions.")]
Once = Annotated[bool, typer.Option("--once", help="Print the figures of this moment and exit.")]


@connected(DEFAULT_TIMEOUT)
async def top(
    session: Session, by: By = Load.TIME, interval: Interval = 2, limit: Limit = 20, once: Once = False
) -> None:
    """Shows what the cluster does now: rates, latencies, the busiest nodes and partitions. Live until Ctrl-C.

    Without a terminal, prints a line for each update; with JSON one object a line.
    """
    async with reach(session.target()) as metrics:
        if once:
            await _once(session, metrics, by, limit)
        elif session.is_json or not console.out().is_terminal or console.out().is_dumb_terminal:
            await _lines(session, lasting(metrics, by, interval, _note), limit)
        else:
            await _live(metrics, by, interval, limit)


async def _once(session: Session, metrics: MetricsClient, by: Load, limit: int) -> None:
    async with aclosing(snapshots(metrics, by, 1)) as stream:
        snapshot = await anext(stream)
    session.show(snapshot.as_json(limit), TopScreen(snapshot, limit, live=False))


async def _lines(session: Session, stream: AsyncGenerator[Snapshot, None], limit: int) -> None:
    async with aclosing(stream):
        async for snapshot in stream:
            session.show(snapshot.as_json(limit), line(snapshot))
            console.out().file.flush()


async def _live(metrics: MetricsClient, by: Load, interval: float, limit: int) -> None:
    """Shows a screen of its own, which the terminal replaces by what it showed before when the command ends."""
    with Live(console=console.out(), screen=True, auto_refresh=False) as live, _follows_size(live):
        shown: TopScreen | None = None

        def interrupted(why: str) -> None:
            if shown is not None:
                live.update(replace(shown, trouble=f"the figures are old: {why}"), refresh=True)

        async with aclosing(lasting(metrics, by, interval, interrupted)) as stream:
            async for snapshot in stream:
                shown = TopScreen(snapshot, limit)
                live.update(shown, refresh=True)


@contextmanager
def _follows_size(live: Live) -> Iterator[None]:
    """Draws the screen again when the size of the terminal changes."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGWINCH, live.refresh)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGWINCH)


async def lasting(
    metrics: MetricsClient, by: Load, interval: float, interrupted: Callable[[str], None]
) -> AsyncGenerator[Snapshot, None]:
    """Yields snapshots. Once there was one, an interruption is told, and the stream begins again as soon as it can. Raises
    DstkError when there never was one.
    """
    begun = False
    while True:
        try:
            async with aclosing(snapshots(metrics, by, interval)) as stream:
                async for snapshot in stream:
                    begun = True
                    yield snapshot
        except (NotServing, DeadlineExceeded, Overloaded) as error:
            if not begun:
                raise
            interrupted(str(error))
        await asyncio.sleep(RETRY_SECONDS)


def _note(why: str) -> None:
    console.note(f"[yellow]{as_markup(why)}[/]")
