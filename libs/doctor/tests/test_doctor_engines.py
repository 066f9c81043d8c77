"""The doctor on data at rest: engines that were replaced, what is kept of them, and partitions that nobody holds whole."""

import pytest
from kit import statuses
from kit.examined import NOW, FakeFacts, kinds, only

from dstk.v1 import admin_pb2
from dstk_doctor.examine import examine
from dstk_doctor.facts import Severity

KEPT = "/data/storage 3/leveldb.damaged-1"


def replace_engine(well: FakeFacts, name: str = "storage-3", *kept: str) -> None:
    engine = admin_pb2.EngineStatus(id="e2", replaced_reason="CURRENT is missing", made_at_ms=NOW, kept=kept)
    well.nodes[name].engine.CopyFrom(engine)


def lose(well: FakeFacts, *names: str) -> None:
    for name in names:
        replace_engine(well, f"storage-{name}", f"/{name}/leveldb.damaged-1")
        well.replica(1, name, {"needs_snapshot": True, "quarantined": len(names) == 1, "primary": False})


def test_while_a_node_is_copied_anew_it_is_said_why_and_where_the_old_files_are(well: FakeFacts) -> None:
    replace_engine(well, "storage-3", KEPT)
    well.entries[0] = statuses.entry(1, "12/3", end=b"m")
    well.replica(1, "3", {"needs_snapshot": True})
    found = only(examine(well.facts()), "engine_replaced")
    assert found.severity is Severity.WARNING
    assert found.where == "storage-3"
    for part in ("CURRENT is missing", "partition 1 still to be copied", KEPT):
        assert part in found.what


def test_when_all_is_copied_the_old_files_can_go(well: FakeFacts) -> None:
    replace_engine(well, "storage-3", KEPT)
    (found,) = examine(well.facts())
    assert (found.kind, found.severity) == ("engine_kept", Severity.NOTE)
    assert found.run == f"rm -r '{KEPT}'"


def test_an_engine_that_was_replaced_long_ago_and_is_whole_is_no_trouble(well: FakeFacts) -> None:
    replace_engine(well)
    assert examine(well.facts()) == []


def test_a_partition_that_nobody_in_sync_holds_whole_is_lost_and_who_has_an_older_one_is_named(well: FakeFacts) -> None:
    well.entries[0] = statuses.entry(1, "12/3", end=b"m")
    well.not_serving = [1]
    lose(well, "1", "2")
    found = only(examine(well.facts()), "lost")
    assert found.severity is Severity.ERROR
    for part in ("storage-1, storage-2", "storage-1:/1/leveldb.damaged-1", "storage-2:/2/leveldb.damaged-1"):
        assert part in found.what
    assert found.run == "dstk partitions repair 1 --force-primary storage-3"


def test_what_one_node_alone_had_is_lost_rather_than_quarantined_for_a_block(well: FakeFacts) -> None:
    well.entries[0] = statuses.entry(1, "1", end=b"m")
    well.not_serving = [1]
    lose(well, "1")
    found = examine(well.facts())
    assert not {"quarantined", "needs_snapshot", "no_primary"} & set(kinds(found)), (
        "it is not copied, and no start helps"
    )
    assert only(found, "lost").run == "dstk partitions show 1"


@pytest.mark.parametrize("silent", [True, False])
def test_while_another_in_sync_may_still_have_it_nothing_is_called_lost(well: FakeFacts, silent: bool) -> None:
    well.entries[0] = statuses.entry(1, "12/3", end=b"m")
    lose(well, "1")
    if silent:
        well.replica(1, "2", None)
    assert "lost" not in kinds(examine(well.facts()))
