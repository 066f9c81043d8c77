"""Three nodes of pure state machines, the messages between them, which are lost, late and out of order, and the map."""

from collections.abc import Callable

from dstk_cluster.model import PartitionInfo
from dstk_keytypes import NodeId
from dstk_storage.domain.batch import Batch
from dstk_storage.domain.history import Position
from dstk_storage.domain.replication.actions import (
    Action,
    Admit,
    BumpEpoch,
    Commit,
    Elect,
    Evict,
    InstallSnapshot,
    SendHeartbeat,
    Ship,
)
from dstk_storage.domain.replication.heartbeats import HeartbeatResponse
from dstk_storage.domain.replication.ports import Vote
from dstk_storage.domain.replication.primary_handler import Sent
from kit.machines import A, B, C, P, PureNode, info_of

NODES = (A, B, C)
MOST_MESSAGES, MOST_DELIVERIES = 30, 300


class PureCluster:
    """`map`: the entry in etcd. `etcd`: what becomes of transactions. `messages`: on their way, each as what happens when it
    arrives. `cut`: pairs of sender and receiver between which everything is lost. `held`: nodes whose messages wait in `late`.
    `exiled`: nodes that do not reach etcd.
    """

    def __init__(self) -> None:
        self.now, self.map, self.incarnations = 0.0, info_of(A, B, C), 1
        self.nodes = {node: PureNode(node, self.map, 0.0, number) for number, node in enumerate(NODES, 1)}
        self.messages: list[Callable[[], None]] = []
        self.late: list[Callable[[], None]] = []
        self.acknowledged: dict[Position, bytes | None] = {}
        """What callers know of: answered writes, and (None) where a primary stood that could be read from."""
        self.disks: dict[NodeId, dict[Position, bytes]] = {node: {} for node in NODES}
        self.etcd = "done"
        self.cut: set[tuple[NodeId, NodeId]] = set()
        self.held: set[NodeId] = set()
        self.exiled: set[NodeId] = set()
        self.written = 0

    def tick(self, node: NodeId, seconds: float, etcd: str = "done") -> None:
        self.now, self.etcd = self.now + seconds, etcd
        machines = self.nodes[node].machines
        machines.tick(self.now, writing=None, is_corrupt=False)
        for peer in machines.leases.peers:
            self.send_heartbeat(node, peer)
        self.perform(node)

    def learn(self, node: NodeId) -> None:
        """The watch of the map arrives."""
        if node not in self.exiled:
            self.nodes[node].adopt(self.map, self.now)
            self.perform(node)

    def write(self) -> None:
        """A caller writes at each node that serves, at wrong ones too."""
        for node in self.serving():
            replica = self.nodes[node].replica
            batch = Batch(replica.partition, replica.log.assign(1))
            self.written += 1
            batch.keys.append(b"k")
            batch.records.append(b"\x01\x00record %d" % self.written)
            self.nodes[node].machines.primaries.propose(replica, batch)
            self.perform(node)

    def deliver(self) -> None:
        """What is on its way now arrives, in order, and so do the answers, unless the nodes never come to rest."""
        for _ in range(MOST_DELIVERIES):
            if self.messages:
                self.messages.pop(0)()

    def release(self) -> None:
        """What was held arrives now."""
        self.held.clear()
        late, self.late = self.late, []
        for arrives in late:
            arrives()

    def round(self, seconds: float) -> None:
        """Every node ticks, what was sent until then arrives, and every node learns the map."""
        for node in NODES:
            self.tick(node, seconds)
        for _ in range(len(self.messages)):
            self.messages.pop(0)()
        for node in NODES:
            self.learn(node)
        self.check()

    def heal(self) -> None:
        """Everything is connected again, and what was held arrives."""
        self.cut.clear()
        self.exiled.clear()
        self.release()
        self.time_out()

    def time_out(self) -> None:
        """Primaries give up the calls that have not been answered, and send again what may have been lost."""
        for me, node in self.nodes.items():
            replica = node.replica
            for target in replica.primary.followers if replica.primary is not None else ():
                if node.machines.primaries.unreachable(replica, target):
                    node.machines.outbox.add(Ship(replica, target))
            self.perform(me)

    def is_whole(self) -> bool:
        """Whether a primary serves with all replicas in sync."""
        return self.serving() == [self.map.primary] and len(self.map.in_sync) == len(NODES)

    def isolate(self, node: NodeId) -> None:
        """Nothing reaches this node, or comes from it."""
        self.cut = {pair for other in NODES if other != node for pair in ((node, other), (other, node))}

    def crash(self, node: NodeId) -> None:
        """What is on disk stays; promises are forgotten, and messages to the node may still arrive at the next process."""
        before = self.nodes[node].replica
        self.incarnations += 1
        started = PureNode(node, self.map, self.now, self.incarnations + 10, before.log.history)
        started.replica.partition.needs_snapshot = before.partition.needs_snapshot
        self.nodes[node] = started

    def serving(self) -> list[NodeId]:
        """The nodes that would answer a read."""
        return [node for node in NODES if self.serves(node)]

    def serves(self, node: NodeId) -> bool:
        replica = self.nodes[node].replica
        return replica.primary is not None and replica.primary.is_serving and replica.partition.lease.end > self.now

    def check(self) -> None:
        """What callers know of is on every replica in sync, and on every primary that serves."""
        for node in self.serving():
            self.check_has_everything(node, "would serve a stale read")
            self.acknowledged.setdefault(self.nodes[node].replica.log.position, None)
        for node in self.map.in_sync:
            self.check_has_everything(node, "is in sync, and lacks what callers know of")

    def check_has_everything(self, node: NodeId, otherwise: str) -> None:
        history, disk = self.nodes[node].replica.log.history, self.disks[node]
        for position, record in self.acknowledged.items():
            assert history.contains(position), f"{node} {otherwise}: {position}"
            assert record is None or disk[position] == record, f"{node} {otherwise}: another write at {position}"

    def perform(self, me: NodeId) -> None:
        node = self.nodes[me]
        while actions := node.machines.outbox.drain():
            node.publish()
            for action in actions:
                self.perform_one(me, node, action)
        node.publish()

    def perform_one(self, me: NodeId, node: PureNode, action: Action) -> None:
        match action:
            case Ship(_, target):
                if (sent := node.has_for(target)) is not None:
                    self.post(me, target, lambda: self.deliver_append(me, node, target, sent))
            case Commit(_, batches):
                for batch in batches:
                    node.apply(batch.position)
                    self.disks[me][batch.position] = self.acknowledged[batch.position] = batch.records[0]
            case SendHeartbeat(target):
                self.send_heartbeat(me, target)
            case Elect():
                self.elect(node)
            case InstallSnapshot(_, target, progress):
                self.install(me, target)
                progress.is_installing = False
                progress.probe()
            case _:
                self.change_map(node, action)

    def change_map(self, node: PureNode, action: Action) -> None:
        updater = node.machines.updater
        new: PartitionInfo | None = None
        match action:
            case Evict(replica, gone):
                new = updater.eviction(replica, gone)
                if replica.primary is not None and (new is None or self.change(node, new)):
                    updater.evicted(replica, gone)
                return
            case Admit(replica, target):
                new = updater.admission(replica, target)
            case BumpEpoch(replica, promised):
                new = updater.bumped(replica, promised)
        if new is not None:
            self.change(node, new)

    def change(self, node: PureNode, new: PartitionInfo) -> bool:
        """One transaction of a primary: it compares, may happen although nobody hears of it, or may be lost."""
        replica, primary, updater = node.replica, node.replica.primary, node.machines.updater
        if primary is None or not updater.attempt(primary, new):
            return False
        etcd = "lost" if replica.me in self.exiled else self.etcd
        succeeds = etcd != "lost" and self.map == replica.info
        before, self.map = self.map, new if succeeds else self.map
        primary.is_changing = False
        if etcd != "done":
            return False
        if not succeeds:
            updater.correct(replica, primary, before, self.now)
            return False
        return updater.conclude(replica, primary, new, self.now)

    def elect(self, node: PureNode) -> None:
        replica, elections = node.replica, node.machines.elections
        replica.is_electing = False
        if (grant := replica.valid_grant()) is not None:
            elections.succeed(replica, grant, self.now)
            return
        ballot = elections.begin(replica, self.now)
        if ballot is None:
            return
        votes = {
            voter: vote
            for voter in ballot.voters
            if (vote := self.vote(replica.me, voter, ballot.epoch, ballot.info)) is not None
        }
        new = elections.count(replica, ballot, votes, self.now)
        if new is not None and self.etcd != "lost" and replica.me not in self.exiled and self.map == ballot.info:
            self.map = new
            if self.etcd == "done":
                elections.win(replica, ballot, new, self.now)

    def vote(self, candidate: NodeId, voter: NodeId, epoch: int, info: PartitionInfo) -> Vote | None:
        if {(candidate, voter), (voter, candidate)} & self.cut or {candidate, voter} & self.held:
            return None
        node = self.nodes[voter]
        handler, replica = node.machines.followers, node.replica
        if replica.info.epoch < info.epoch or not handler.may_vote(replica, epoch):
            return None
        vote = handler.vote(replica, epoch, self.now) or Vote(replica.log.position, replica.promised)
        self.perform(voter)
        return vote

    def install(self, source: NodeId, target: NodeId) -> None:
        sender, replica = self.nodes[source].replica, self.nodes[target].replica
        if replica.primary is None and sender.promised >= replica.promised and target not in self.map.in_sync:
            replica.promise(sender.promised)
            replica.log.reset(sender.log.history)
            replica.partition.needs_snapshot = False
            self.disks[target] = dict(self.disks[source])

    def send_heartbeat(self, me: NodeId, target: NodeId) -> None:
        node, sent = self.nodes[me], self.now
        heartbeat = node.machines.leases.heartbeat(target)

        def deliver() -> None:
            response = self.nodes[target].machines.followers.heartbeat(heartbeat, self.now)
            self.perform(target)
            self.post(target, me, lambda: answer(response))

        def answer(response: HeartbeatResponse) -> None:
            if self.nodes[me] is node:
                refusals = node.machines.leases.answer(target, sent, response)
                node.machines.primaries.heartbeat_answered(node.machines.replicas, target, refusals)
                self.perform(me)

        self.post(me, target, deliver)

    def deliver_append(self, me: NodeId, node: PureNode, target: NodeId, sent: Sent) -> None:
        follower = self.nodes[target]
        handler = follower.machines.followers
        taken = handler.take(sent.append)
        for each in taken.entries if taken is not None else ():
            follower.apply(each.position)
            self.disks[target][each.position] = each.records[0]
        answer = handler.answer(sent.append, accepted=taken is not None, is_persisted=True)
        self.perform(target)

        def answered() -> None:
            if self.nodes[me] is node:
                node.machines.primaries.appended(target, node.machines.replicas.get(P), sent, answer, self.now)
                self.perform(me)

        self.post(target, me, answered)

    def post(self, sender: NodeId, receiver: NodeId, arrives: Callable[[], None]) -> None:
        """On its way; lost when the two are cut off from each other by the time that it would arrive."""

        def arrive() -> None:
            if (sender, receiver) not in self.cut:
                arrives()

        if sender in self.held:
            self.late.append(arrives)
        elif len(self.messages) < MOST_MESSAGES:
            self.messages.append(arrive)
