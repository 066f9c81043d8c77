"""What a program sees of the client: names, documentation, errors, ways to open and close it."""

import asyncio
import gc
import inspect
import pydoc
import warnings
from typing import Any

import pytest
from kit.scripted import ScriptedServer, found

import dstk_client
from dstk_client import (
    Client,
    ClientClosed,
    DstkError,
    Key,
    Scan,
    SyncClient,
    SyncScan,
    WrongContext,
    connect,
    connect_sync,
)
from dstk_service import errors

K = Key.text("k")


def calls(kind: type) -> dict[str, inspect.Signature]:
    return {
        name: inspect.signature(each)
        for name, each in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }


def test_the_synchronous_client_has_every_call_of_the_other_with_the_same_arguments() -> None:
    for one, other in ((Client, SyncClient), (Scan, SyncScan)):
        names = set(calls(one)) - {"page"}
        assert names == set(calls(other)), "one of them has a call that the other lacks"
        for name in names:
            assert list(calls(one)[name].parameters) == list(calls(other)[name].parameters), name
            defaults = [[each.default for each in calls(kind)[name].parameters.values()] for kind in (one, other)]
            assert defaults[0] == defaults[1], name


def test_everything_that_is_exported_is_documented() -> None:
    for name in dstk_client.__all__:
        each = getattr(dstk_client, name)
        if not callable(each) or each.__module__ == "typing":
            continue
        assert inspect.getdoc(each), name
        members = inspect.getmembers(each, inspect.isfunction) if inspect.isclass(each) else []
        for member, function in members:
            if not member.startswith("_") and function.__module__.startswith("dstk_"):
                text = inspect.getdoc(function)
                assert text, f"{name}.{member}"
                assert not text.startswith("See "), f"{name}.{member}"
                assert len(text) > 12, f"{name}.{member}"


def test_help_shows_the_api() -> None:
    shown = pydoc.plain(pydoc.render_doc(dstk_client))
    for expected in (
        "class Client",
        "connect(*addresses",
        "get_many(self, keys",
        "delete_range(self",
        "class WriteAmbiguous",
    ):
        assert expected in shown
    assert "_locator" not in shown
    assert "raw_page" not in shown


def test_every_error_of_the_api_can_be_imported_from_here_and_is_one_of_one_kind() -> None:
    for name, kind in vars(errors).items():
        if inspect.isclass(kind) and issubclass(kind, Exception):
            assert getattr(dstk_client, name) is kind
    raised = [each for each in vars(dstk_client).values() if inspect.isclass(each) and issubclass(each, Exception)]
    assert all(issubclass(kind, DstkError) for kind in raised)
    assert ClientClosed in raised


async def test_a_client_may_be_awaited_and_closed(server: ScriptedServer) -> None:
    server.script(K, found(b"v"))
    client = await connect(server.address, timeout=60)
    assert await client.get(K) is not None
    await client.close()
    await client.close()
    with pytest.raises(ClientClosed):
        await client.get(K)


async def test_a_client_that_was_awaited_may_be_entered(server: ScriptedServer) -> None:
    async with await connect(server.address, mode="gateway", timeout=60) as client:
        assert await client.get(K) is None
    with pytest.raises(ClientClosed):
        await client.get(K)


async def test_closing_inside_the_block_is_closing_once(server: ScriptedServer) -> None:
    async with connect(server.address, timeout=60) as client:
        await client.close()


async def test_a_client_is_closed_by_the_loop_that_it_belongs_to(server: ScriptedServer) -> None:
    async with connect(server.address, timeout=60) as client:
        with pytest.raises(WrongContext):
            await asyncio.to_thread(asyncio.run, client.close())
        assert await client.get(K) is None


async def test_who_gives_up_while_it_connects_leaves_nothing_open() -> None:
    before = asyncio.all_tasks()
    for give_up in (0, 0.05):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connect("127.0.0.1:1", timeout=60), give_up)
    assert asyncio.all_tasks() == before


async def test_a_connection_that_is_not_opened_says_how_to_open_it(server: ScriptedServer) -> None:
    unopened: Any = connect(server.address, timeout=60)
    with pytest.raises(AttributeError, match="async with connect"):
        unopened.get(K)


async def test_one_connection_object_may_be_opened_again(server: ScriptedServer) -> None:
    connection = connect(server.address, timeout=60)
    async with connection as one:
        assert await one.get(K) is None
    async with connection as other:
        assert await other.get(K) is None


async def test_a_client_that_nobody_closes_is_named_in_a_warning(server: ScriptedServer) -> None:
    client: Any = await connect(server.address, timeout=60)
    core, resources = client._core, client._resources
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del client
    await resources.aclose()
    assert [each.category for each in caught] == [ResourceWarning]
    assert "unclosed" in str(caught[0].message)
    assert core is not None


async def test_a_synchronous_client_that_nobody_closes_is_named_in_a_warning(server: ScriptedServer) -> None:
    def program() -> list[type[Warning]]:
        client = connect_sync(server.address, timeout=60)
        background = client._background
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del client
        background.close()
        return [each.category for each in caught]

    assert await asyncio.to_thread(program) == [ResourceWarning]


@pytest.mark.filterwarnings("error")
async def test_a_client_that_was_closed_warns_of_nothing(server: ScriptedServer) -> None:
    async with connect(server.address, timeout=60) as client:
        await client.get(K)
    del client
    gc.collect()
