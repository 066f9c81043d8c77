"""What every process shows of its event loop, its garbage collector, its build, and its telemetry itself."""

import asyncio
import gc
import time
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from typing_extensions import override

from dstk_service.observe import Observers
from dstk_service.readiness import Readiness
from dstk_service.service import Background, Part
from dstk_telemetry.metrics.instruments import Instruments, Sample
from dstk_telemetry.registry import runtime

SAMPLE_SECONDS = 0.5

Drops = Mapping[str, Callable[[], int]]
"""For each sink of `runtime.SINK`, how much was dropped since the process started."""


class RuntimeMetrics(Part):
    """Measures for as long as the service runs. `node`: the storage node's id, or another name of the process."""

    name = "runtime metrics"

    def __init__(
        self,
        instruments: Instruments,
        version: str,
        node: str,
        observers: Observers,
        readiness: Readiness,
        drops: Drops,
    ) -> None:
        assert drops.keys() == {*runtime.SINK.values}
        instruments.gauge(runtime.BUILD, version, node).set(1)
        instruments.gauge(runtime.STARTED).set(time.time())
        self._lag = instruments.histogram(runtime.LOOP_LAG)
        self._instruments, self._observers = instruments, observers
        self._readiness, self._drops = readiness, drops
        self._collecting = self._paused = 0.0
        """Seconds."""
        instruments.read(self._read)
        instruments.also(ProcessCollector(registry=None))
        instruments.also(GCCollector(registry=CollectorRegistry()))

    @override
    async def start(self, background: Background) -> None:
        gc.callbacks.append(self._collected)
        background(self._run())

    @override
    async def close(self) -> None:
        if self._collected in gc.callbacks:
            gc.callbacks.remove(self._collected)

    async def _run(self) -> None:
        """Measures how late timers come."""
        now = asyncio.get_running_loop().time
        while True:
            due = now() + SAMPLE_SECONDS
            await asyncio.sleep(SAMPLE_SECONDS)
            self._lag.observe(max(0.0, now() - due))

    def _collected(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._collecting = time.perf_counter()
        else:
            self._paused += time.perf_counter() - self._collecting

    def _read(self) -> Iterator[Sample]:
        yield runtime.GC_SECONDS, (), self._paused
        yield runtime.LOOP_TASKS, (), float(len(asyncio.all_tasks()))
        yield runtime.OBSERVER_FAILURES, (), float(self._observers.failures + self._instruments.failures)
        for sink, dropped in self._drops.items():
            yield runtime.DROPPED, (sink,), float(dropped())
        for part, obstacle in self._readiness().items():
            yield runtime.READY_PARTS, (part,), float(not obstacle)
