"""The order in which parts of a service start, serve, drain and close, whatever goes wrong."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from dstk_service.service import Background, Closing, Listener, Part, Service
from dstk_service.testing import eventually
from dstk_service.transport.grpc_server import GrpcServer

Act = Callable[[], Awaitable[None]]


class FakePart(Part):
    """Notes each step in the test's log. `acts`: what a step does beyond that, by its name."""

    def __init__(self, name: str, steps: list[str], loop: Act | None = None, **acts: Act) -> None:
        self.name, self._steps, self._loop, self._acts = name, steps, loop, acts
        self.drain_seconds = self.close_seconds = 60.0

    async def start(self, background: Background) -> None:
        if self._loop is not None:
            background(self._run(self._loop))
        await self._step("start")

    async def ready(self) -> None:
        await self._step("ready")

    async def drain(self) -> None:
        await self._step("drain")

    async def close(self) -> None:
        await self._step("close")

    async def _step(self, name: str) -> None:
        self._steps.append(f"{name} {self.name}")
        if name in self._acts:
            await self._acts[name]()

    async def _run(self, loop: Act) -> None:
        try:
            await loop()
        finally:
            self._steps.append(f"ended {self.name}")


async def hangs() -> None:
    await asyncio.Event().wait()


async def fails() -> None:
    raise ZeroDivisionError("a defect")


async def fails_on_time() -> None:
    raise TimeoutError("of its own")


async def run_until_stopped(parts: Sequence[Part], steps: list[str], at: str) -> None:
    """Runs the service, and stops it once it has come to the step `at`."""
    stop = asyncio.Event()
    running = asyncio.create_task(Service(parts).run(stop))
    await eventually(lambda: at in steps or running.done())
    stop.set()
    async with asyncio.timeout(60):
        await running


async def test_parts_start_in_order_and_drain_and_close_in_reverse() -> None:
    steps: list[str] = []
    parts = [FakePart("lock", steps), FakePart("engine", steps), FakePart("server", steps)]
    await run_until_stopped(parts, steps, "ready server")
    assert steps == [
        *("start lock", "start engine", "start server"),
        *("ready lock", "ready engine", "ready server"),
        *("drain server", "drain engine", "drain lock"),
        *("close server", "close engine", "close lock"),
    ]


async def test_loops_run_until_everything_has_drained_and_end_before_anything_closes() -> None:
    steps: list[str] = []
    await run_until_stopped([FakePart("a", steps, loop=hangs), FakePart("b", steps)], steps, "ready b")
    assert steps[-5:] == ["drain b", "drain a", "ended a", "close b", "close a"]


async def test_a_loop_that_returns_ends_nothing() -> None:
    steps: list[str] = []

    async def returns() -> None: ...

    await run_until_stopped([FakePart("a", steps, loop=returns), FakePart("b", steps, loop=hangs)], steps, "ready b")
    assert "drain a" in steps


async def test_a_loop_can_be_cancelled_by_its_part_alone() -> None:
    steps: list[str] = []

    class Controller(FakePart):
        async def start(self, background: Background) -> None:
            self.task = background(self._run(hangs))

        async def drain(self) -> None:
            self.task.cancel()
            await asyncio.wait([self.task])
            await super().drain()

    await run_until_stopped([FakePart("a", steps), Controller("c", steps)], steps, "ready c")
    assert steps[-5:] == ["ended c", "drain c", "drain a", "close c", "close a"]


async def test_a_loop_that_fails_ends_the_service_with_its_exception_and_drains_nothing() -> None:
    steps: list[str] = []
    parts = [FakePart("a", steps, loop=hangs), FakePart("b", steps, loop=fails)]
    async with asyncio.timeout(60):
        with pytest.raises(ZeroDivisionError):
            await Service(parts).run(asyncio.Event())
    assert steps[-2:] == ["close b", "close a"]
    assert {"ended a", "ended b"} <= {*steps}
    assert not any(step.startswith("drain") for step in steps)


@pytest.mark.parametrize("step", ["start", "ready"])
async def test_a_part_that_cannot_start_ends_the_service_and_what_was_started_is_closed(step: str) -> None:
    steps: list[str] = []
    parts = [FakePart("a", steps), FakePart("b", steps, **{step: fails}), FakePart("c", steps)]
    with pytest.raises(ZeroDivisionError):
        await Service(parts).run(asyncio.Event())
    reached = ["a", "b"] if step == "start" else ["a", "b", "c"]
    assert steps[-len(reached) :] == [f"close {name}" for name in reversed(reached)]
    assert "start c" not in steps or step == "ready"
    assert not any(step.startswith("drain") for step in steps)


async def test_a_stop_during_the_start_drains_and_closes_what_has_begun_to_start() -> None:
    steps: list[str] = []
    parts = [FakePart("a", steps), FakePart("b", steps, start=hangs), FakePart("c", steps)]
    await run_until_stopped(parts, steps, "start b")
    assert steps == ["start a", "start b", "drain b", "drain a", "close b", "close a"]


async def test_a_stop_before_the_start_starts_nothing() -> None:
    steps: list[str] = []
    stop = asyncio.Event()
    stop.set()
    await Service([FakePart("a", steps)]).run(stop)
    assert steps == []


@pytest.mark.parametrize("step", ["drain", "close"])
async def test_a_part_that_hangs_is_cut_off_and_the_next_one_follows(
    step: str, caplog: pytest.LogCaptureFixture
) -> None:
    steps: list[str] = []
    hanging = FakePart("b", steps, **{step: hangs})
    setattr(hanging, f"{step}_seconds", 0.02)
    await run_until_stopped([FakePart("a", steps), hanging], steps, "ready b")
    assert steps[-4:] == ["drain b", "drain a", "close b", "close a"]
    cut_off = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [vars(record)["part"] for record in cut_off] == ["b"]


@pytest.mark.parametrize("step", ["drain", "close"])
@pytest.mark.parametrize(("act", "error"), [(fails, ZeroDivisionError), (fails_on_time, TimeoutError)])
async def test_a_part_that_fails_to_stop_keeps_no_other_from_it_and_its_failure_is_raised(
    step: str, act: Act, error: type[Exception]
) -> None:
    steps: list[str] = []
    with pytest.raises(error):
        await run_until_stopped([FakePart("a", steps), FakePart("b", steps, **{step: act})], steps, "ready b")
    assert steps[-4:] == ["drain b", "drain a", "close b", "close a"]


async def test_a_loop_that_fails_while_the_service_drains_ends_the_draining() -> None:
    steps: list[str] = []
    draining = asyncio.Event()

    async def fails_late() -> None:
        await draining.wait()
        raise ZeroDivisionError("a defect")

    async def drains() -> None:
        draining.set()
        await hangs()

    parts = [FakePart("a", steps, loop=fails_late), FakePart("b", steps, drain=drains)]
    with pytest.raises(ZeroDivisionError):
        await run_until_stopped(parts, steps, "ready b")
    assert steps[-2:] == ["close b", "close a"]


async def test_a_service_that_is_cancelled_closes_its_parts() -> None:
    steps: list[str] = []
    running = asyncio.create_task(Service([FakePart("a", steps, loop=hangs)]).run(asyncio.Event()))
    await eventually(lambda: steps == ["start a", "ready a"])
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert steps[-2:] == ["ended a", "close a"]


async def test_what_was_opened_before_is_closed_in_its_turn() -> None:
    steps: list[str] = []

    async def close() -> None:
        steps.append("close etcd")

    await run_until_stopped([Closing("etcd", close), FakePart("a", steps)], steps, "ready a")
    assert steps[-2:] == ["close a", "close etcd"]


async def health(server: GrpcServer, said: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    set_serving = server.set_serving

    async def note(*, serving: bool) -> None:
        said.append(serving)
        await set_serving(serving=serving)

    monkeypatch.setattr(server, "set_serving", note)


async def test_a_listener_serves_once_every_part_has_started(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    said: list[bool] = []
    server = GrpcServer("127.0.0.1:0")
    await health(server, said, monkeypatch)
    listener = Listener(server, grace=0)
    seen: list[Any] = []

    async def look() -> None:
        seen.append((listener.address, [*said]))

    await run_until_stopped([listener, FakePart("a", steps, start=look)], steps, "ready a")
    ((address, before),) = seen
    assert address.startswith("127.0.0.1:")
    assert before == [False]
    assert said[1:2] == [True]


async def test_a_listener_that_finds_its_port_taken_says_so() -> None:
    first = GrpcServer("127.0.0.1:0")
    address = await first.start()
    taken = GrpcServer(address)
    try:
        with pytest.raises(OSError, match="Is the port taken"):
            await Service([Listener(taken, grace=0)]).run(asyncio.Event())
    finally:
        await first.stop(0)
