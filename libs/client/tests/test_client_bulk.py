"""The loop of bulk inserts: against a dict that refuses as told, and as calls of both clients."""

import asyncio
import pickle
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from kit.answers import inserted_all
from kit.scripted import ScriptedServer
from kit.turns import turns

from dstk_client import BulkResult, BulkStop, Client, InsertStopped, connect_sync
from dstk_client.batching import groups
from dstk_client.bulk import Options, SortedInsert, insert_sorted
from dstk_keytypes import InvalidArgument, Key
from dstk_service.errors import (
    AlreadyExists,
    DeadlineExceeded,
    DiskFull,
    DstkError,
    Internal,
    NotServing,
    Overloaded,
    WriteAmbiguous,
)

Pair = tuple[Key, bytes]
RECORDS = [(Key.of(number), b"%d" % number) for number in range(10)]
TRIPLES = [(key, value, 1000 + number) for number, (key, value) in enumerate(RECORDS)]


class ScriptedStore:
    """A dict behind `bulk_insert`. `script`: what each next call does; beyond it, calls insert everything.

    An exception is raised, a number inserts that many records, a result is returned, an event is awaited first.
    """

    def __init__(self, *script: Any) -> None:
        self.script = deque(script)
        self.records: dict[Key, tuple[bytes, int]] = {}
        self.calls: list[int] = []
        self.in_flight = self.most_in_flight = 0

    async def bulk_insert(
        self,
        records: Sequence[Pair],
        *,
        ttl: Any = None,
        expires_at_ms: Sequence[int] = (),
        if_absent: bool = False,
        timeout: float | None = None,
    ) -> BulkResult:
        assert timeout is not None
        assert timeout > 0
        self.calls.append(len(records))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self._answer(records, expires_at_ms or [0] * len(records))
        finally:
            self.in_flight -= 1

    async def _answer(self, records: Sequence[Pair], moments: Sequence[int]) -> BulkResult:
        await asyncio.sleep(0)
        told = self.script.popleft() if self.script else len(records)
        if isinstance(told, asyncio.Event):
            await told.wait()
            told = len(records)
        if isinstance(told, Exception):
            raise told
        count = told.inserted if isinstance(told, BulkResult) else told
        for (key, value), moment in zip(records[:count], moments, strict=False):
            self.records[key] = value, moment
        stop = BulkStop.COMPLETE if count == len(records) else BulkStop.PARTITION_END
        return told if isinstance(told, BulkResult) else BulkResult(count, [], stop, 0)


def options(**given_: Any) -> Options:
    usual = {"batch_size": 3, "in_flight": 2, "ttl": None, "if_absent": False, "repeat_ambiguous": False}
    return Options(**{**usual, "timeout": 60.0, "progress": None, **given_})


async def stopped(store: ScriptedStore, **given_: Any) -> InsertStopped:
    with pytest.raises(InsertStopped) as caught:
        await insert_sorted(store, RECORDS, options(**given_))
    return caught.value


async def test_every_record_arrives_in_bounded_batches_and_progress_is_in_order() -> None:
    store, told = ScriptedStore(), list[int]()
    assert await insert_sorted(store, RECORDS, options(progress=told.append)) == 10
    assert store.records == {key: (value, 0) for key, value in RECORDS}
    assert told == [3, 3, 3, 1]
    assert store.most_in_flight == 2


async def test_the_rest_of_a_batch_is_sent_again_after_each_stop() -> None:
    store = ScriptedStore(4, BulkResult(0, [], BulkStop.OVERLOADED, 0), 1)
    told: list[int] = []
    assert await insert_sorted(store, RECORDS, options(batch_size=10, progress=told.append)) == 10
    assert store.calls == [10, 6, 6, 5]
    assert told == [10]


@pytest.mark.parametrize("refusal", [NotServing("x", 0.0), Overloaded("x", 0.0), DiskFull("x", 0.0)])
async def test_a_refusal_is_tried_again(refusal: DstkError) -> None:
    store = ScriptedStore(refusal, refusal)
    assert await insert_sorted(store, RECORDS, options()) == 10
    assert len(store.records) == 10


@pytest.mark.parametrize("failure", [WriteAmbiguous("x"), DeadlineExceeded("x")])
async def test_an_unknown_outcome_is_tried_again_only_on_request(failure: DstkError) -> None:
    assert await insert_sorted(ScriptedStore(failure), RECORDS, options(repeat_ambiguous=True)) == 10
    error = await stopped(ScriptedStore(failure))
    assert error.__cause__ is failure


async def test_a_refusal_that_lasts_ends_the_insert_at_its_timeout() -> None:
    refusal = NotServing("the node is gone", 0.0)
    error = await stopped(ScriptedStore(*[refusal] * 20), timeout=0.3)
    assert error.__cause__ is refusal
    assert (error.inserted, error.behind, error.key) == (0, 0, RECORDS[0][0])


async def test_a_failure_says_exactly_what_is_on_disk() -> None:
    told: list[int] = []
    store = ScriptedStore(3, 1, 3, Internal("a defect"))
    error = await stopped(store, in_flight=3, progress=told.append)
    assert isinstance(error.__cause__, Internal)
    assert (error.inserted, error.behind) == (sum(told), 4)
    assert error.key == RECORDS[error.inserted][0]
    assert set(store.records) == {key for key, _ in [*RECORDS[:4], *RECORDS[6:]]}
    assert "inserted 4 records; stopped at" in str(error)
    assert "a defect" in str(error)


async def test_batches_in_flight_finish_their_try_and_start_no_other() -> None:
    gate = asyncio.Event()
    store = ScriptedStore(Internal("a defect"), gate, NotServing("x", 0.0))
    inserting = asyncio.create_task(stopped(store, in_flight=3))
    await turns()
    gate.set()
    error = await inserting
    assert (error.inserted, error.behind) == (0, 3)
    assert len(store.calls) == 3


async def test_if_absent_stops_at_the_record_in_the_way() -> None:
    error = await stopped(ScriptedStore(BulkResult(2, [], BulkStop.KEY_EXISTS, 77)), if_absent=True)
    assert isinstance(error.__cause__, AlreadyExists)
    assert error.__cause__.current_etag == 77
    assert error.key == RECORDS[2][0]


async def test_records_carry_their_own_expiry() -> None:
    store = ScriptedStore(1)
    assert await insert_sorted(store, TRIPLES, options()) == 10
    assert store.records == {key: (value, moment) for key, value, moment in TRIPLES}


async def test_a_cancelled_insert_leaves_no_call_behind() -> None:
    store = ScriptedStore(asyncio.Event(), asyncio.Event())
    inserting = asyncio.create_task(insert_sorted(store, RECORDS, options()))
    while store.in_flight < 2:
        await asyncio.sleep(0)
    inserting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await inserting
    assert store.in_flight == 0


async def test_an_error_of_the_records_is_raised_as_it_is() -> None:
    async def source() -> AsyncIterator[Pair]:
        yield RECORDS[0]
        raise KeyError("the file ends")

    with pytest.raises(KeyError):
        await insert_sorted(ScriptedStore(), source(), options())


async def test_one_insert_takes_its_batches_in_groups() -> None:
    store = ScriptedStore(3, 3, 3, Internal("a defect"))
    insert = SortedInsert(store, options())
    first, second = groups(RECORDS, 3, 2)
    await insert.run(first)
    assert insert.inserted == 6
    with pytest.raises(InsertStopped) as caught:
        await insert.run(second)
    assert (caught.value.inserted, caught.value.key) == (9, RECORDS[9][0])


def test_a_repeated_batch_would_stop_at_its_own_records() -> None:
    with pytest.raises(InvalidArgument, match="repeat_ambiguous"):
        options(if_absent=True, repeat_ambiguous=True).checked()


def test_the_error_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(InsertStopped(3, Key(b"k"), 1, "why")))  # noqa: S301
    assert (error.inserted, error.key, error.behind, error.why) == (3, b"k", 1, "why")


async def test_both_clients_insert_records_and_expiries(server: ScriptedServer, client: Client) -> None:
    server.bulks.append(inserted_all)

    def program() -> int:
        with connect_sync(server.address, timeout=60) as sync:
            return sync.insert_sorted(iter(TRIPLES), batch_size=4, in_flight=1)

    assert await client.insert_sorted(TRIPLES, batch_size=4, in_flight=1) == 10
    assert await asyncio.to_thread(program) == 10
    assert [len(request.keys) for request in server.unary] == [4, 4, 2] * 2
    assert [list(request.expires_at_ms) for request in server.unary][:1] == [[1000, 1001, 1002, 1003]]


async def test_a_failure_of_the_blocking_client_counts_over_all_groups(server: ScriptedServer) -> None:
    server.bulks.extend([inserted_all, inserted_all, inserted_all, Internal("a defect")])

    def program() -> None:
        with connect_sync(server.address, timeout=60) as sync:
            sync.insert_sorted(RECORDS, batch_size=2, in_flight=1)

    with pytest.raises(InsertStopped) as caught:
        await asyncio.to_thread(program)
    assert (caught.value.inserted, caught.value.key) == (6, RECORDS[6][0])
