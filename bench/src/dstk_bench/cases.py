"""What is measured: each case turns a system into the calls of its callers, or passes where the system cannot do it."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import cycle
from typing import Any

from dstk_bench.loadgen import Call
from dstk_bench.systems.base import System
from dstk_bench.workload import CHUNK_RECORDS, Workload

BULK_CALLERS = 4
CHUNKS_PER_ROUND = 200
CALLERS = (1, 64, 256)

Prepare = Callable[[System, Workload, int], list[Call] | None]
"""The calls of `callers` callers, made again for every round; None if the system lacks the operation."""


@dataclass(frozen=True, slots=True)
class Case:
    """A name, what one unit of its rate is, how many callers, and how a round is prepared."""

    name: str
    title: str
    unit: str
    callers: int
    prepare: Prepare


def _reads(operation: Callable[[System], Callable[[Any], Awaitable[object]] | None]) -> Prepare:
    def prepare(system: System, workload: Workload, callers: int) -> list[Call] | None:
        get = operation(system)
        if get is None or (system.in_process and callers > 1):
            return None
        keys = cycle([system.as_key(key) for key in workload.random_reads()])

        async def call() -> int:
            await get(next(keys))
            return 1

        return [call] * callers

    return prepare


def _writes(operation: Callable[[System], Callable[[Any, bytes], Awaitable[object]] | None]) -> Prepare:
    def prepare(system: System, workload: Workload, callers: int) -> list[Call] | None:
        put = operation(system)
        if put is None or (system.in_process and callers > 1):
            return None
        records = cycle([(system.as_key(key), value) for key, value in workload.random_writes()])

        async def call() -> int:
            await put(*next(records))
            return 1

        return [call] * callers

    return prepare


def _bulk(system: System, workload: Workload, callers: int) -> list[Call] | None:
    bulk = system.bulk
    if bulk is None:
        return None
    chunks: Iterator[object] = iter([system.as_chunk(chunk) for chunk in workload.fresh_chunks(CHUNKS_PER_ROUND)])

    async def call() -> int:
        chunk = next(chunks, None)
        if chunk is None:
            return 0
        await bulk(chunk)
        return CHUNK_RECORDS

    return [call] * callers


def _scan(system: System, _workload: Workload, callers: int) -> list[Call] | None:
    return None if system.scan is None else [system.scan] * callers


def _routing(system: System, _workload: Workload, callers: int) -> list[Call] | None:
    return None if system.route is None else [system.route] * callers


def all_cases() -> tuple[Case, ...]:
    """Every case, in the order of the tables."""
    return (
        *(Case(f"get-{n}", f"get, {_callers(n)}", "get", n, _reads(lambda system: system.get)) for n in CALLERS),
        *(Case(f"put-{n}", f"put, {_callers(n)}", "put", n, _writes(lambda system: system.put)) for n in CALLERS),
        Case("unary-get", "unary get, 1 caller", "get", 1, _reads(lambda system: system.unary_get)),
        Case("unary-put", "unary put, 1 caller", "put", 1, _writes(lambda system: system.unary_put)),
        Case("bulk", f"bulk insert, sorted, {CHUNK_RECORDS} a call", "record", BULK_CALLERS, _bulk),
        Case("scan", "full scan", "record", 1, _scan),
        Case("routing", "routing lookup, 100,000 partitions", "lookup", 1, _routing),
    )


def _callers(number: int) -> str:
    return f"{number} caller{'s' if number > 1 else ''}"


def chosen(case: str, system: str, patterns: Sequence[str]) -> bool:
    """Whether `--only` keeps this pair: a pattern matches a case ("get-*"), or a case and a system ("scan/redis")."""
    return not patterns or any(fnmatchcase(case, each) or fnmatchcase(f"{case}/{system}", each) for each in patterns)
