"""The map's stream over a wire that goes wrong: whatever happens, the client learns of a change, and asks no more often
than it must.
"""

import pytest
from kit import wire_faults as wf
from kit.map_entries import map_entry
from kit.scripted import scripted
from kit.spoiled import holds_once
from kit.wire import Fault, Moment, wire

from dstk_client import connect
from dstk_client.locating import ThickLocator
from dstk_service.testing import PATIENCE_SECONDS, eventually
from rpc.operations import GET, HERE, filled

BROKEN = (*wf.ANSWER_LOST, wf.ANSWER_SWALLOWED)
HARMLESS = (wf.LEAVING, wf.ANSWER_LATE)
AT_FIRST = (wf.TURNED_AWAY, wf.NOT_OURS, wf.MUTE)


@pytest.mark.parametrize("fault", [*BROKEN, *HARMLESS, *AT_FIRST], ids=str)
async def test_the_first_map_arrives_all_the_same(fault: Fault) -> None:
    await holds_once(arrives, [fault] * 5)


async def arrives(fault: Fault) -> None:
    """Raises AssertionError when the map is asked for too often, as it also is while this process is paused."""
    async with scripted() as server, wire(server.address) as between:
        server.keeps(filled(), HERE)
        between.once(fault)
        async with connect(between.address, timeout=PATIENCE_SECONDS) as client:
            assert GET.check(await GET.call(client))
        assert between.struck == 1
        assert server.watchers == (2 if fault in BROKEN else 1)
        assert between.connections == 1 or fault not in HARMLESS


@pytest.mark.parametrize("fault", [*BROKEN, *HARMLESS], ids=str)
async def test_a_change_arrives_all_the_same(fault: Fault) -> None:
    assert fault.moment is Moment.ANSWER
    await holds_once(changes, [fault] * 5)


async def changes(fault: Fault) -> None:
    """Raises AssertionError as `arrives` does."""
    async with (
        scripted() as server,
        wire(server.address) as between,
        connect(between.address, timeout=PATIENCE_SECONDS) as client,
    ):
        assert isinstance(client._core._locator, ThickLocator)  # noqa: SLF001 - what it knows has no other face
        topology = client._core._locator.topology  # noqa: SLF001
        between.once(fault)
        server.owns(map_entry(1, epoch=2))
        await eventually(lambda: topology.entries[1].epoch == 2)
        assert between.struck == 1
        assert server.watchers == (2 if fault in BROKEN else 1)


async def test_the_next_address_is_asked_when_one_falls_silent() -> None:
    async with scripted() as server, wire(server.address) as between:
        server.keeps(filled(), HERE)
        between.always(wf.MUTE)
        async with connect(between.address, server.address, timeout=PATIENCE_SECONDS) as client:
            assert GET.check(await GET.call(client))
