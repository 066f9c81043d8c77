"""The cases of the benchmark. Each makes the calls of its callers for a system, or none if the system lacks the operation."""

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
"""Makes one call per caller, for one round; returns None if the system lacks the operation."""


@dataclass(frozen=True, slots=True)
class Case:
    """A case: its name and title, the unit of its rate, the number of callers, and the preparation of a round."""

    name: str
    title: str
    unit: str
    callers: int
    prepare: Prepare


def _single(
    operation: Callable[[System], Callable[..., Awaitable[object]] | None],
    arguments: Callable[[System, Workload], list[tuple[Any, ...]]],
) -> Prepare:
    """Calls of an operation that handles one record, with the arguments in turn."""

    def prepare(system: System, workload: Workload, callers: int) -> list[Call] | None:
        run = operation(system)
        if run is None or (system.in_process and callers > 1):
            return None
        turns = cycle(arguments(system, workload))

        async def call() -> int:
            await run(*next(turns))
            return 1

        return [call] * callers

    return prepare


def _reads(operation: Callable[[System], Callable[[Any], Awaitable[object]] | None]) -> Prepare:
    return _single(operation, lambda system, workload: [(system.as_key(key),) for key in workload.random_reads()])


def _writes(operation: Callable[[System], Callable[[Any, bytes], Awaitable[object]] | None]) -> Prepare:
    return _single(
        operation, lambda system, workload: [(system.as_key(key), value) for key, value in workload.random_writes()]
    )


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
