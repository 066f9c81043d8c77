"""Replication's messages as protobuf, both ways, and the checks of what comes in.

Keys and records go in and out as whole columns, which protobuf copies in C: a record costs no Python of its own. What is read
raises InvalidArgument, or InvalidInput for ids and ranges, naming the field.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

from dstk.v1 import replication_pb2 as pb
from dstk_keytypes import KeyRange, NodeId, PartitionId, limits
from dstk_service.errors import InvalidArgument, shown
from dstk_service.trace import SPAN_ID_BYTES, TraceContext, decoded, derived_id
from dstk_storage.domain.history import History, Position, Term
from dstk_storage.domain.layout import HEADER_BYTES, HEADER_EXPIRES_BYTES
from dstk_storage.domain.log import Entry
from dstk_storage.domain.replication.heartbeats import Claim, Heartbeat, HeartbeatResponse
from dstk_storage.domain.replication.ports import Append, Appended, Digest, SnapshotChunk, Vote
from dstk_storage.domain.room import Room

ADDRESSEE = "dstk-to"
"""The metadata of each call: the id of the node that it is meant for."""

MAX_RECORD_BYTES = HEADER_EXPIRES_BYTES + limits.MAX_VALUE_BYTES


def sent_context(entry: TraceContext, node: NodeId) -> TraceContext:
    """The context of sending an entry to a node. It follows from the two, so that the encoder need not tell it to anybody."""
    return entry.child(derived_id(SPAN_ID_BYTES, entry.span_id, node))


def write_append(target: pb.PartitionAppend, append: Append, entries: Iterable[Entry], node: NodeId) -> None:
    """Fills in an append to a node with some of its entries."""
    target.partition_id, target.epoch = append.partition, append.epoch
    target.start, target.end = append.range.start, append.range.end or b""
    target.known_from = append.known_from
    add = target.entries.add
    for entry in entries:
        epoch, sequence = entry.previous
        message = add(epoch=entry.epoch, first=entry.first, keys=entry.keys, records=entry.records)
        message.previous.epoch, message.previous.sequence = epoch, sequence
        if entry.trace is not None:
            message.trace = sent_context(entry.trace, node).encoded()


def read_appends(request: pb.AppendRequest) -> list[Append]:
    """Checked; at most one for each partition."""
    appends = [_read_append(message) for message in request.appends]
    if len({append.partition for append in appends}) < len(appends):
        raise InvalidArgument("appends", f"{len(appends)} appends", "of different partitions")
    return appends


def _read_append(message: pb.PartitionAppend) -> Append:
    key_range = _range(message.start, message.end)
    entries = list(map(_read_entry, message.entries))
    return Append(_partition(message.partition_id), message.epoch, key_range, entries, message.known_from)


def _read_entry(message: pb.LogEntry) -> Entry:
    previous = Position(message.previous.epoch, message.previous.sequence)
    epoch, first = message.epoch, message.first
    keys, records = message.keys[:], message.records[:]
    if not keys:
        raise InvalidArgument("keys", "0 keys", "at least one key an entry")
    if epoch < max(1, previous.epoch):
        raise InvalidArgument("epoch", str(epoch), f"at least 1, and that of the position before, {previous.epoch}")
    if first <= previous.seq:
        raise InvalidArgument("first", str(first), f"above the sequence number before, {previous.seq}")
    _check_columns(keys, records)
    return Entry(previous, epoch, first, keys, records, decoded(message.trace))


def write_appended(target: pb.PartitionAppended, answer: Appended) -> None:
    """Fills in an answer."""
    target.partition_id, target.accepted, target.promised = answer.partition, answer.accepted, answer.promised
    target.needs_snapshot, target.behind = answer.needs_snapshot, answer.behind
    target.refuses_writes = answer.refuses_writes
    target.position.epoch, target.position.sequence = answer.position
    if answer.room:
        target.room, target.snapshot_room = pb.DiskRoom.ValueType(answer.room), answer.snapshot_room


def read_appended(message: pb.PartitionAppended) -> Appended:
    """The reverse of `write_appended`."""
    return Appended(
        _partition(message.partition_id),
        message.accepted,
        _read_position(message.position),
        message.promised,
        message.needs_snapshot,
        message.behind,
        message.refuses_writes,
        Room(min(message.room, Room.EXHAUSTED)),
        message.snapshot_room,
    )


def heartbeat_request(heartbeat: Heartbeat) -> pb.HeartbeatRequest:
    """A sign of life."""
    request = pb.HeartbeatRequest(
        sender=heartbeat.sender, session=heartbeat.session, base=heartbeat.base, version=heartbeat.version
    )
    for partition, claim in heartbeat.claims.items():
        if claim is None:
            request.claims.add(partition_id=partition, withdrawn=True)
        else:
            request.claims.add(partition_id=partition, epoch=claim.epoch, leads=claim.leads)
    return request


def read_heartbeat(request: pb.HeartbeatRequest) -> Heartbeat:
    """The reverse of `heartbeat_request`."""
    if request.version < max(1, request.base):
        raise InvalidArgument("version", str(request.version), f"at least 1, and its base, {request.base}")
    claims = {_partition(each.partition_id): _read_claim(each) for each in request.claims}
    return Heartbeat(NodeId(request.sender), request.session, request.base, request.version, claims)


def _read_claim(message: pb.Claim) -> Claim | None:
    return None if message.withdrawn else Claim(message.epoch, message.leads)


def heartbeat_response(response: HeartbeatResponse) -> pb.HeartbeatResponse:
    """What is heard and followed of a node's claims."""
    message = pb.HeartbeatResponse(session=response.session, version=response.version)
    for partition, epoch in response.refused.items():
        message.refused.add(partition_id=partition, epoch=epoch)
    return message


def read_heartbeat_response(message: pb.HeartbeatResponse) -> HeartbeatResponse:
    """The reverse of `heartbeat_response`."""
    refused = {_partition(each.partition_id): each.epoch for each in message.refused}
    return HeartbeatResponse(message.session, message.version, refused)


def read_vote_requests(request: pb.RequestVoteRequest) -> list[tuple[PartitionId, int, int]]:
    """Partitions, with the epochs that their candidates want and those that they know of."""
    return [(_partition(each.partition_id), each.epoch, each.known) for each in request.votes]


def request_vote_response(votes: Iterable[Vote | None]) -> pb.RequestVoteResponse:
    """Where replicas stand, as far as there are any."""
    return pb.RequestVoteResponse(votes=map(_vote, votes))


def read_vote_responses(response: pb.RequestVoteResponse, asked: int) -> list[Vote | None]:
    """The reverse of `request_vote_response`."""
    if len(response.votes) != asked:
        raise InvalidArgument("votes", f"{len(response.votes)} votes", f"one for each question, {asked}")
    return [_read_vote_response(each) if each.found else None for each in response.votes]


def _vote(vote: Vote | None) -> pb.VoteResponse:
    if vote is None:
        return pb.VoteResponse()
    position = pb.Position(epoch=vote.position.epoch, sequence=vote.position.seq)
    return pb.VoteResponse(found=True, position=position, promised=vote.promised, claims=vote.claims)


def _read_vote_response(message: pb.VoteResponse) -> Vote:
    return Vote(_read_position(message.position), message.promised, message.claims)


def snapshot_request(chunk: SnapshotChunk) -> pb.InstallSnapshotRequest:
    """A piece of a snapshot."""
    return pb.InstallSnapshotRequest(
        partition_id=chunk.partition,
        epoch=chunk.epoch,
        start=chunk.range.start,
        end=chunk.range.end or b"",
        first=chunk.first,
        keys=chunk.keys,
        records=chunk.records,
        history=None if chunk.history is None else _history(chunk.history),
        attempt=chunk.attempt,
    )


def read_chunk(request: pb.InstallSnapshotRequest) -> SnapshotChunk:
    """Checked: keys are inside the range. They need not ascend, nor differ: what was written since the snapshot began comes
    in the order in which it was written.
    """
    key_range = KeyRange(request.start, request.end or None)
    keys, records = request.keys[:], request.records[:]
    _check_columns(keys, records)
    for key in (min(keys), max(keys)) if keys else ():
        if not key_range.contains(key):
            raise InvalidArgument("keys", shown(key), "inside the range of the partition")
    history = _read_history(request.history) if request.HasField("history") else None
    partition = PartitionId(request.partition_id)
    first, attempt = request.first, request.attempt
    return SnapshotChunk(partition, request.epoch, key_range, keys, records, first, history, attempt)


def digest_request(partition: PartitionId, key_range: KeyRange) -> pb.DigestRequest:
    """Asks for the checksum of a range."""
    return pb.DigestRequest(partition_id=partition, start=key_range.start, end=key_range.end or b"")


def digest_response(digest: Digest | None) -> pb.DigestResponse:
    """A checksum, if there is a whole replica."""
    if digest is None:
        return pb.DigestResponse()
    position = pb.Position(epoch=digest.position.epoch, sequence=digest.position.seq)
    return pb.DigestResponse(
        found=True, digest=digest.digest, records=digest.records, bytes=digest.bytes, position=position
    )


def read_digest(response: pb.DigestResponse) -> Digest | None:
    """The reverse of `digest_response`."""
    if not response.found:
        return None
    return Digest(response.digest, response.records, response.bytes, _read_position(response.position))


def _history(history: History) -> pb.LogHistory:
    return pb.LogHistory(terms=[pb.Term(epoch=epoch, first=first) for epoch, first in history.terms], last=history.last)


def _read_history(message: pb.LogHistory) -> History:
    terms, last = tuple(Term(term.epoch, term.first) for term in message.terms), message.last
    ascending = all(before.epoch < after.epoch and before.first < after.first for before, after in pairwise(terms))
    if not ascending or (terms and terms[-1].first > last):
        raise InvalidArgument(
            "history", f"{terms} up to {last}", "terms of ascending epochs and numbers up to the last"
        )
    return History(terms, last)


def _partition(number: int) -> PartitionId:
    """Of a uint64 only 0 is no id: a quarter of the time that PartitionId itself takes to look."""
    return int.__new__(PartitionId, number) if number else PartitionId(number)


@lru_cache(4096)
def _range(start: bytes, end: bytes) -> KeyRange:
    """The same few ranges come with every message."""
    return KeyRange(start, end or None)


def _read_position(message: pb.Position) -> Position:
    return Position(message.epoch, message.sequence)


def _check_columns(keys: Sequence[bytes], records: Sequence[bytes]) -> None:
    """Refuses keys and records of different number, and those beyond the limits; the usual case is decided in C."""
    if len(keys) != len(records):
        raise InvalidArgument("records", f"{len(records)} records", f"as many as keys, which are {len(keys)}")
    if keys:
        _check_sizes("keys", keys, 1, limits.MAX_KEY_BYTES)
        _check_sizes("records", records, HEADER_BYTES, MAX_RECORD_BYTES)


def _check_sizes(field: str, column: Sequence[bytes], least: int, most: int) -> None:
    sizes = list(map(len, column))
    if least <= min(sizes) and max(sizes) <= most:
        return
    at = next(i for i, size in enumerate(sizes) if not least <= size <= most)
    raise InvalidArgument(f"{field}[{at}]", shown(column[at]), f"{least}..{most} bytes")
