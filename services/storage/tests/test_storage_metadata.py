"""What is written about partitions beside their records."""

from dataclasses import dataclass, field

import pytest
from kit.partitions import partition

from dstk_keytypes import PartitionId
from dstk_storage.domain import layout
from dstk_storage.domain.history import History, Term
from dstk_storage.domain.metadata import written

P = PartitionId(1)
BEFORE = History((Term(2, 1),), 5)


@dataclass(frozen=True, slots=True)
class Case:
    """What the partition's history will be, whether its own data have changed, and which of them are written."""

    name: str
    history: History | None
    changed: bool
    kinds: set[bytes] = field(default_factory=set)


CASES = [
    Case("a batch of the epoch before", BEFORE.extended(2, 6, 7), changed=False, kinds={b"p"}),
    Case("a batch of a new epoch", BEFORE.extended(3, 6, 7), changed=False, kinds={b"p", b"h"}),
    Case("a change", None, changed=True, kinds={b"r", b"c", b"p", b"h"}),
    # a merge makes a new log, and its primary writes on in the same epoch
    Case(
        "a change with a batch of the same epoch",
        BEFORE.extended(2, 6, 7),
        changed=True,
        kinds={b"r", b"c", b"p", b"h"},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_history_is_written_when_it_is_another(case: Case) -> None:
    changed = partition(P, epoch=2, history=BEFORE)
    found = dict(written({} if case.history is None else {changed: case.history}, [changed] if case.changed else []))
    assert {layout.decode_partition_key(key)[1] for key in found} == case.kinds
    assert layout.decode_position(found[layout.position_key(P)] or b"") == (case.history or BEFORE).position
    if b"h" in case.kinds:
        assert layout.decode_history(found[layout.history_key(P)] or b"") == (case.history or BEFORE).terms
