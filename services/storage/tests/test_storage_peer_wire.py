"""Replication's messages: what is cut and joined, and what is refused."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.appends import BAD_APPENDS, sized

from dstk.v1 import replication_pb2 as pb
from dstk_keytypes import InvalidInput, KeyRange, NodeId, PartitionId
from dstk_keytypes.limits import MAX_MESSAGE_BYTES
from dstk_service.errors import InvalidArgument
from dstk_storage.adapters import peer_parts, peer_wire
from dstk_storage.domain.history import START, Position
from dstk_storage.domain.log import Entry
from dstk_storage.domain.replication.ports import Append, Appended, PeerUnreachable, SnapshotChunk

P = PartitionId(1)
EVERYTHING = KeyRange()


def request_of(parts: list[peer_parts.Part]) -> pb.AppendRequest:
    request = pb.AppendRequest()
    for part in parts:
        peer_wire.write_append(request.appends.add(), part.append, part.entries, NodeId("b"))
    return request


sizes = st.lists(st.sampled_from([18, 1000, 300_000, 1 << 20, 3 << 20]), max_size=6)


@settings(max_examples=30)
@given(st.lists(sizes, max_size=5))
def test_messages_are_small_keep_the_order_and_have_one_part_of_a_partition(groups: list[list[int]]) -> None:
    group = [Append(PartitionId(n + 1), 1, EVERYTHING, sized(*each)) for n, each in enumerate(groups)]
    messages = list(peer_parts.messages(group))
    for parts in messages:
        places = [part.place for part in parts]
        assert places == sorted(set(places))
        single = len(parts) == 1 and len(parts[0].entries) == 1
        assert request_of(parts).ByteSize() <= (MAX_MESSAGE_BYTES if single else peer_parts.PART_BYTES)
    parts = [part for message in messages for part in message]
    for place, append in enumerate(group):
        mine = [part for part in parts if part.place == place]
        assert mine
        assert [entry for part in mine for entry in part.entries] == append.entries


def test_the_largest_entry_fits_into_a_message_whatever_its_records_and_a_larger_one_is_refused() -> None:
    many = 500_000
    fits = (peer_parts.MAX_ENTRY_BYTES - 64) // many - 16
    entry = Entry(START, 2**64 - 1, 1, [b"k"] * many, [bytes(fits - 1)] * many)
    bounds = KeyRange(b"a" * 1024, b"b" * 1024)
    (parts,) = peer_parts.messages([Append(PartitionId(2**64 - 1), 2**64 - 1, bounds, [entry])])
    assert request_of(parts).ByteSize() <= MAX_MESSAGE_BYTES
    with pytest.raises(PeerUnreachable, match="cannot be sent"):
        list(peer_parts.messages([Append(P, 1, EVERYTHING, sized(peer_parts.MAX_ENTRY_BYTES))]))


def test_an_append_is_accepted_when_all_its_parts_were() -> None:
    yes, no = (Appended(P, accepted, Position(1, 1), 1) for accepted in (True, False))
    last = Appended(P, accepted=True, position=Position(1, 2), promised=3)
    assert peer_parts.joined(None, last) == last
    assert peer_parts.joined(yes, last) == last
    assert peer_parts.joined(no, last) == Appended(P, accepted=False, position=Position(1, 2), promised=3)


@pytest.mark.parametrize("appends", BAD_APPENDS.values(), ids=BAD_APPENDS.keys())
def test_malformed_appends_are_refused(appends: list[pb.PartitionAppend]) -> None:
    with pytest.raises((InvalidArgument, InvalidInput)):
        peer_wire.read_appends(pb.AppendRequest(appends=appends))


BAD_COPIES = {
    "below": {"start": b"b", "keys": [b"c", b"a", b"b"], "records": [bytes(18)] * 3},
    "above": {"end": b"b", "keys": [b"a", b"b", b"a"], "records": [bytes(18)] * 3},
    "a key too few": {"keys": [b"b"], "records": [bytes(18)] * 2},
    "epochs descend": {"history": pb.LogHistory(terms=[pb.Term(epoch=2, first=1), pb.Term(epoch=1, first=5)], last=9)},
    "ends early": {"history": pb.LogHistory(terms=[pb.Term(epoch=2, first=3)], last=2)},
}


def test_a_copy_carries_entries_in_the_order_of_their_writes() -> None:
    keys, records = [b"b", b"a", b"b"], [bytes(18), bytes(19), bytes(20)]
    chunk = SnapshotChunk(P, 1, EVERYTHING, keys, records)
    assert peer_wire.read_chunk(peer_wire.snapshot_request(chunk)) == chunk


@pytest.mark.parametrize("fields", BAD_COPIES.values(), ids=BAD_COPIES.keys())
def test_malformed_copies_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises((InvalidArgument, InvalidInput)):
        peer_wire.read_chunk(pb.InstallSnapshotRequest(partition_id=1, epoch=1, **fields))
