"""Traces that a client begins or follows: what it sends along, and what it tells its observer."""

import pytest
from kit.scripted import ScriptedServer, found
from typing_extensions import override

from dstk.v1 import kv_pb2
from dstk_client import Key, KeyRange, connect
from dstk_client.events import BatchAnswered, CallAnswered, CallFailed, OperationEnded, PagesEnded, ScanEnded
from dstk_service.errors import DiskFull, EtagMismatched, InvalidArgument, NotServing
from dstk_service.testing import EverySampler, RecordingObserver
from dstk_service.trace import NEVER, Sampler, TraceContext, within

K = Key.text("k")
MINE = TraceContext(b"t" * 16, b"s" * 8, sampled=True)


async def test_without_a_sampler_nothing_is_sent_even_within_a_trace(server: ScriptedServer) -> None:
    server.script(K, found())
    observer = RecordingObserver()
    async with connect(server.address, observer=observer) as client:
        with within(MINE):
            await client.put(K, b"v")
    assert not server.traces
    assert not observer.of(OperationEnded)


@pytest.mark.parametrize("failures", [0, 2])
async def test_an_operation_is_one_span_with_all_its_attempts(server: ScriptedServer, failures: int) -> None:
    server.script(K, *[NotServing("a handover is under way", 0.0)] * failures, found(b"v"))
    observer = RecordingObserver()
    async with connect(server.address, observer=observer, sampler=EverySampler()) as client:
        await client.get(K)
    (ended,) = observer.of(OperationEnded)
    assert (ended.operation, ended.failure, ended.span.parent) == ("get", "", None)
    assert server.traces == [(0, ended.span.context)] * (failures + 1)
    assert [each.traces for each in observer.of(BatchAnswered)] == [[ended.span.context]] * (failures + 1)


async def test_every_kind_of_operation_is_told(server: ScriptedServer) -> None:
    server.script(K, found())
    observer = RecordingObserver()
    async with connect(server.address, observer=observer, sampler=EverySampler()) as client:
        await client.put(K, b"v")
        await client.get(K)
        await client.delete(K)
    ended = observer.of(OperationEnded)
    assert [each.operation for each in ended] == ["put", "get", "delete"]
    assert len({each.span.context.trace_id for each in ended}) == 3


async def test_an_operation_within_a_trace_is_part_of_it_whatever_the_ratio(server: ScriptedServer) -> None:
    class Rarely(Sampler):
        @override
        def pick(self, calls: int = 1) -> int | None:
            return None

    server.script(K, found())
    observer = RecordingObserver()
    async with connect(server.address, observer=observer, sampler=Rarely()) as client:
        await client.put(K, b"v")
        with within(MINE):
            await client.put(K, b"w")
    (ended,) = observer.of(OperationEnded)
    assert (ended.span.context.trace_id, ended.span.parent) == (MINE.trace_id, MINE.span_id)
    assert server.traces == [(0, ended.span.context)]


async def test_of_many_operations_the_first_one_stands_for_all(server: ScriptedServer) -> None:
    observer = RecordingObserver()
    async with connect(server.address, observer=observer, sampler=EverySampler()) as client:
        assert await client.get_many([Key.of(number) for number in range(50)]) == [None] * 50
        assert await client.get_many([]) == []
    (ended,) = observer.of(OperationEnded)
    assert server.traces == [(0, ended.span.context)]


async def test_an_operation_that_fails_is_told_with_its_reason(server: ScriptedServer) -> None:
    server.script(K, DiskFull("no room", 0.0))
    observer = RecordingObserver()
    async with connect(server.address, observer=observer, sampler=EverySampler()) as client:
        with pytest.raises(DiskFull):
            await client.put(K, b"v")
        server.script(K, EtagMismatched(7))
        with pytest.raises(EtagMismatched):
            await client.put(K, b"v", if_etag=3)
    assert [each.failure for each in observer.of(OperationEnded)] == ["DISK_FULL", "ETAG_MISMATCH"]


async def test_an_operation_that_cannot_be_encoded_takes_no_trace_of_another_one(server: ScriptedServer) -> None:
    observer = RecordingObserver()
    async with connect(server.address, observer=observer) as client:
        core = client._core
        deadline = core.deadline(5)
        bad = core.send({"kind": "what", "key": K}, 1, deadline, MINE.child(b"bad-----").encoded())
        good = core.send({"kind": kv_pb2.OPERATION_KIND_GET, "key": K}, 1, deadline, MINE.encoded())
        assert isinstance(await bad, InvalidArgument)
        assert not isinstance(await good, Exception)
    assert server.traces == [(0, MINE)]


async def test_a_call_of_its_own_carries_its_context_as_metadata(server: ScriptedServer) -> None:
    server.pages.append(kv_pb2.ScanResponse())
    observer = RecordingObserver()
    async with connect(server.address, observer=observer, sampler=NEVER) as client:
        with within(MINE):
            await client.scan_page(KeyRange.everything(), 10)
    (call,) = observer.of(CallAnswered)
    assert call.span is not None
    assert (call.span.context.trace_id, call.span.parent) == (MINE.trace_id, MINE.span_id)
    assert [each and each.trace_id for each in server.calls] == [MINE.trace_id]


async def test_a_call_that_fails_is_told_with_its_span(server: ScriptedServer) -> None:
    server.bulks.append(DiskFull("no room", 0.0))
    observer = RecordingObserver()
    async with connect(server.address, observer=observer, sampler=EverySampler()) as client:
        with pytest.raises(DiskFull):
            await client.bulk_insert([(K, b"v")])
    (failed,) = observer.of(CallFailed)
    assert (failed.method, failed.reason) == ("BulkInsert", "DISK_FULL")
    assert failed.span is not None


async def test_a_scan_is_a_span_with_one_for_each_stream(server: ScriptedServer) -> None:
    server.pages += [
        kv_pb2.ScanResponse(resume_key=b"m"),
        NotServing("a handover is under way", 0.0),
        kv_pb2.ScanResponse(),
    ]
    observer = RecordingObserver()
    async with connect(server.address, observer=observer, sampler=EverySampler()) as client:
        assert not [record async for record in client.scan(KeyRange.everything())]
    (scan,) = observer.of(ScanEnded)
    streams = observer.of(PagesEnded)
    assert scan.streams == len(streams) > 1
    assert {each.span.parent for each in streams} == {scan.span.context.span_id}
    assert {each and each.trace_id for each in server.calls} == {scan.span.context.trace_id}
    assert [each.failure for each in streams] == ["NOT_SERVING", ""]
    assert not scan.failure


async def test_a_scan_that_is_left_early_is_told(server: ScriptedServer) -> None:
    server.pages += [kv_pb2.ScanResponse(resume_key=b"m")] * 3
    observer = RecordingObserver()
    async with connect(server.address, observer=observer, sampler=EverySampler()) as client:
        pages = client._core.raw_pages(kv_pb2.ScanRequest(limit=10)).__aiter__()
        await anext(pages)
        await pages.aclose()
    assert [each.failure for each in observer.of(ScanEnded)] == [""]
