"""The HTTP port for operators."""

import asyncio
import gc
import http.client
import json
import os
import socket
from collections.abc import AsyncIterator, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from dstk_service.observe import Event, Observer, Observers
from dstk_service.testing import eventually
from dstk_telemetry.metrics.instruments import Instruments
from dstk_telemetry.metrics.runtime import Drops, RuntimeMetrics
from dstk_telemetry.operations import OperationsServer
from dstk_telemetry.registry.kinds import Owner

NO_DROPS: Drops = {"traces": lambda: 0, "logs": lambda: 0, "errors": lambda: 0}


class Readiness:
    """What the test says."""

    def __init__(self) -> None:
        self.parts = {"serving": "", "map": ""}

    def __call__(self) -> dict[str, str]:
        return self.parts


@pytest.fixture
def readiness() -> Readiness:
    return Readiness()


@pytest.fixture
async def server(readiness: Readiness) -> AsyncIterator[OperationsServer]:
    instruments = Instruments(Owner.ROUTER)
    RuntimeMetrics(instruments, "1.2.3", "router-1", Observers(), readiness, NO_DROPS)
    made = OperationsServer("127.0.0.1:0", instruments, readiness)
    await made.start(asyncio.create_task)
    yield made
    await made.close()


async def get(server: OperationsServer, path: str, **headers: str) -> tuple[int, str, str]:
    """Status, content type and body."""

    def ask() -> tuple[int, str, str]:
        connection = http.client.HTTPConnection(server.address, timeout=60)
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, answer.headers["content-type"], body

    return await asyncio.to_thread(ask)


async def test_it_is_alive(server: OperationsServer) -> None:
    assert (await get(server, "/healthz"))[::2] == (200, "ok\n")


async def test_it_is_ready_when_every_part_is(server: OperationsServer, readiness: Readiness) -> None:
    assert (await get(server, "/readyz"))[0] == 200
    readiness.parts["map"] = "no map yet"
    status, _, body = await get(server, "/readyz")
    assert status == 503
    assert json.loads(body) == {"ready": False, "parts": {"serving": "ready", "map": "no map yet"}}
    _, _, figures = await get(server, "/metrics")
    assert 'dstk_ready{part="serving"} 1.0' in figures
    assert 'dstk_ready{part="map"} 0.0' in figures


async def test_what_telemetry_drops_is_read_at_a_scrape(readiness: Readiness) -> None:
    instruments, dropped = Instruments(Owner.ROUTER), {"traces": 7, "logs": 0, "errors": 1}
    drops = {sink: partial(dropped.get, sink, 0) for sink in dropped}
    RuntimeMetrics(instruments, "1.2.3", "router-1", Observers(), readiness, drops)
    for _ in range(2):
        body, _ = await instruments.exposition()
        shown = [line for line in body.decode().splitlines() if line.startswith("dstk_telemetry_dropped_total")]
        assert shown == [
            f'dstk_telemetry_dropped_total{{sink="{sink}"}} {count:.1f}' for sink, count in dropped.items()
        ]
        dropped["logs"] += 3


async def test_metrics_are_in_the_format_that_is_accepted(server: OperationsServer) -> None:
    _, kind, body = await get(server, "/metrics")
    assert kind.startswith("text/plain")
    assert 'dstk_build_info{node="router-1",version="1.2.3"} 1.0' in body
    _, kind, body = await get(server, "/metrics", accept="application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text")
    assert body.endswith("# EOF\n")


async def test_other_paths_and_methods_are_refused(server: OperationsServer) -> None:
    assert (await get(server, "/"))[0] == 404
    reader, writer = await asyncio.open_connection(*server.address.split(":"))
    writer.write(b"\0\xff\r\n\r\n")
    assert b"400" in await reader.readline()
    writer.close()


async def test_a_reader_that_never_reads_holds_up_neither_others_nor_the_end(server: OperationsServer) -> None:
    host, port = server.address.split(":")
    with socket.create_connection((host, int(port))) as silent:
        silent.sendall(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n" * 50)
        assert (await get(server, "/healthz"))[0] == 200
        begun = asyncio.get_running_loop().time()
        await server.close()
        assert asyncio.get_running_loop().time() - begun < 2


async def test_a_port_that_is_taken_is_an_error(server: OperationsServer) -> None:
    other = OperationsServer(server.address, Instruments(Owner.ROUTER), Readiness())
    with pytest.raises(OSError, match=r"in use.*--operations-listen"):
        await other.start(asyncio.create_task)
    await other.close()


async def test_an_ipv6_address_is_listened_on(readiness: Readiness) -> None:
    made = OperationsServer("[::1]:0", Instruments(Owner.ROUTER), readiness)
    await made.start(asyncio.create_task)
    assert made.address.startswith("[::1]:")
    assert (await get(made, "/healthz"))[0] == 200
    await made.close()


async def test_on_all_interfaces_of_ipv6_it_is_reached_by_ipv4_too(readiness: Readiness) -> None:
    made = OperationsServer("[::]:0", Instruments(Owner.ROUTER), readiness)
    await made.start(asyncio.create_task)
    for listen in (made.address, made.address.replace("[::]", "[::1]"), made.address.replace("[::]", "127.0.0.1")):
        assert (await check(listen))[0] == 0, listen
    await made.close()


async def test_late_timers_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dstk_telemetry.metrics.runtime.SAMPLE_SECONDS", 0.01)
    instruments = Instruments(Owner.ROUTER)
    part = RuntimeMetrics(instruments, "1", "r", Observers(), Readiness(), NO_DROPS)
    loops: list[asyncio.Task[None]] = []

    def background(loop: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        loops.append(asyncio.create_task(loop))
        return loops[-1]

    await part.start(background)

    async def is_seen() -> bool:
        assert (instruments.collector.get_sample_value("dstk_event_loop_lag_seconds_count") or 0) > 3
        return True

    await eventually(is_seen)
    loops[0].cancel()
    await part.close()


async def test_pauses_of_the_garbage_collector_are_summed_up(server: OperationsServer) -> None:
    part = RuntimeMetrics(made := Instruments(Owner.ROUTER), "1", "r", Observers(), Readiness(), NO_DROPS)
    await part.start(asyncio.create_task)
    gc.collect()
    await part.close()
    text, _ = await made.exposition()
    (line,) = [line for line in text.decode().splitlines() if line.startswith("dstk_gc_pause_seconds_total ")]
    assert float(line.split()[1]) > 0
    assert part not in [getattr(each, "__self__", None) for each in gc.callbacks]


async def test_failures_of_observers_are_counted() -> None:
    class Broken(Observer):
        def observe(self, event: Event) -> None:
            raise ZeroDivisionError

    observers = Observers(Broken())
    RuntimeMetrics(made := Instruments(Owner.ROUTER), "1", "r", observers, Readiness(), NO_DROPS)
    observers.observe(Event())
    assert b"dstk_observer_failures_total 1.0" in (await made.exposition())[0]


READY = Path(__file__).parents[3] / "compose" / "ready"


async def check(listen: str) -> tuple[int, str, str]:
    """The health check of our image: exit code, output, errors."""
    pipe = asyncio.subprocess.PIPE
    environment = {"DSTK_OPERATIONS_LISTEN": listen, "PATH": os.defpath}
    process = await asyncio.create_subprocess_exec(READY, env=environment, stdout=pipe, stderr=pipe)
    output, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


async def test_the_health_check_of_containers_says_what_is_in_the_way(
    server: OperationsServer, readiness: Readiness
) -> None:
    listen = f"0.0.0.0:{server.address.rpartition(':')[2]}"
    assert (await check(listen))[0] == 0
    readiness.parts["map"] = "no map yet"
    code, output, _ = await check(listen)
    assert code == 1
    assert json.loads(output)["parts"]["map"] == "no map yet"


async def test_a_container_whose_service_is_not_there_is_not_healthy() -> None:
    code, _, errors = await check("0.0.0.0:1")
    assert code != 0
    assert "refused" in errors
    code, _, errors = await check("")
    assert code != 0
    assert "DSTK_OPERATIONS_LISTEN" in errors


async def test_a_service_has_routes_of_its_own(readiness: Readiness) -> None:
    async def answer(_: Request) -> Response:
        return PlainTextResponse("more\n")

    made = OperationsServer("127.0.0.1:0", Instruments(Owner.ROUTER), readiness, [Route("/more", answer)])
    await made.start(asyncio.create_task)
    assert (await get(made, "/more"))[::2] == (200, "more\n")
    assert (await get(made, "/healthz"))[0] == 200
    await made.close()
