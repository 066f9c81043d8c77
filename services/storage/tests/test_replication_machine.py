"""Three nodes of pure state machines: messages are lost, late and out of order, nodes crash, etcd comes and goes. What was
acknowledged is on every replica in sync, and every primary that serves has it.
"""

from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from kit.logs import RECORD
from kit.machines import A, B, C, P, PureNode, info_of

from dstk_cluster.model import PartitionInfo
from dstk_keytypes import NodeId
from dstk_storage.domain.batch import Batch
from dstk_storage.domain.history import History, Position
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

NODES = (A, B, C)
MOST_MESSAGES = 30

nodes = st.sampled_from(NODES)
outcomes = st.sampled_from(["done", "done", "done", "done, unknown", "lost"])


class Replicas(RuleBasedStateMachine):
    """`map`: the entry in etcd; `messages`: on their way, each as what happens when it arrives."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.map, self.incarnations = 0.0, info_of(A, B, C), 1
        self.nodes = {node: PureNode(node, self.map, 0.0, number) for number, node in enumerate(NODES, 1)}
        self.messages: list[Callable[[], None]] = []
        self.acknowledged: list[Position] = []
        self.etcd = "done"
        self.unreachable: dict[NodeId, None] = {}

    @rule(node=nodes, seconds=st.sampled_from([0.0, 0.05, 0.1, 0.3]), etcd=outcomes)
    def tick(self, node: NodeId, seconds: float, etcd: str) -> None:
        self.now, self.etcd = self.now + seconds, etcd
        machines = self.nodes[node].machines
        machines.tick(self.now, writing=None, is_corrupt=False)
        for peer in machines.leases.peers:
            self.send_heartbeat(node, peer)
        self.perform(node)

    @rule(node=nodes)
    def learn(self, node: NodeId) -> None:
        """The watch of the map arrives."""
        self.nodes[node].adopt(self.map, self.now)
        self.perform(node)

    @rule(count=st.integers(1, 3), at_once=st.booleans())
    def write(self, count: int, at_once: bool) -> None:
        """Callers find every node that serves, wrong ones too. `at_once`: everything arrives before anything else happens."""
        for node in [node for node in NODES if self.serves(node)] * count:
            replica = self.nodes[node].replica
            batch = Batch(replica.partition, replica.log.assign(1))
            batch.keys.append(b"k")
            batch.records.append(RECORD)
            self.nodes[node].machines.primaries.propose(replica, batch)
            self.perform(node)
        while at_once and self.messages:
            self.messages.pop(0)()

    @rule(which=st.integers(0, MOST_MESSAGES), drops=st.booleans(), repeats=st.booleans())
    def message(self, which: int, drops: bool, repeats: bool) -> None:
        """One of the oldest arrives, or is lost."""
        if self.messages:
            arrives = self.messages.pop(which % len(self.messages))
            if repeats:
                self.messages.append(arrives)
            if not drops or repeats:
                arrives()

    @initialize()
    def start(self) -> None:
        self.calm(12, 0.05)

    @rule(node=nodes)
    def cut(self, node: NodeId) -> None:
        """Nothing reaches this one node, or comes from it, until `heal`."""
        self.unreachable = {node: None}

    @rule()
    def heal(self) -> None:
        self.unreachable = {}
        self.calm(12, 0.1)

    @rule(count=st.integers(1, 12), seconds=st.sampled_from([0.0, 0.05, 0.1]))
    def calm(self, count: int, seconds: float) -> None:
        """Everything that is not cut off arrives in order for a while, or most schedules would never serve."""
        for _ in range(count):
            for node in NODES:
                self.tick(node, seconds, "done")
            for _ in range(len(self.messages)):
                self.messages.pop(0)()
            for node in NODES:
                self.learn(node)

    @rule(node=nodes)
    def crash(self, node: NodeId) -> None:
        """What is on disk stays; promises are forgotten, and messages to the node may still arrive at the next process."""
        before = self.nodes[node].replica
        self.incarnations += 1
        started = PureNode(node, self.map, self.now, self.incarnations + 10, before.log.history)
        started.replica.partition.needs_snapshot = before.partition.needs_snapshot
        self.nodes[node] = started

    @invariant()
    def what_was_acknowledged_is_on_every_replica_in_sync(self) -> None:
        for node in self.map.in_sync:
            history = self.nodes[node].replica.log.history
            assert all(history.contains(each) for each in self.acknowledged), f"{node} lacks an acknowledged write"

    @invariant()
    def a_primary_that_serves_has_everything_that_was_acknowledged(self) -> None:
        for node in NODES:
            history = self.nodes[node].replica.log.history
            if self.serves(node):
                assert all(history.contains(each) for each in self.acknowledged), f"{node} would serve a stale read"

    def serves(self, node: NodeId) -> bool:
        replica = self.nodes[node].replica
        return replica.primary is not None and replica.primary.is_serving and replica.partition.lease.end > self.now

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
                    self.acknowledged.append(batch.position)
            case SendHeartbeat(target):
                self.send_heartbeat(me, target)
            case Elect():
                self.elect(node)
            case InstallSnapshot(replica, target, progress):
                self.install(replica.log.history, target, replica.promised)
                progress.is_installing = False
                progress.probe()
            case _:
                self.change_map(node, action)

    def change_map(self, node: PureNode, action: Action) -> None:
        updater = node.machines.updater
        new: PartitionInfo | None = None
        match action:
            case Evict(replica, gone):
                members = [each for each in gone if each in replica.info.in_sync]
                new = updater.eviction(replica, gone)
                if replica.primary is not None and (new is None or self.change(node, new)):
                    updater.evicted(replica, gone, members)
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
        succeeds = self.etcd != "lost" and self.map == replica.info
        before, self.map = self.map, new if succeeds else self.map
        primary.is_changing = False
        if self.etcd != "done":
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
        ballot = elections.begin(replica)
        votes = {
            voter: vote
            for voter in ballot.voters
            if (vote := self.vote(replica.me, voter, ballot.epoch, ballot.info)) is not None
        }
        new = elections.count(replica, ballot, votes, self.now)
        if new is not None and self.etcd != "lost" and self.map == ballot.info:
            self.map = new
            if self.etcd == "done":
                elections.win(replica, ballot, new, self.now)

    def vote(self, candidate: NodeId, voter: NodeId, epoch: int, info: PartitionInfo) -> Vote | None:
        if voter in self.unreachable or candidate in self.unreachable:
            return None
        node = self.nodes[voter]
        handler, replica = node.machines.followers, node.replica
        if replica.info.epoch < info.epoch or not handler.may_vote(replica, epoch):
            return None
        vote = handler.vote(replica, epoch, self.now) or Vote(replica.log.position, replica.promised)
        self.perform(voter)
        return vote

    def install(self, history: History, target: NodeId, epoch: int) -> None:
        replica = self.nodes[target].replica
        if replica.primary is None and epoch >= replica.promised and target not in self.map.in_sync:
            replica.promise(epoch)
            replica.log.reset(history)
            replica.partition.needs_snapshot = False

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
        answer = handler.answer(sent.append, accepted=taken is not None, is_persisted=True)
        self.perform(target)

        def answered() -> None:
            if self.nodes[me] is node:
                node.machines.primaries.appended(target, node.machines.replicas.get(P), sent, answer, self.now)
                self.perform(me)

        self.post(target, me, answered)

    def post(self, sender: NodeId, receiver: NodeId, arrives: Callable[[], None]) -> None:
        """On its way; lost when either end is cut off by the time that it would arrive."""

        def arrive() -> None:
            if sender not in self.unreachable and receiver not in self.unreachable:
                arrives()

        if len(self.messages) < MOST_MESSAGES:
            self.messages.append(arrive)


TestReplicas = Replicas.TestCase
TestReplicas.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
