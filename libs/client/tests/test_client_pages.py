"""Scans and bulk inserts against a scripted server, and the blocking facade."""

import asyncio
import itertools

import pytest
from kit.answers import inserted_all, page
from kit.scripted import ScriptedServer, found

from dstk.v1 import kv_pb2
from dstk_client import Client, connect_sync
from dstk_keytypes import Key, KeyRange
from dstk_service.errors import InvalidArgument, NotServing, Overloaded
from dstk_service.testing import eventually

EVERYTHING = KeyRange(b"", None)


async def test_a_scan_goes_on_until_there_is_no_resume_key(server: ScriptedServer, client: Client) -> None:
    server.pages.extend([page(b"a", b"b", resume=b"c"), page(resume=b"e"), page(b"f")])
    assert [record.key async for record in client.scan(EVERYTHING)] == [b"a", b"b", b"f"]
    assert [request.start for request in server.unary] == [b"", b"c", b"e"]


async def test_a_scan_in_reverse_goes_on_below(server: ScriptedServer, client: Client) -> None:
    server.pages.extend([page(b"z", b"y", resume=b"y"), page(b"x")])
    assert [record.key async for record in client.scan(EVERYTHING, reverse=True)] == [b"z", b"y", b"x"]
    assert [(request.start, request.end) for request in server.unary] == [(b"", b""), (b"", b"y")]


@pytest.mark.parametrize(
    ("resume", "reverse"),
    [(b"b", False), (b"a", False), (b"", False), (b"z", False), (b"y", True), (b"z", True), (b"a", True)],
)
async def test_a_page_that_leads_back_or_out_of_the_range_is_not_believed(
    server: ScriptedServer, client: Client, resume: bytes, reverse: bool
) -> None:
    server.pages.extend([page(b"c", resume=resume), page(b"c")])
    scan = client.scan(KeyRange(b"b", b"y"), reverse=reverse)
    assert [record.key async for record in scan] == [b"c"]
    assert (server.unary[-1].start, server.unary[-1].end) == (b"b", b"y"), "it was asked again for the same"


async def test_a_limit_is_never_overrun_and_no_page_is_asked_for_behind_it(
    server: ScriptedServer, client: Client
) -> None:
    numbers = itertools.count()

    def answer(request: kv_pb2.ScanRequest) -> kv_pb2.ScanResponse:
        keys = [b"%06d" % next(numbers) for _ in range(request.limit)]
        return page(*keys, resume=keys[-1] + b"\x00")

    server.pages.append(answer)
    assert len([record async for record in client.scan(EVERYTHING, limit=25, page_size=10)]) == 25
    assert [request.limit for request in server.unary] == [10, 10, 5]
    assert [record async for record in client.scan(EVERYTHING, limit=0)] == []


async def test_leaving_a_scan_early_leaves_nothing_behind(server: ScriptedServer, client: Client) -> None:
    server.pages.append(page(b"a", resume=b"b"))
    await client.scan_page(EVERYTHING, 1)  # opens the connection, which has tasks of its own
    before = len(asyncio.all_tasks())
    pages = client.scan(EVERYTHING).pages()
    await anext(pages)
    await pages.aclose()
    await eventually(lambda: len(asyncio.all_tasks()) <= before)


async def test_a_page_that_is_refused_is_asked_for_again(server: ScriptedServer, client: Client) -> None:
    server.pages.extend(
        [page(b"a", resume=b"b"), Overloaded("64 scans", 0.01), NotServing("starting", 0.01), page(b"c")]
    )
    assert [record.key async for record in client.scan(EVERYTHING)] == [b"a", b"c"]


RECORDS = [(Key.of(number), b"v") for number in range(10)]


async def test_a_bulk_insert_that_is_too_large_to_be_sent_says_so(server: ScriptedServer, client: Client) -> None:
    keys, value = [Key.of(number) for number in range(40)], bytes(1 << 20)
    with pytest.raises(InvalidArgument, match="keys and values together"):
        await client.bulk_insert([(key, value) for key in keys])
    with pytest.raises(InvalidArgument, match="message is 4"):  # what a router would pass on
        await client._core.raw_bulk_insert(kv_pb2.BulkInsertRequest(keys=keys, values=[value] * 40))
    assert not server.unary


async def test_a_program_without_a_loop_has_the_same_calls(server: ScriptedServer) -> None:
    server.script(b"k", found(b"x", 4))
    server.pages.extend([page(b"a", resume=b"b"), page(b"c")])
    server.bulks.append(inserted_all)

    def program() -> None:
        with connect_sync(server.address, timeout=60) as client:
            record = client.get(Key(b"k"))
            assert record is not None
            assert record.value == b"x"
            assert client.put(Key(b"k"), b"v") == 4
            assert client.delete(Key(b"k"))
            assert client.bulk_insert(RECORDS).inserted == 10
            assert [record.key for record in client.scan(EVERYTHING)] == [b"a", b"c"]

    await asyncio.to_thread(program)


async def test_an_error_while_connecting_reaches_a_program_without_a_loop() -> None:
    def program() -> None:
        with pytest.raises(NotServing), connect_sync("127.0.0.1:1", timeout=0.2):
            raise AssertionError("unreachable")

    await asyncio.to_thread(program)
