"""Steps of the demo that measure: rates of single operations, and the distribution of the data."""

import asyncio
import gc
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import NamedTuple

from rich.bar import Bar
from rich.table import Table

from dstk.v1 import topology_pb2
from dstk_cli.untrusted import as_markup
from dstk_demo.context import Demo, Rate
from dstk_keytypes import Key, KeyRange
from dstk_service import figures

CALLERS = 256
_SECONDS = 2.0
_SEED = 7


async def rates(demo: Demo) -> None:
    """Measures gets and puts of many callers at once, as a service makes them; shows all rates of the demo."""
    demo.step("Rates")
    keys = list(demo.places.records)
    random.Random(_SEED).shuffle(keys)  # noqa: S311 - any order will do

    async def get(key: Key) -> None:
        await demo.client.get(key)

    async def put(key: Key) -> None:
        await demo.client.put(key, demo.model[key])

    with demo.screen.status(f"  {CALLERS} callers, {_SECONDS:g} s each ..."), _no_collections():
        demo.rates.append(await _measure(f"get, {CALLERS} callers", get, keys))
        demo.rates.append(await _measure(f"put, {CALLERS} callers, fsync on", put, keys))
    demo.screen.print(_rates_table(demo.rates))
    demo.claim(all(rate.count for rate in demo.rates), "every one of these operations succeeded")


def _rates_table(rates: Sequence[Rate]) -> Table:
    table = Table(box=None, header_style="bold")
    for title in ("what", "operations", "seconds", "a second"):
        table.add_column(title, justify="left" if title == "what" else "right")
    for rate in rates:
        table.add_row(rate.what, f"{rate.count:,}", f"{rate.seconds:.1f}", f"[bold]{rate.per_second:,.0f}[/]")
    return table


@contextmanager
def _no_collections() -> Iterator[None]:
    """Exempts the demo's model from garbage collection: a search for cycles in its quarter of a million records takes 0.25 to
    0.7 s of the two that are measured, and a service has no such model.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


async def _measure(what: str, operation: Callable[[Key], Awaitable[None]], keys: Sequence[Key]) -> Rate:
    count, began = 0, time.monotonic()
    end = began + _SECONDS

    async def caller(number: int) -> None:
        nonlocal count
        at = number
        while time.monotonic() < end:
            await operation(keys[at % len(keys)])
            at += CALLERS
            count += 1

    async with asyncio.TaskGroup() as group:
        for number in range(CALLERS):
            group.create_task(caller(number))
    return Rate(what, count, time.monotonic() - began)


class _Share(NamedTuple):
    """The records and bytes that a scan found in one partition."""

    partition: topology_pb2.Partition
    records: int
    size: int


def distribution(demo: Demo, partitions: Sequence[topology_pb2.Partition], found: Mapping[Key, bytes]) -> None:
    """Shows what a scan of everything found, by partition and primary."""
    demo.step("Distribution of the data")
    shares = [_share(partition, found) for partition in partitions]
    demo.screen.print(_shares_table(shares))
    nodes = demo.cluster.plan.nodes
    whole = sum(len(partition.in_sync) == nodes for partition in partitions)
    demo.claim(whole == len(partitions), f"each of the {whole} partitions is in sync on {nodes} nodes")


def _shares_table(shares: Sequence[_Share]) -> Table:
    most = max(share.records for share in shares)
    table = Table(box=None, header_style="bold")
    for title in ("led by", "partition", "from", "up to", "records", "", "size"):
        table.add_column(title, justify="right" if title in {"records", "size"} else "left")
    by_node = {node: list(owned) for node, owned in groupby(sorted(shares, key=_node), key=_node)}
    for node, owned in by_node.items():
        for number, share in enumerate(owned):
            table.add_row("" if number else f"[bold]{node}[/]", *_row(share, most))
    return table


def _share(partition: topology_pb2.Partition, found: Mapping[Key, bytes]) -> _Share:
    held = KeyRange(partition.start, partition.end or None)
    sizes = [len(key) + len(value) for key, value in found.items() if held.contains(key)]
    return _Share(partition, len(sizes), sum(sizes))


def _node(share: _Share) -> str:
    return share.partition.primary


def _row(share: _Share, most: int) -> tuple[str, str, str, str, Bar, str]:
    partition = share.partition
    start = Key.unchecked(partition.start).display() if partition.start else "(first)"
    end = Key.unchecked(partition.end).display() if partition.end else "(last)"
    bar = Bar(most, 0, share.records, width=24, color="green")
    return str(partition.id), as_markup(start), as_markup(end), f"{share.records:,}", bar, figures.size(share.size)
