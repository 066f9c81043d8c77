"""What a client tells its observer: messages, calls, retries, failures, and news of the map."""

import pytest
from kit.map_entries import map_entry
from kit.scripted import ScriptedServer, found

from dstk.v1 import kv_pb2
from dstk_client import Key, KeyRange, connect
from dstk_client.connecting import Mode
from dstk_client.events import (
    AttemptRetried,
    BatchAnswered,
    BatchSent,
    CallAnswered,
    CallFailed,
    MapUpdated,
    RouteLearned,
)
from dstk_service.errors import EtagMismatched, NotOwner, NotServing
from dstk_service.testing import RecordingObserver

K = Key.text("k")


@pytest.mark.parametrize("mode", ["thick", "gateway"])
async def test_messages_are_told_when_they_are_sent_and_when_they_are_answered(
    server: ScriptedServer, mode: Mode
) -> None:
    observer = RecordingObserver()
    async with connect(server.address, mode=mode, observer=observer, timeout=60) as client:
        await client.get_many([Key.of(number) for number in range(100)])
    sent, answered = observer.of(BatchSent), observer.of(BatchAnswered)
    assert sum(each.operations for each in sent) == sum(each.operations for each in answered) == 100
    assert len(sent) == len(answered) == len(server.messages)
    assert {each.address for each in (*sent, *answered)} == {server.address}
    assert all(each.bytes > 5 * each.operations for each in sent)
    assert all(0 < each.seconds < 60 for each in answered)


async def test_a_call_of_its_own_is_told_with_its_attempts(server: ScriptedServer) -> None:
    server.pages.append(kv_pb2.ScanResponse())
    observer = RecordingObserver()
    async with connect(server.address, observer=observer, timeout=60) as client:
        await client.scan_page(KeyRange.everything(), 10)
    (call,) = observer.of(CallAnswered)
    assert (call.method, call.attempts) == ("Scan", 1)
    assert call.seconds > 0


async def test_retries_and_failures_are_told_with_their_reasons(server: ScriptedServer) -> None:
    server.script(K, NotServing("a handover is under way", 0.0), EtagMismatched(7))
    observer = RecordingObserver()
    async with connect(server.address, observer=observer, timeout=60) as client:
        with pytest.raises(EtagMismatched):
            await client.put(K, b"v", if_etag=3)
    assert [each.reason for each in observer.of(AttemptRetried)] == ["NOT_SERVING"]
    assert observer.of(CallFailed) == [CallFailed("ETAG_MISMATCH", 2)]


async def test_news_of_the_map_is_told_by_update_and_by_redirect(server: ScriptedServer) -> None:
    server.script(K, NotOwner(map_entry(1, epoch=9, primary="elsewhere"), server.address), found(b"v"))
    observer = RecordingObserver()
    async with connect(server.address, observer=observer, timeout=60) as client:
        await client.get(K)
    assert observer.of(MapUpdated)[0].full
    assert observer.of(RouteLearned) == [RouteLearned(1, 9, "elsewhere")]
