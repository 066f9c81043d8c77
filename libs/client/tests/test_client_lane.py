"""An operation, or a failing task of the lane, does not affect the other operations on the lane."""

import asyncio
import logging
from typing import Any

import pytest
from kit.scripted import ScriptedServer, found

from dstk.v1 import kv_pb2
from dstk_client import Client
from dstk_client.core import CoreClient
from dstk_client.encoding import INLINE_BYTES
from dstk_client.lane import LARGE_BYTES, Lane
from dstk_client.operation import Outcome
from dstk_keytypes import Key
from dstk_service.errors import DeadlineExceeded, InvalidArgument, NotServing, WriteAmbiguous
from dstk_service.testing import eventually

K = Key.text("k")
PUT = kv_pb2.OPERATION_KIND_PUT


class Liar(bytes):
    """Larger than it says."""

    def __len__(self) -> int:
        return 1


UNSENDABLE: list[dict[str, Any]] = [
    {"value": "a str"},
    {"value": ["a list"]},
    {"value": 3.5},
    {"value": object()},
    {"value": memoryview(b"v")},
    {"timeout_ms": 5_000_000_000},
    {"timeout_ms": -1},
    {"ttl_ms": 1.5},
    {"ttl_ms": 1 << 63},
    {"if_etag": -1},
    {"precondition": "IF_ABSENT"},
    {"no_such_field": 1},
    {"value": Liar(20 << 20)},
    {"value": Liar(40 << 20)},
]


def send(core: CoreClient, **fields: Any) -> asyncio.Future[Outcome]:
    """Past all checks of arguments."""
    return core.send({"kind": PUT, "key": K, "value": b"v", **fields}, 2, core.deadline(60))


@pytest.mark.parametrize("fields", UNSENDABLE, ids="-".join)
async def test_what_cannot_be_sent_fails_alone_and_at_once(
    server: ScriptedServer, client: Client, fields: dict[str, Any]
) -> None:
    gets = [asyncio.create_task(client.get(Key.of(number))) for number in range(100)]
    await asyncio.sleep(0)
    bad = send(client._core, **fields)
    gets += [asyncio.create_task(client.get(Key.of(number))) for number in range(100, 200)]
    outcome = await asyncio.wait_for(bad, 30)
    assert isinstance(outcome, InvalidArgument)
    assert await asyncio.wait_for(asyncio.gather(*gets), 60) == [None] * 200
    assert server.times(K) == 0
    assert len(server.asked) == 200, "nothing was tried again"


async def test_nothing_but_what_cannot_be_sent_leaves_the_lane_as_it_was(
    server: ScriptedServer, client: Client
) -> None:
    core = client._core
    outcomes = await asyncio.wait_for(asyncio.gather(*(send(core, **fields) for fields in UNSENDABLE)), 60)
    assert {type(outcome) for outcome in outcomes} == {InvalidArgument}
    assert await client.get(K) is None
    assert server.messages == [1]


@pytest.mark.parametrize("task", ["_read", "_write", "_next_message", "_gather", "_stream", "_use"])
async def test_a_defect_in_the_lane_is_logged_fails_what_it_had_and_passes(
    server: ScriptedServer, client: Client, task: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert await client.get(K) is None
    original = getattr(Lane, task)
    left = 1

    def fails_once(self: Lane, *arguments: Any) -> Any:
        nonlocal left
        if left:
            left -= 1
            raise ZeroDivisionError("a defect")
        return original(self, *arguments)

    monkeypatch.setattr(Lane, task, fails_once)
    core = client._core
    lane, _ = core._locator.lane(K)
    lane._task.cancel()  # so that another stream begins
    await eventually(lambda: lane.closed)
    lane.closed = False
    lane._begin()
    with caplog.at_level(logging.ERROR):
        answers = await asyncio.wait_for(asyncio.gather(*(client.get(Key.of(number)) for number in range(50))), 60)
    assert answers == [None] * 50
    assert not left
    assert "ZeroDivisionError" in caplog.text


async def test_deadlines_hold_where_no_task_of_the_lane_lives(client: Client) -> None:
    lane, _ = client._core._locator.lane(K)
    lane._task.cancel()
    await eventually(lambda: lane.closed)
    lane.closed = False
    with pytest.raises(NotServing, match="in time"):
        await asyncio.wait_for(client.get(K, timeout=0.1), 30)


@pytest.mark.parametrize("deadline", [float("nan"), float("-inf"), 0.0])
async def test_a_deadline_that_is_no_time_has_passed(server: ScriptedServer, client: Client, deadline: float) -> None:
    server.script(K, "hang")
    outcome = await asyncio.wait_for(client._core.send({"kind": PUT, "key": K}, 2, deadline), 30)
    assert isinstance(outcome, DeadlineExceeded)


async def test_a_lane_on_which_nothing_waits_watches_nothing(server: ScriptedServer, client: Client) -> None:
    await client.get(K)
    lane, _ = client._core._locator.lane(K)
    await eventually(lambda: lane._watching is None)
    server.script(K, "hang")
    with pytest.raises((WriteAmbiguous, DeadlineExceeded)):
        await client.put(K, b"v", timeout=0.1)
    await client.get(Key.text("other"))


async def test_small_operations_do_not_wait_behind_large_ones(server: ScriptedServer, client: Client) -> None:
    large = Key.text("large")
    server.script(large, "hang")
    writing = [asyncio.create_task(client.put(large, bytes(LARGE_BYTES), timeout=60)) for _ in range(16)]
    await eventually(lambda: server.times(large) >= 2)
    server.script(K, found())
    for _ in range(10):
        assert await asyncio.wait_for(client.get(K), 30) is not None
        await asyncio.wait_for(client.put(K, b"small"), 30)
    assert not any(task.done() for task in writing)
    for task in writing:
        task.cancel()


async def test_large_operations_are_answered(server: ScriptedServer, client: Client) -> None:
    keys = [Key.of(number) for number in range(20)]
    for number, key in enumerate(keys, start=1):
        server.script(key, found(etag=number))
    etags = await asyncio.gather(*(client.put(key, bytes(1 << 20)) for key in keys))
    assert etags == list(range(1, 21))


async def test_small_reads_do_not_wait_behind_large_records(server: ScriptedServer, client: Client) -> None:
    server.script(K, found(bytes(INLINE_BYTES + 1)))
    server.gets.append("hang")
    reading = [asyncio.create_task(client.get(K, timeout=60)) for _ in range(8)]
    await eventually(lambda: len(server.unary) == 8)
    for number in range(10):
        assert await asyncio.wait_for(client.get(Key.of(number)), 30) is None
    assert not any(task.done() for task in reading)
    for task in reading:
        task.cancel()
