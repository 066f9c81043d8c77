"""One run: starts the installed systems, loads them, measures each case in short interleaved rounds, and stops them.

Within a case the systems take turns, and each round begins with another system, so that a slow phase of the machine affects all
of them. A first, shorter round warms up; its figures are discarded.
"""

import asyncio
import gc
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from dstk_bench import machine
from dstk_bench.cases import Case, all_cases, chosen
from dstk_bench.loadgen import Latencies, Sample, closed_loop, summarize
from dstk_bench.model import FORMAT, Figure, Gap, Report, Settings
from dstk_bench.systems.base import Place, Provider, System, UnavailableError
from dstk_bench.workload import Workload

_WARM_UP = 0.4
_STUCK_SECONDS = 20.0

Show = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class RunPlan:
    """A run: its systems, the `--only` patterns, the settings, and the directory for temporary files."""

    providers: Sequence[Provider]
    patterns: Sequence[str]
    settings: Settings
    directory: Path | None


async def run(plan: RunPlan, show: Show) -> Report:
    """Runs the plan and calls `show` with each next step. No process or file remains when it returns or raises."""
    with tempfile.TemporaryDirectory(prefix="dstk-bench-", dir=plan.directory, ignore_cleanup_errors=True) as name:
        place = Place(Path(name), Workload(plan.settings.records, plan.settings.value_bytes))
        started = datetime.now(UTC).isoformat(timespec="seconds")
        described = machine.describe(place.directory)
        async with AsyncExitStack() as stack:
            bench = _Bench(plan, place.workload, show)
            await bench.start(stack, place)
            await bench.measure()
        about = {each.name: each.about for each in bench.systems}
        return Report(FORMAT, started, described, plan.settings, about, tuple(bench.figures), tuple(bench.gaps))


@dataclass(slots=True)
class _Bench:
    plan: RunPlan
    workload: Workload
    show: Show
    systems: list[System] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    async def start(self, stack: AsyncExitStack, place: Place) -> None:
        """Starts and loads every system that a chosen case needs; records a gap for each that is not installed."""
        for provider in self.plan.providers:
            if not any(self._chosen(case, name) for case in all_cases() for name in provider.names):
                continue
            self.show(f"starting {', '.join(provider.names)}")
            try:
                started = await stack.enter_async_context(provider.start(place))
                await self._load(started)
            except UnavailableError as error:
                self.gaps.extend(Gap(name, f"skipped: {error}") for name in provider.names)
            except Exception as error:  # noqa: BLE001 - one system that fails to start must not cost the others' figures
                self.gaps.extend(Gap(name, f"failed: {_first(error)}") for name in provider.names)
            else:
                self.systems.extend(started)

    async def _load(self, systems: Sequence[System]) -> None:
        for system in systems:
            if system.load is not None:
                self.show(f"loading {system.name}")
                await system.load(self.workload.stored())
            await self._check(system)

    async def _check(self, system: System) -> None:
        """Raises if the system does not have the loaded records: it would be fast without them."""
        key = self.workload.read_keys[-1]
        if system.get is not None and not await system.get(system.as_key(key)):
            raise RuntimeError(f"{system.name} does not have {key!r}, which was loaded")
        if system.scan is not None and (count := await system.scan()) != len(self.workload.read_keys):
            raise RuntimeError(f"{system.name} scans {count} records of {len(self.workload.read_keys)}")

    async def measure(self) -> None:
        """Measures every chosen case on every system that has its operation."""
        gc.collect()
        gc.freeze()
        try:
            for case in all_cases():
                systems = [system for system in self.systems if self._chosen(case, system.name)]
                self.figures.extend(await self._interleave(case, systems))
        finally:
            gc.unfreeze()

    def _chosen(self, case: Case, system: str) -> bool:
        return chosen(case.name, system, self.plan.patterns)

    async def _interleave(self, case: Case, systems: Sequence[System]) -> list[Figure]:
        settings = self.plan.settings
        able = [each for each in systems if case.prepare(each, self.workload, case.callers) is not None]
        samples: dict[str, list[Sample]] = {system.name: [] for system in able}
        for number in range(settings.rounds + 1):
            seconds = settings.round_seconds * (1 if number else _WARM_UP)
            first = number % max(len(able), 1)
            for system in able[first:] + able[:first]:
                if system.name not in samples:
                    continue
                self.show(
                    f"{case.title}: {system.name}, " + (f"round {number} of {settings.rounds}" if number else "warm-up")
                )
                await self._round(case, system, seconds, samples)
            if not number:
                samples = {name: [] for name in samples}
        return [_figure(case, system.name, samples[system.name]) for system in able if system.name in samples]

    async def _round(self, case: Case, system: System, seconds: float, samples: dict[str, list[Sample]]) -> None:
        calls = case.prepare(system, self.workload, case.callers) or []
        gc.collect()
        try:
            async with asyncio.timeout(seconds + _STUCK_SECONDS):
                samples[system.name].append(await closed_loop(calls, seconds))
        except (ExceptionGroup, TimeoutError) as error:
            del samples[system.name]
            self.gaps.append(Gap(f"{case.name}/{system.name}", _first(error)))


def _figure(case: Case, system: str, samples: Sequence[Sample]) -> Figure:
    latencies = Latencies()
    for sample in samples:
        latencies.record(sample.latencies_ns)
    rounds = tuple(summarize(each) for each in samples)
    return Figure(
        case.name, system, case.callers, case.unit, latencies.percentile_us(50), latencies.percentile_us(99), rounds
    )


def _first(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
