"""The life of a router."""

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.error import URLError

import pytest
from kit.ports import free_port
from kit.scrape import answer

from dstk_cluster.view import ClusterView
from dstk_router.__main__ import main
from dstk_router.config import RouterConfig
from dstk_router.serve import serve
from dstk_router.workers import operations_address
from dstk_service.config import OFF
from dstk_service.testing import eventually
from dstk_telemetry.sentry import ErrorReports

NO_REPORTS = ErrorReports("", "router", "0")


def without_etcd(operations: str = OFF) -> RouterConfig:
    etcd = f"127.0.0.1:{free_port()}"
    return RouterConfig(listen="127.0.0.1:0", operations_listen=operations, etcd=etcd, cluster="c")


async def fails(*_: Any, **__: Any) -> None:
    raise ZeroDivisionError("a defect")


def view_ready(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ClusterView, "ready", fails)


def view_run(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ClusterView, "run", fails)


@pytest.mark.parametrize("breaks", [view_ready, view_run])
async def test_a_router_that_can_never_serve_ends_and_says_why(
    monkeypatch: pytest.MonkeyPatch, breaks: Callable[[pytest.MonkeyPatch], None]
) -> None:
    breaks(monkeypatch)
    async with asyncio.timeout(10):
        with pytest.raises(ZeroDivisionError):
            await serve(without_etcd(), asyncio.Event(), NO_REPORTS)


async def test_a_router_that_waits_for_etcd_ends_when_told_to() -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(serve(without_etcd(), stop, NO_REPORTS))
    await asyncio.sleep(0)
    stop.set()
    async with asyncio.timeout(10):
        await running


async def test_a_router_that_waits_for_etcd_is_alive_and_says_why_it_is_not_ready() -> None:
    stop, operations = asyncio.Event(), f"127.0.0.1:{free_port()}"
    running = asyncio.create_task(serve(without_etcd(operations), stop, NO_REPORTS))

    async def is_alive() -> bool:
        try:
            return (await answer(operations, "/healthz"))[0] == 200
        except URLError:
            return False

    await eventually(is_alive)
    status, body = await answer(operations, "/readyz")
    assert status == 503
    assert json.loads(body) == {
        "ready": False,
        "parts": {"serving": "the service is starting", "map": "the partition map has not been read from etcd yet"},
    }
    stop.set()
    async with asyncio.timeout(10):
        await running


@pytest.mark.parametrize(
    ("listen", "expected"),
    [("127.0.0.1:7180", "127.0.0.1:7182"), ("127.0.0.1:0", "127.0.0.1:0"), ("[::1]:80", "[::1]:82"), (OFF, OFF)],
)
def test_each_worker_has_an_operations_port_of_its_own(listen: str, expected: str) -> None:
    assert operations_address(listen, 2) == expected


def test_workers_need_ports_that_exist(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["dstk-router", "--workers", "3", "--operations-listen", "127.0.0.1:65534"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "3 workers need ports up to 65536" in capsys.readouterr().err
