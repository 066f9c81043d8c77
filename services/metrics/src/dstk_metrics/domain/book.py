"""What is known of every partition of the map, from the reports of their nodes. Pure: times are given.

Invariants:
1. The map rules: exactly its partitions are in the book, each with the word of the node that leads it by the map.
2. A rate is a difference of counters of one session, one range and one node, over the difference of that node's uptime.
   Whatever comes in between (a restart, a move, a split, a merge) begins again: the first row is only a base.
3. Nothing turns to zero by silence: figures stay as they were confirmed last, and grow old.
"""

from dataclasses import dataclass, field

import numpy as np

from dstk_cluster.model import ClusterMap
from dstk_keytypes import NodeId
from dstk_metrics.domain import latency
from dstk_metrics.domain.columns import LOAD_COLUMNS, LOADS, REPORTS, Columns
from dstk_metrics.domain.layout import Changes, Layout
from dstk_metrics.domain.report import Counter, Floats, Numbers, Refusal, Report, Rows
from dstk_metrics.domain.samples import NONE, kept, within
from dstk_metrics.domain.tellers import Early, Teller

SAMPLED = 64
"""Of so many partitions of a node the sampled keys are kept."""
MIN_WINDOW_S = 0.5
"""Rates over less are noise: a report that comes sooner is added to the next window."""


@dataclass(slots=True)
class Taken:
    """What became of a report. `rows` were entered, `late` ones are older than the map, `early` ones wait for a newer one.
    `refused`: rows that cannot be true, by reason. `begun`: partitions whose rates begin, so that a report soon is of use.
    """

    rows: int = 0
    late: int = 0
    early: int = 0
    begun: int = 0
    refused: dict[Refusal, int] = field(default_factory=dict)

    def refuse(self, reason: Refusal, rows: int = 1) -> None:
        """Counts refused rows."""
        if rows:
            self.refused[reason] = self.refused.get(reason, 0) + rows


class Book:
    """Follows the map and takes the reports of nodes. `layout` and `columns` are for readers; only the book changes them."""

    def __init__(self) -> None:
        self.layout, self.columns = Layout(), Columns()
        self.tellers: dict[str, Teller] = {}
        self.nodes: frozenset[str] = frozenset()
        """The nodes that are registered, or that the map names."""
        self.noted_loads: Floats = np.ones(len(LOADS))
        """Partitions with such loads are looked at more closely: their sampled keys are kept."""
        self.version = 0
        """Grows with everything that the book takes."""
        self._sessions = 0

    def follow(self, current: ClusterMap) -> None:
        """Goes over to a newer map. Nodes that it does not name are forgotten."""
        changes = self.layout.follow(current.partitions)
        columns = self.columns
        columns.grow(self.layout.slots)
        columns.clear([*changes.gone, *changes.came])
        columns.begin_again(changes.other)
        columns.forget_spent(changes.recut)
        named = (node for node, replicas in self.layout.replicas.items() if replicas)
        self.nodes = frozenset([*current.nodes, *named])
        for node in self.tellers.keys() - self.nodes:
            del self.tellers[node]
        self._take_early(changes)
        self.version += 1

    def take(self, node: NodeId, report: Report, now: float) -> Taken:
        """Takes a report that arrived at `now` (monotonic seconds) from a node."""
        teller, taken = self.tellers.setdefault(node, Teller()), Taken()
        if not report.complete and report.session != teller.session:
            taken.refuse(Refusal.ORDER, len(report.rows))
            return taken
        self._enter(node, teller, report, now)
        taking, slots, early = self._sort(node, report.rows, taken)
        taken.early = len(early)
        taken.refuse(Refusal.UNKNOWN, teller.keep(report, early))
        rows = report.rows if len(taking) == len(report.rows) else report.rows.only(taking)
        self._set(slots, rows, teller.number, report.uptime_s, taken)
        self._rate(self.layout.led_by(node), teller, report.uptime_s, now)
        self._sample(slots, rows, taken)
        self.version += 1
        return taken

    def _enter(self, node: NodeId, teller: Teller, report: Report, now: float) -> None:
        led = self.layout.led_by(node)
        if report.complete:
            self.columns.heard[led] = False
            teller.early.clear()
            if (report.session, report.bounds) != (teller.session, teller.bounds):
                self._sessions += 1
                teller.session, teller.bounds, teller.number = report.session, report.bounds, self._sessions
            self.columns.widen(len(report.bounds) + 1)
        for removed in report.removed:
            teller.early.pop(removed, None)
            slot = self.layout.slot_of.get(removed)
            if slot is not None and self._primary(slot) == node:
                self.columns.begin_again([slot])
        teller.heard_at, teller.disk = now, report.disk

    def _sort(self, node: NodeId, rows: Rows, taken: Taken) -> tuple[list[int], Numbers, list[int]]:
        """Which rows count and their slots, and which are ahead of the map."""
        taking, slots, early = list[int](), list[int](), list[int]()
        slot_of, infos, ranges = self.layout.slot_of, self.layout.infos, self.layout.ranges
        for row, (partition, span, epoch) in enumerate(zip(rows.ids, rows.ranges, rows.epochs, strict=True)):
            slot = slot_of.get(partition)
            info = None if slot is None else infos[slot]
            if slot is None or info is None:
                early.append(row)
            elif info.primary == node and ranges[slot] == span:
                taking.append(row)
                slots.append(slot)
            elif epoch > info.epoch:
                early.append(row)
            elif epoch < info.epoch:
                taken.late += 1
            else:
                taken.refuse(Refusal.MAP)
        taken.rows = len(taking)
        return taking, np.array(slots, np.intp), early

    def _set(self, slots: Numbers, rows: Rows, session: int, uptime_s: float, taken: Taken) -> None:
        """Enters rows. Those that begin are bases of the rates to come."""
        columns, width = self.columns, rows.reads.shape[1]
        same = columns.session[slots] == session
        fell = (rows.counters < columns.latest[slots]).any(axis=1)
        fell |= (rows.reads < columns.buckets[slots, 0, :width]).any(axis=1)
        fell |= (rows.writes < columns.buckets[slots, 1, :width]).any(axis=1)
        taken.refuse(Refusal.FELL, int((fell & same).sum()))
        columns.latest[slots], columns.state[slots] = rows.counters, rows.state
        columns.buckets[slots, 0, :width], columns.buckets[slots, 1, :width] = rows.reads, rows.writes
        columns.heard[slots] = True
        begin = slots[fell | ~same]
        columns.base[begin], columns.bucket_base[begin] = columns.latest[begin], columns.buckets[begin]
        columns.base_uptime[begin], columns.session[begin], columns.paired[begin] = uptime_s, session, False
        taken.begun += len(begin)

    def _sample(self, slots: Numbers, rows: Rows, taken: Taken) -> None:
        """Keeps the keys of the busiest partitions of the report, and of no others."""
        columns = self.columns
        loads = (columns.rates[slots][:, LOAD_COLUMNS] / self.noted_loads).max(axis=1, initial=0)
        busiest = np.argsort(-loads, kind="stable")[:SAMPLED]
        noted = set(busiest[loads[busiest] >= 1].tolist())
        for row, slot in enumerate(slots.tolist()):
            if row not in noted:
                columns.keys[slot] = NONE
            elif said := rows.keys[row]:
                keys = within(said, *self.layout.ranges[slot])
                taken.refuse(Refusal.SAMPLES, int(len(keys) < len(said)))
                columns.keys[slot] = kept(columns.keys[slot], keys)

    def _rate(self, led: Numbers, teller: Teller, uptime_s: float, now: float) -> None:
        """Everything that the node stands by has rates up to now, and is confirmed. A row that has just begun has none yet: it
        is not confirmed with the rates of another node.
        """
        columns = self.columns
        heard = led[columns.heard[led]]
        slots = heard[uptime_s - columns.base_uptime[heard] >= MIN_WINDOW_S]
        columns.paired[slots] = True
        columns.confirmed_at[heard[columns.paired[heard]]] = now
        if not len(slots):
            return
        seconds = uptime_s - columns.base_uptime[slots]
        increments = columns.latest[slots] - columns.base[slots]
        columns.rates[slots] = increments / seconds[:, None]
        columns.rated[slots] = True
        columns.spent[slots] += increments
        columns.totals[slots] += increments
        columns.covered[slots] += seconds
        columns.base[slots], columns.base_uptime[slots] = columns.latest[slots], uptime_s
        self._time(slots, teller)
        self._load(slots)

    def _time(self, slots: Numbers, teller: Teller) -> None:
        """Percentiles of the latencies since the last rates. Without a sample they stay, unless there was nothing to time."""
        columns, width = self.columns, len(teller.bounds) + 1
        window = columns.buckets[slots, :, :width] - columns.bucket_base[slots, :, :width]
        columns.bucket_base[slots] = columns.buckets[slots]
        teller.windows = window.sum(axis=0)
        for kind, counter in enumerate((Counter.READS, Counter.WRITES)):
            counts = window[:, kind]
            timed = counts.any(axis=1)
            idle = slots[~timed & (columns.rates[slots, counter] == 0)]
            columns.percentiles[idle, 2 * kind : 2 * kind + 2] = 0
            for column, fraction in enumerate((latency.MEDIAN, latency.TAIL), 2 * kind):
                values = latency.percentile(counts[timed], teller.bounds, fraction)
                columns.percentiles[slots[timed], column] = values

    def _load(self, slots: Numbers) -> None:
        columns = self.columns
        columns.loads[slots, columns.turn[slots]] = columns.rates[slots][:, LOAD_COLUMNS]
        columns.turn[slots] = (columns.turn[slots] + 1) % REPORTS
        columns.medians[slots] = np.sort(columns.loads[slots], axis=1)[:, REPORTS // 2]

    def _take_early(self, changes: Changes) -> None:
        """Enters the rows that have waited for this map."""
        for slot in (*changes.came, *changes.other):
            info = self.layout.infos[slot]
            teller = self.tellers.get(info.primary) if info else None
            early = teller.early.pop(info.id, None) if info and teller else None
            if early and early.row.ranges[0] == self.layout.ranges[slot]:
                self._enter_early(slot, early)

    def _enter_early(self, slot: int, early: Early) -> None:
        self._set(np.array([slot]), early.row, early.session, early.uptime_s, Taken())

    def _primary(self, slot: int) -> str | None:
        info = self.layout.infos[slot]
        return info.primary if info else None


def ages(columns: Columns, slots: Numbers, now: float) -> Floats:
    """Seconds since the figures of these slots were confirmed; infinite where they never were."""
    return np.where(columns.rated[slots], now - columns.confirmed_at[slots], np.inf)
