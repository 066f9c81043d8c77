"""Three nodes of pure state machines: messages are lost, late and out of order, nodes crash, etcd comes and goes. What callers
know of is on every replica in sync, and every primary that serves has it.

Hypothesis leaves some rules out of each run. So rules that break something write, too, and let time pass: else half of the runs
would acknowledge nothing, and few would see a second term.
"""

from hypothesis import event, settings, target
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from kit.pure_cluster import MOST_MESSAGES, NODES, PureCluster

from dstk_keytypes import NodeId

ROUND_SECONDS = 0.06
"""How far each node's tick moves the time within a round: a round takes 0.18 s, a fifth of the grace period."""

MOST_ROUNDS, MOST_ROUNDS_TO_HEAL = 12, 200

nodes = st.sampled_from(NODES)
outcomes = st.sampled_from(["done", "done", "done", "done, unknown", "lost"])
steps = st.sampled_from([0.0, 0.05, 0.1, 0.3])


class Replicas(RuleBasedStateMachine):
    """Rules are events, or short scenarios after which the interesting ones follow more often than by chance."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = PureCluster()

    @initialize()
    def start(self) -> None:
        self.recover(MOST_ROUNDS)

    @rule(node=nodes, seconds=steps, etcd=outcomes)
    def tick(self, node: NodeId, seconds: float, etcd: str) -> None:
        self.cluster.tick(node, seconds, etcd)

    @rule(node=nodes)
    def learn(self, node: NodeId) -> None:
        self.cluster.learn(node)

    @rule(count=st.integers(1, 3), at_once=st.booleans())
    def write(self, count: int, at_once: bool) -> None:
        """`at_once`: everything arrives before anything else happens."""
        for _ in range(count):
            self.cluster.write()
        if at_once:
            self.cluster.deliver()

    @rule(which=st.integers(0, MOST_MESSAGES), drops=st.booleans(), repeats=st.booleans())
    def message(self, which: int, drops: bool, repeats: bool) -> None:
        """One of the messages arrives, or is lost."""
        messages = self.cluster.messages
        if messages:
            arrives = messages.pop(which % len(messages))
            if repeats:
                messages.append(arrives)
            if not drops or repeats:
                arrives()

    @rule(which=st.lists(st.integers(0, 3), min_size=1, max_size=3))
    def lose_some_of_many(self, which: list[int]) -> None:
        """Several entries are on their way to each follower, and some are lost."""
        for _ in range(3):
            self.cluster.write()
        for each in which:
            if self.cluster.messages:
                self.cluster.messages.pop(each % len(self.cluster.messages))
        self.cluster.deliver()

    @rule(node=nodes)
    def crash(self, node: NodeId) -> None:
        self.cluster.crash(node)

    @rule(node=nodes, rounds=st.integers(0, MOST_ROUNDS), late=st.booleans())
    def crash_behind_a_write(self, node: NodeId, rounds: int, late: bool) -> None:
        """`late`: what was sent arrives when the next process has begun."""
        self.cluster.held = {node} if late else set()
        self.cluster.write()
        self.cluster.held.clear()
        self.cluster.crash(node)
        self.pass_time(rounds)
        self.cluster.release()
        self.cluster.write()
        self.cluster.deliver()

    @rule(follower=nodes, how=st.sampled_from(["exile", "crash", "hold"]), lags=st.booleans(), writes=st.booleans())
    def fail_over(self, follower: NodeId, how: str, lags: bool, writes: bool) -> None:
        """A primary is cut off, ends, or is heard late, until another serves. `lags`: this follower lacks its last write."""
        serving = self.cluster.serving()
        self.cluster.cut = {(node, follower) for node in serving} if lags else set()
        self.cluster.write()
        self.cluster.deliver()
        for primary in serving[:1]:
            self.lose(primary, how)
            self.pass_time(2 * MOST_ROUNDS, without=primary)
        if writes:
            self.cluster.write()
            self.cluster.deliver()

    def lose(self, primary: NodeId, how: str) -> None:
        if how == "crash":
            self.cluster.crash(primary)
        elif how == "hold":
            self.cluster.write()
            self.cluster.held.add(primary)
        self.cluster.isolate(primary)
        self.cluster.exiled = {primary}

    @rule(rounds=st.integers(1, 3))
    def reconnect(self, rounds: int) -> None:
        """Nodes reach each other again; who does not reach etcd goes by an old map."""
        self.cluster.cut.clear()
        for _ in range(rounds):
            self.cluster.round(ROUND_SECONDS)
        self.cluster.write()
        self.cluster.deliver()

    @rule()
    def release(self) -> None:
        """What a node sent long ago arrives."""
        self.cluster.release()

    @rule(rounds=st.integers(1, MOST_ROUNDS))
    def recover(self, rounds: int) -> None:
        """Everything is connected again, and callers write when somebody serves."""
        self.cluster.heal()
        self.pass_time(rounds)
        self.cluster.write()
        self.cluster.deliver()

    @rule(node=nodes)
    def isolate(self, node: NodeId) -> None:
        self.cluster.isolate(node)

    @rule(rounds=st.integers(1, MOST_ROUNDS))
    def pass_time(self, rounds: int, without: NodeId | None = None) -> None:
        """Until one serves, other than `without`; but at least for a round."""
        for _ in range(rounds):
            self.cluster.round(ROUND_SECONDS)
            if any(node != without for node in self.cluster.serving()):
                break

    @invariant()
    def what_callers_know_of_is_where_it_must_be(self) -> None:
        self.cluster.check()

    def teardown(self) -> None:
        """Whatever has happened, the partition becomes whole by itself."""
        self.cluster.heal()
        rounds = next((number for number in range(MOST_ROUNDS_TO_HEAL) if self.is_whole_after_a_round()), None)
        assert rounds is not None, f"not whole after {MOST_ROUNDS_TO_HEAL} rounds: {self.cluster.map}"
        self.count_terms()

    def is_whole_after_a_round(self) -> bool:
        self.cluster.time_out()
        self.cluster.round(ROUND_SECONDS)
        self.cluster.write()
        self.cluster.deliver()
        return self.cluster.is_whole()

    def count_terms(self) -> None:
        written = [position for position, record in self.cluster.acknowledged.items() if record is not None]
        terms = len({position.epoch for position in written})
        event(f"terms with acknowledged writes: {min(terms, 4)}")
        target(float(terms))


TestReplicas = Replicas.TestCase
TestReplicas.settings = settings(max_examples=300, stateful_step_count=25, deadline=None)
