"""What a caller sees when the transport fails under it, how often the node is asked, how often the effect takes place.

Each row holds for every operation, on every path, for every fault that it names.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import pytest
from kit import wire_faults as wf
from kit.map_entries import map_entry
from kit.ports import free_port
from kit.scripted import scripted
from kit.spoiled import holds_once
from kit.wire import Fault

from dstk_service.transport import grpc_options
from dstk_service.transport.port import Profile
from rpc.judging import AMBIGUOUS, IN_VAIN, SUCCESS, TOO_LATE, Sight, all_at_once
from rpc.operations import ALL, BLIND, CONDITIONAL, READS, WRITES, Operation
from rpc.paths import PATHS, ROUTER, THICK, bed, to_node

PLENTY, SHORT = (30.0,) * 3, (0.8, 4.0, 20.0)
"""Seconds for calls that come to an end by themselves, and for those that only their deadline ends: of one attempt after the
other, since a busy machine may not come to the fault in time.
"""

OFTEN, ASKED_A_SECOND = (2, 1 << 30), 75
"""A node that is asked again until the deadline, with pauses between."""


@dataclass(frozen=True, slots=True)
class Row:
    """One promise. `asked`: how often the node may be asked, at least and at most; `effects`: how often the effect takes place.
    `again`: the fault strikes for ever, not once.
    """

    faults: tuple[Fault, ...]
    operations: tuple[Operation, ...]
    sees: Sight
    asked: tuple[int, int]
    effects: tuple[int, int]
    again: bool = False
    seconds: Sequence[float] = PLENTY
    paths: tuple[str, ...] = PATHS

    @property
    def often(self) -> str:
        return ", again and again" if self.again else ""


def exactly(number: int) -> tuple[int, int]:
    return number, number


def between(least: int, most: int) -> tuple[int, int]:
    return least, most


NOT_TAKEN = (wf.TURNED_AWAY, wf.NOT_OURS, wf.CALL_NOT_TAKEN)
NO_CONNECTION = (wf.TURNED_AWAY, wf.NOT_OURS, wf.MUTE)
REQUEST_LOST = (wf.REQUEST_CLOSED, wf.REQUEST_RESET)
ONLY_SLOW = (wf.REQUEST_LATE, wf.ANSWER_LATE, wf.LEAVING)

TABLE = [
    # nothing has reached the node, and the client knows it
    Row(NOT_TAKEN, READS, SUCCESS, asked=exactly(1), effects=exactly(0)),
    Row(NOT_TAKEN, WRITES, SUCCESS, asked=exactly(1), effects=exactly(1)),
    Row(NO_CONNECTION, ALL, IN_VAIN, asked=exactly(0), effects=exactly(0), again=True, seconds=SHORT),
    # the request was on its way: whether it arrived cannot be known, and here it did not
    Row(REQUEST_LOST, READS, SUCCESS, asked=exactly(1), effects=exactly(0)),
    Row(REQUEST_LOST, BLIND, AMBIGUOUS, asked=exactly(0), effects=exactly(0)),
    Row(REQUEST_LOST, CONDITIONAL, SUCCESS, asked=exactly(1), effects=exactly(1)),
    # the answer was on its way: the effect has taken place
    Row(wf.ANSWER_LOST, READS, SUCCESS, asked=exactly(2), effects=exactly(0)),
    Row(wf.ANSWER_LOST, BLIND, AMBIGUOUS, asked=exactly(1), effects=exactly(1)),
    Row(wf.ANSWER_LOST, CONDITIONAL, AMBIGUOUS, asked=between(2, 3), effects=exactly(1)),
    Row(wf.ANSWER_LOST, READS, IN_VAIN, asked=OFTEN, effects=exactly(0), again=True, seconds=SHORT),
    Row(wf.ANSWER_LOST, CONDITIONAL, AMBIGUOUS, asked=OFTEN, effects=exactly(1), again=True, seconds=SHORT),
    # late is not lost
    Row(ONLY_SLOW, READS, SUCCESS, asked=exactly(1), effects=exactly(0)),
    Row(ONLY_SLOW, WRITES, SUCCESS, asked=exactly(1), effects=exactly(1)),
    # no word at all: only the deadline ends it, and says nothing of the outcome
    Row((wf.REQUEST_SWALLOWED,), ALL, TOO_LATE, exactly(0), exactly(0), again=True, seconds=SHORT),
    Row((wf.ANSWER_SWALLOWED,), READS, TOO_LATE, exactly(1), exactly(0), again=True, seconds=SHORT),
    Row((wf.ANSWER_SWALLOWED,), WRITES, TOO_LATE, exactly(1), exactly(1), again=True, seconds=SHORT),
]


@pytest.fixture(autouse=True)
def slow_handshakes_are_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a handshake through this process takes longer than the second that DSTK gives it."""
    patient = {**grpc_options.CHANNEL[Profile.CALLS], "grpc.min_reconnect_backoff_ms": int(PLENTY[0] * 1000)}
    monkeypatch.setitem(grpc_options.CHANNEL, Profile.CALLS, patient)


def cases(table: Iterable[Row]) -> list[object]:
    return [
        pytest.param(
            path, fault, row, id=f"{path}: {', '.join(each.name for each in row.operations)}: {fault}{row.often}"
        )
        for row in table
        for path, fault in product(row.paths, row.faults)
    ]


@pytest.mark.parametrize(("path", "fault", "row"), cases(TABLE))
async def test_a_fault_of_the_transport(path: str, fault: Fault, row: Row) -> None:
    async def judge(operation: Operation) -> None:
        async def attempt(seconds: float) -> None:
            async with bed(path, seconds) as made:
                (made.wire.always if row.again else made.wire.once)(fault)
                await row.sees.judge(operation, path, made.client)
                assert made.wire.struck, "the fault must have happened"
                most = ASKED_A_SECOND * seconds if row.asked == OFTEN else row.asked[1]
                assert row.asked[0] <= made.asked <= most, f"asked {made.asked} times"
                assert row.effects[0] <= made.effects <= row.effects[1], f"done {made.effects} times"

        await holds_once(attempt, row.seconds)

    await all_at_once(judge, row.operations)


@pytest.mark.parametrize("path", [THICK, ROUTER])
async def test_nobody_listening_is_known_to_have_done_nothing(path: str) -> None:
    async def judge(operation: Operation) -> None:
        address = f"127.0.0.1:{free_port()}"

        async def attempt(seconds: float) -> None:
            async with scripted() as server:
                server.owns(map_entry(1), nodes={"storage-1": address})
                async with to_node(path, server, address, seconds) as client:
                    await IN_VAIN.judge(operation, path, client)

        await holds_once(attempt, SHORT)

    await all_at_once(judge, ALL)
