"""What a caller sees when a node answers with an error, or with none, and how often the node is asked.

The node answers as scripted: the outcomes of one operation's tries in their order, the last one for ever.
"""

from dataclasses import dataclass
from typing import Any

import pytest
from kit.map_entries import map_entry

from dstk_client import Client
from dstk_service.errors import (
    AlreadyExists,
    DeadlineExceeded,
    DiskFull,
    DstkError,
    EtagMismatched,
    Internal,
    InvalidArgument,
    NotOwner,
    NotServing,
    Overloaded,
    Quarantined,
    WriteAmbiguous,
)
from dstk_service.testing import PATIENCE_SECONDS
from rpc.judging import all_at_once
from rpc.operations import (
    BLIND,
    BULK,
    CONDITIONAL,
    HERE,
    NEW,
    PAGE,
    PUT_IF_ABSENT,
    READS,
    SCAN,
    WRITES,
    Operation,
)
from rpc.paths import PATHS, ROUTER, Bed, bed

LANES = tuple(each for each in (*READS, *WRITES) if each not in {SCAN, PAGE, BULK})
"""What travels in Execute messages. A scan and a bulk insert are calls of their own."""
DOES = "does what it is asked"

BUSY, STARTING = Overloaded("full", 0.01), NotServing("starting", 0.01)
STALE = NotOwner(map_entry(1, epoch=1), "")
BARE = NotOwner(None, "")
UNKNOWN = WriteAmbiguous("the disk failed")


@dataclass(frozen=True, slots=True)
class Row:
    """One promise. `sees`: the error; None: success. `asked`: how often the node is asked on the thick client's path; through
    a router at most once more, and at least as often. `effects`: how often what was asked for is done.
    """

    what: str
    operations: tuple[Operation, ...]
    script: tuple[Any, ...]
    sees: type[DstkError] | None
    asked: int
    effects: int = 0
    paths: tuple[str, ...] = PATHS


def lanes(*operations: Operation) -> tuple[Operation, ...]:
    return tuple(each for each in operations if each in LANES)


TABLE = [
    # refusals: nothing was done
    Row("a full queue", READS, (BUSY, DOES), None, 2),
    Row("a full queue", WRITES, (BUSY, DOES), None, 2, effects=1),
    Row("a node that is not serving yet", WRITES, (STARTING, STARTING, DOES), None, 3, effects=1),
    Row("a stale entry of the map", READS, (STALE, DOES), None, 2),
    Row("a stale entry of the map", WRITES, (STALE, STALE, DOES), None, 3, effects=1),
    Row("another owner that nobody knows yet", WRITES, (BARE, DOES), None, 2, effects=1),
    Row("a node that is stopping", lanes(*READS), ("leave", DOES), None, 2),
    Row("a node that is stopping", lanes(*WRITES), ("leave", DOES), None, 2, effects=1),
    # the outcome is not known
    Row("a stream that ends", lanes(*READS), ("break", DOES), None, 2),
    Row("a stream that ends", lanes(*BLIND), ("break", DOES), WriteAmbiguous, 1),
    Row("a stream that ends", CONDITIONAL, ("break", DOES), None, 2, effects=1),
    Row("an answer without its result", lanes(*READS), ("lose", DOES), None, 2),
    Row("an answer without its result", lanes(*BLIND), ("lose", DOES), WriteAmbiguous, 1),
    Row("an unknown outcome by the node", READS, (UNKNOWN, DOES), None, 2),
    Row("an unknown outcome by the node", BLIND, (UNKNOWN, DOES), WriteAmbiguous, 1),
    Row("an unknown outcome by the node", CONDITIONAL, (UNKNOWN, DOES), None, 2, effects=1),
    Row("its own first try in the way", CONDITIONAL, ("break", EtagMismatched(3)), WriteAmbiguous, 2),
    Row("a full disk behind its own first try", CONDITIONAL, ("break", DiskFull("no space", 1)), WriteAmbiguous, 2),
    # what ends it
    Row("a precondition", CONDITIONAL, (EtagMismatched(3),), EtagMismatched, 1),
    Row("a precondition after a refusal", (PUT_IF_ABSENT,), (BUSY, AlreadyExists(3)), AlreadyExists, 2),
    Row("a bad argument", (*READS, *WRITES), (InvalidArgument("key", "k", "other"),), InvalidArgument, 1),
    Row("a full disk", WRITES, (DiskFull("no space", 1),), DiskFull, 1),
    Row("a corrupt partition", (*READS, *WRITES), (Quarantined("partition 1"),), Quarantined, 1),
    Row("a defect of the node", (*READS, *WRITES), (Internal("oops"),), Internal, 1),
    Row("a deadline of the node's own", WRITES, (DeadlineExceeded("etcd"),), DeadlineExceeded, 1),
]


def play(made: Bed, row: Row) -> None:
    """Scripts it for whatever the operation asks."""
    store = made.store
    for key in (HERE, NEW):
        made.server.script(key, *(store.operation if each is DOES else each for each in row.script))
    made.server.pages.clear()
    made.server.pages.extend(store.page if each is DOES else each for each in row.script)
    made.server.bulks.clear()
    made.server.bulks.extend(store.bulk if each is DOES else each for each in row.script)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("row", [pytest.param(row, id=f"{row.what}: {row.operations[0].name}...") for row in TABLE])
async def test_what_a_node_answers(path: str, row: Row) -> None:
    async def judge(operation: Operation) -> None:
        async with bed(path, PATIENCE_SECONDS) as made:
            play(made, row)
            await _sees(row.sees, operation, made.client)
            assert row.asked <= made.asked <= row.asked + (path == ROUTER), f"asked {made.asked} times"
            assert made.effects == row.effects, f"done {made.effects} times"

    await all_at_once(judge, row.operations)


async def _sees(error: type[DstkError] | None, operation: Operation, client: Client) -> None:
    if error is None:
        assert operation.check(await operation.call(client))
        return
    with pytest.raises(error):
        await operation.call(client)
