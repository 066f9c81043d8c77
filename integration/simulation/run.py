"""Runs schedules: `python -m simulation.run --seeds 500`, or one again with `--seed 17`; or looks for the first one that shows
a deliberate mistake: `--mutation all`, or the name of one (mutations.py).
"""

import argparse
import asyncio
import gc
import logging
import signal
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from types import ModuleType
from unittest.mock import patch

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from typing_extensions import override

from dstk_cluster.model import MapInvalid
from dstk_storage.domain import range_export
from dstk_storage.domain.replication import digests
from dstk_storage.domain.replication.runtime import comparison, snapshot_sender
from simulation import loop
from simulation.cluster import CALLERS, Run, SimCluster
from simulation.fault_catalogue import FAULTS
from simulation.invariant_checker import InvariantChecker
from simulation.mutations import MUTATIONS, mutated
from simulation.nemesis import Nemesis
from simulation.node import SPEAKER
from simulation.operator import Operator

TORMENT_SECONDS = 8.0
PAGE_RECORDS, STRETCH_RECORDS = 2, 2
CALM_OPERATIONS = 1000
"""Used in every other schedule, so that snapshots read ahead during writes."""

COMPARE_SECONDS = 1.0
COMPARING = (5, 6, 7)
"""Of eight schedules, those in which replicas are compared in the background all the time: it must find nothing to differ."""

AT_REST = 7
"""Of those, the ones in which whatever differs for a moment is looked at while the partition rests."""

PAUSED = 3
"""Of four schedules, that in which the controller takes no action."""

EVERY_MUTATION = "all"

MOST_INVALID = 0.01
"""The share of schedules that may do too little to prove anything; above it the whole run counts as failed."""


def simulate(seed: int) -> Run:
    """One schedule from beginning to end."""
    gc.collect()  # a task that failed in an earlier run is told of when it is collected: not in this one
    with _small_portions(seed):
        return loop.run(_simulate(seed))


@contextmanager
def _small_portions(seed: int) -> Iterator[None]:
    """Snapshots take several pages, with writes in between, and comparisons several stretches, until it is left."""
    portions: list[tuple[ModuleType, str, int]] = [
        (digests, "STRETCH_RECORDS", STRETCH_RECORDS),
        (comparison, "TRIES", 1 if seed % 8 == AT_REST else comparison.TRIES),
        (range_export, "PAGE_RECORDS", PAGE_RECORDS),
        (snapshot_sender, "CALM_OPERATIONS", CALM_OPERATIONS if seed % 2 else 0),
    ]
    with ExitStack() as patches:
        for module, name, value in portions:
            patches.enter_context(patch.object(module, name, value))
        yield


async def _simulate(seed: int) -> Run:
    cluster = SimCluster(
        seed, compare_seconds=COMPARE_SECONDS if seed % 8 in COMPARING else 0.0, paused=seed % 4 == PAUSED
    )
    watching = Defects(cluster.run)
    logging.getLogger().addHandler(watching)
    try:
        return await _torment(cluster)
    except MapInvalid as broken:
        cluster.run.divergences.append(f"the map is broken: {broken}")
        return cluster.run
    except AssertionError as broken:  # of the code itself
        cluster.run.divergences.append(f"an assertion failed: {broken}")
        return cluster.run
    finally:
        logging.getLogger().removeHandler(watching)


async def _torment(cluster: SimCluster) -> Run:
    nemesis = Nemesis(cluster, FAULTS)
    await cluster.start()
    await cluster.settle()
    begun = asyncio.get_running_loop().time()
    until = begun + TORMENT_SECONDS
    watch = asyncio.create_task(InvariantChecker(cluster).watch())
    callers = [asyncio.create_task(cluster.caller(f"c{number}", until + 3)) for number in range(CALLERS)]
    operator = Operator(cluster)
    callers.append(asyncio.create_task(cluster.expiring_writer(until)))
    await asyncio.gather(nemesis.torment(until), operator.work(until))
    nemesis.mend()
    await cluster.pause()
    for caller in callers:
        await caller
    await cluster.settle()
    await asyncio.sleep(2)
    watch.cancel()
    await cluster.expired()
    await cluster.compare()
    cluster.false_alarms()
    run = cluster.judge()
    for node in cluster.nodes.values():
        node.crash()
    return run


class Defects(logging.Handler):
    """Records log lines with a traceback: the cluster may not fail in an unexpected way."""

    def __init__(self, run: Run) -> None:
        super().__init__(logging.ERROR)
        self._run = run

    @override
    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            trace = "".join(traceback.format_exception(record.exc_info[1])[-3:])
            self._run.divergences.append(f"{record.getMessage()}: {trace}")


class Lines(logging.Formatter):
    """When, who, what, and everything that the line carries."""

    KNOWN = frozenset([*logging.makeLogRecord({}).__dict__, "message"])

    @override
    def format(self, record: logging.LogRecord) -> str:
        extra = {name: value for name, value in record.__dict__.items() if name not in self.KNOWN}
        now = asyncio.get_running_loop().time()
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        return f"{now:.3f} {SPEAKER.get()} {record.getMessage()} {extra or ''} {trace}".rstrip()


def report(run: Run) -> str:
    """What went wrong, and how to see it again."""
    lines = [f"seed {run.seed}: {len(run.history)} operations, {run.answered} answered", *run.faults]
    lines += [str(violation) for violation in run.violations[:3]] + run.divergences[:3]
    if run.is_invalid:
        lines.append("too few to show anything")
    return "\n".join([*lines, f"again: make simulate SEED={run.seed}"])


def main() -> None:
    """Exits with 1 when a schedule shows a fault, or none shows a mistake."""
    arguments = _arguments()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    if arguments.seed is not None:
        failed = _show(arguments.seed, arguments.mutation)
    elif arguments.mutation == EVERY_MUTATION:
        found = [_search(seeds, name) for name in MUTATIONS]
        failed = not all(found)
    elif arguments.mutation is not None:
        failed = not _search(seeds, arguments.mutation)
    else:
        failed = _survey(seeds)
    sys.exit(failed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, help="run this schedule alone, with its log")
    parser.add_argument("--seeds", type=int, default=1000, help="how many schedules to run (default 1000)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--mutation", choices=[EVERY_MUTATION, *MUTATIONS], help="make this mistake, and look for it")
    return parser.parse_args()


def _show(seed: int, mutation: str | None) -> bool:
    """One schedule with its log; whether it shows a fault."""
    handler = logging.StreamHandler()
    handler.setFormatter(Lines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    with _mistake(mutation):
        run = simulate(seed)
    print(report(run))
    return run.failed


def _survey(seeds: Sequence[int]) -> bool:
    """Whether any of these schedules shows a fault."""
    failed, invalid, answered = 0, list[int](), 0
    with _pool() as pool:
        for run in _shown(pool.map(_quiet, seeds, chunksize=4), len(seeds), "schedules"):
            answered += run.answered
            if run.is_invalid:
                invalid.append(run.seed)
            if run.failed:
                failed += 1
                print(report(run), flush=True)
    print(f"{len(seeds)} schedules, {answered:,} operations answered, {failed} with a violation")
    if invalid:
        print(f"{len(invalid)} did too little to show anything, of which 1 in 100 may: {', '.join(map(str, invalid))}")
    return failed > 0 or len(invalid) > max(1, MOST_INVALID * len(seeds))


def _search(seeds: Sequence[int], mutation: str) -> bool:
    """Looks for the first schedule that shows a mistake; whether there is one."""
    with _pool() as pool:
        for run in _shown(pool.map(partial(_quiet, mutation=mutation), seeds), len(seeds), mutation):
            if shows_a_mistake(run):
                print(f"{mutation}: {run.seed}", flush=True)
                return True
    print(f"{mutation}: not found", flush=True)
    return False


@contextmanager
def _pool() -> Iterator[ProcessPoolExecutor]:
    """A process for each core. What has not begun when this is left never does; Ctrl-C is this process's to handle."""
    pool = ProcessPoolExecutor(initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _shown(runs: Iterable[Run], count: int, what: str) -> Iterator[Run]:
    """The runs, with a progress bar on a terminal, and a line for each tenth in a log."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        for number, run in enumerate(progress.track(runs, count, description=what), 1):
            yield run
            if not console.is_terminal and not number % max(1, count // 10):
                console.print(f"{what}: {number:,} of {count:,}")


def shows_a_mistake(run: Run) -> bool:
    """Whether the run shows something, and did not only do too little to show anything."""
    return run.failed and not run.is_invalid


def _quiet(seed: int, mutation: str | None = None) -> Run:
    logging.getLogger().setLevel(logging.ERROR)
    logging.lastResort = None
    with _mistake(mutation):
        return simulate(seed)


def _mistake(mutation: str | None) -> AbstractContextManager[None]:
    return nullcontext() if mutation is None else mutated(mutation)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
