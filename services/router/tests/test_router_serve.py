"""The life of a router."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from kit.ports import free_port

from dstk_cluster.view import ClusterView
from dstk_router.config import RouterConfig
from dstk_router.serve import serve


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
    config = RouterConfig(listen="127.0.0.1:0", etcd=f"127.0.0.1:{free_port()}", cluster="c")
    async with asyncio.timeout(10):
        with pytest.raises(ZeroDivisionError):
            await serve(config, asyncio.Event())


async def test_a_router_that_waits_for_etcd_ends_when_told_to() -> None:
    stop = asyncio.Event()
    config = RouterConfig(listen="127.0.0.1:0", etcd=f"127.0.0.1:{free_port()}", cluster="c")
    running = asyncio.create_task(serve(config, stop))
    await asyncio.sleep(0)
    stop.set()
    async with asyncio.timeout(10):
        await running
