"""Whatever is given to a call of the client: it fails at once, by name, and nobody beside it notices.

The calls and their arguments are found by inspection: one that is added is tried with all the rest.
"""

import asyncio
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit.hostile import Boom, anything, catalogue
from kit.process_cluster import ProcessCluster

from dstk_client import (
    AlreadyExists,
    Client,
    DeadlineExceeded,
    EtagMismatched,
    InsertStopped,
    InvalidArgument,
    Key,
    KeyRange,
    NotServing,
    RangeDeletionStopped,
    SyncClient,
    Ttl,
    WriteAmbiguous,
    connect,
    connect_sync,
)
from dstk_client.background import Background

pytestmark = [pytest.mark.slow]

HERE = KeyRange.tuple_prefix("arguments")
K, NEIGHBOUR = Key.of("arguments", "k"), Key.of("neighbour")
GOOD: dict[str, Callable[[], Any]] = {
    "key": lambda: K,
    "keys": lambda: [K, K],
    "value": lambda: b"v",
    "key_range": lambda: HERE,
    "limit": lambda: 5,
    "records": lambda: [(K, b"v")],
}
"""For arguments without a default. A call that takes another one needs a line here."""

TYPES: dict[str, tuple[Any, ...]] = {
    "key": (bytes,),
    "keys": (Sequence,),
    "value": (bytes, bytearray, memoryview),
    "key_range": (KeyRange,),
    "records": (Iterable,),
    "expires_at_ms": (Sequence,),
    "if_etag": (int, type(None)),
    "limit": (int, type(None)),
    "page_size": (int,),
    "batch_size": (int,),
    "in_flight": (int,),
    "if_absent": (bool,),
    "repeat_ambiguous": (bool,),
    "reverse": (bool,),
    "ttl": (Ttl, timedelta, type(None)),
    "timeout": (int, float, type(None)),
    "progress": (Callable, type(None)),
}
"""What may be taken where; a bool never for a number."""

LEGITIMATE = (
    AlreadyExists,
    EtagMismatched,
    DeadlineExceeded,
    InsertStopped,
    NotServing,
    RangeDeletionStopped,
    WriteAmbiguous,
)
"""How a call with arguments that are in order can end, that of a deadline of a nanosecond too."""


class Argument(NamedTuple):
    """One argument of one call."""

    kind: type
    method: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind.__name__}.{self.method}({self.name})"

    def call(self, client: Any, given_: Any) -> Any:
        """Calls it with everything else in order."""
        method = getattr(client, self.method)
        arguments = {each: GOOD[each]() for each in _required(self.kind, self.method)} | {self.name: given_}
        return method(**arguments)

    def judge(self, given_: Any, outcome: Any) -> None:
        """Whether that is how a call with this value may end."""
        if isinstance(outcome, InvalidArgument):
            assert outcome.field
            assert outcome.limit
            assert len(outcome.value) <= 100
            return
        if isinstance(outcome, BaseException) and not isinstance(outcome, LEGITIMATE):
            own = self.name == "progress" or (self.name == "records" and self.method == "insert_sorted")
            assert own, f"{self}: {outcome!r}"
            assert callable(given_) or isinstance(outcome, Boom), f"{self}: {outcome!r}"
            return
        assert isinstance(given_, TYPES[self.name]), f"{self} takes a {type(given_)}"
        assert not isinstance(given_, bool) or bool in TYPES[self.name], f"{self} takes a bool for a number"


def _arguments(kind: type) -> list[Argument]:
    calls = [name for name, each in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")]
    return [
        Argument(kind, call, name)
        for call in calls
        for name in inspect.signature(getattr(kind, call)).parameters
        if name != "self"
    ]


def _required(kind: type, method: str) -> list[str]:
    parameters = list(inspect.signature(getattr(kind, method)).parameters.values())[1:]
    return [each.name for each in parameters if each.default is each.empty]


ASYNC, SYNC = _arguments(Client), _arguments(SyncClient)


Trial = Callable[..., list[Any]]
"""Gives values to an argument, one call each, all at once and beside good callers; returns how the calls ended. With the values
given `again`, it checks that those that are refused are so before the call waits for anything.
"""


@pytest.fixture(scope="module", params=["thick", "gateway"])
def trial(request: pytest.FixtureRequest, small_cluster: ProcessCluster) -> Iterator[Trial]:
    """Of a client on a loop of its own, since Hypothesis has none."""
    background = Background(connect(small_cluster.address("router"), mode=request.param, timeout=60))
    client = background.start()
    background.run(lambda: client.put(NEIGHBOUR, b"good"))

    def run(argument: Argument, values: list[Any], again: Sequence[Any] = ()) -> list[Any]:
        outcomes = background.run(lambda: beside_good_callers(argument, client, values))
        for value, outcome in zip(again, outcomes, strict=False):
            if isinstance(outcome, InvalidArgument):
                assert background.run(partial(refused_at_once, argument, client, value)), (
                    f"{argument}: {outcome} comes late"
                )
        return outcomes

    yield run
    background.close()


@pytest.fixture(scope="module")
def sync_client(small_cluster: ProcessCluster) -> Iterator[SyncClient]:
    with connect_sync(small_cluster.address("router"), timeout=60) as made:
        made.put(NEIGHBOUR, b"good")
        yield made


async def outcome_of(argument: Argument, client: Client, value: Any) -> Any:
    """How the call ends; a scan is read to its end."""
    try:
        called = argument.call(client, value)
        if inspect.isawaitable(called):
            return await called
        return [page async for page in called.pages()]
    except Exception as error:  # noqa: BLE001 - it is judged
        return error


async def beside_good_callers(argument: Argument, client: Client, values: list[Any]) -> list[Any]:
    """All the bad calls at once, among good ones, which must not notice."""

    async def good() -> None:
        record = await client.get(NEIGHBOUR)
        assert record is not None
        assert record.value == b"good"
        await client.put(NEIGHBOUR, b"good")

    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        around = [group.create_task(good()) for _ in range(3)]
        bad = [group.create_task(outcome_of(argument, client, value)) for value in values]
        around += [group.create_task(good()) for _ in range(3)]
    return [each.result() for each in bad]


async def refused_at_once(argument: Argument, client: Client, value: Any) -> bool:
    """Whether the call fails before it waits for anything."""
    try:
        called = argument.call(client, value)
        called.send(None)
    except InvalidArgument:
        return True
    called.close()
    return False


def test_every_argument_of_every_call_is_known() -> None:
    assert {each.name for each in (*ASYNC, *SYNC)} == set(TYPES)
    assert len({each.method for each in ASYNC}) > 10


@pytest.mark.parametrize("argument", ASYNC, ids=str)
def test_a_bad_argument_is_refused_at_once_and_disturbs_nobody(trial: Trial, argument: Argument) -> None:
    values = catalogue()
    outcomes = trial(argument, values, catalogue())
    for value, outcome in zip(values, outcomes, strict=True):
        argument.judge(value, outcome)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(argument=st.sampled_from(ASYNC), values=st.lists(anything(), min_size=1, max_size=4))
def test_arbitrary_arguments_are_refused_at_once_and_disturb_nobody(
    trial: Trial, argument: Argument, values: list[Any]
) -> None:
    outcomes = trial(argument, values)
    for value, outcome in zip(values, outcomes, strict=True):
        argument.judge(value, outcome)


@pytest.mark.parametrize("argument", SYNC, ids=str)
def test_the_synchronous_client_refuses_the_same(sync_client: SyncClient, argument: Argument) -> None:
    def bad(value: Any) -> Any:
        try:
            called = argument.call(sync_client, value)
            return list(called) if hasattr(called, "pages") else called
        except Exception as error:  # noqa: BLE001 - it is judged
            return error

    def good() -> Any:
        return sync_client.get(NEIGHBOUR)

    values = catalogue()
    with ThreadPoolExecutor(4) as threads:
        around = [threads.submit(good) for _ in range(3)]
        outcomes = [threads.submit(bad, value) for value in values]
        assert all(each.result(120).value == b"good" for each in around)
        for value, outcome in zip(values, outcomes, strict=True):
            argument.judge(value, outcome.result(120))
