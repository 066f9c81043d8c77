"""What is known of each partition, in columns: arrays that share their rows, which are called slots.

Arrays rather than an object for each partition: an update of 1,000 partitions is then a few operations on arrays, where it
would be 30,000 on attributes, and a list sorted by a figure is one sort.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from dstk_metrics.domain.figures import Figure
from dstk_metrics.domain.report import Counter, Flags, Floats, Numbers, State
from dstk_metrics.domain.samples import KEPT_REPORTS, NONE, Sampled

RATE_COLUMNS: Mapping[Figure, list[int]] = {
    Figure.READS: [Counter.READS],
    Figure.WRITES: [Counter.WRITES],
    Figure.SCANNED: [Counter.SCANNED],
    Figure.READ_BYTES: [Counter.READ_BYTES],
    Figure.WRITTEN_BYTES: [Counter.WRITTEN_BYTES],
    Figure.FAILURES: [Counter.REFUSED_FAILURES, Counter.SERVER_FAILURES],
    Figure.TIME: [Counter.BUSY_S],
}
"""The columns of `rates` that a figure is the sum of."""
STATE_COLUMNS: Mapping[Figure, State] = {
    Figure.RECORDS: State.RECORDS,
    Figure.BYTES: State.BYTES,
    Figure.LAG: State.LAG_ENTRIES,
}
"""The column of `state` that a figure is."""
LOADS = (Figure.READS, Figure.WRITES, Figure.READ_BYTES, Figure.WRITTEN_BYTES, Figure.TIME)
"""What a partition can be hot by: the order of the columns of `loads`."""
LOAD_COLUMNS = [column for figure in LOADS for column in RATE_COLUMNS[figure]]
"""The columns of `rates` that these are."""
REPORTS = KEPT_REPORTS
"""How many reports of a partition are kept, for the median of its load."""
NEVER = -np.inf
"""A time before all others."""


class Columns:
    """The arrays, all (slots, ...).

    `latest`: counters as last said. `base`: as of the last rate, at `base_uptime`. `rates`: a second, if `rated`; of the node
    and the range of now, if `paired`. `state`: as last said. `percentiles`: read p50, p99, write p50, p99, in seconds.

    `heard`: the partition's node stands by its row, so that what it does not repeat is unchanged. `session`: number of the
    session that `latest` is from; -1: none, so that the next row begins. `confirmed_at`: monotonic time of the last update that
    stood by the row and its rates.

    `loads`: the LOADS of the last reports, by report; `turn`: the oldest of them. `medians`: of these. `hot_since`:
    monotonic time since when a load is hot; NaN: it is not. `spent`: increments since the last slice, over `covered` seconds.
    `totals`: all increments since the partition came into the map, whichever node counted them. `keys`: sampled keys of recent
    operations.
    """

    def __init__(self) -> None:
        self.latest: Floats = np.zeros((0, len(Counter)))
        self.base: Floats = np.zeros((0, len(Counter)))
        self.rates: Floats = np.zeros((0, len(Counter)))
        self.spent: Floats = np.zeros((0, len(Counter)))
        self.totals: Floats = np.zeros((0, len(Counter)))
        self.state: Floats = np.zeros((0, len(State)))
        self.buckets: Floats = np.zeros((0, 2, 1))
        self.bucket_base: Floats = np.zeros((0, 2, 1))
        self.percentiles: Floats = np.zeros((0, 4))
        self.loads: Floats = np.zeros((0, REPORTS, len(LOADS)))
        self.medians: Floats = np.zeros((0, len(LOADS)))
        self.hot_since: Floats = np.zeros((0, len(LOADS)))
        self.turn: Numbers = np.zeros(0, np.intp)
        self.session: Numbers = np.zeros(0, np.intp)
        self.base_uptime: Floats = np.zeros(0)
        self.confirmed_at: Floats = np.zeros(0)
        self.covered: Floats = np.zeros(0)
        self.heard: Flags = np.zeros(0, np.bool_)
        self.rated: Flags = np.zeros(0, np.bool_)
        self.paired: Flags = np.zeros(0, np.bool_)
        self.keys: list[Sampled] = []

    def grow(self, slots: int) -> None:
        """Makes room for so many slots."""
        more = slots - len(self.keys)
        if more <= 0:
            return
        for name, array in vars(self).items():
            if isinstance(array, np.ndarray):
                setattr(self, name, np.concatenate([array, np.zeros((more, *array.shape[1:]), array.dtype)]))
        self.keys.extend([NONE] * more)

    def widen(self, buckets: int) -> None:
        """Makes room for histograms of so many buckets."""
        more = buckets - self.buckets.shape[2]
        if more > 0:
            self.buckets = np.pad(self.buckets, ((0, 0), (0, 0), (0, more)))
            self.bucket_base = np.pad(self.bucket_base, ((0, 0), (0, 0), (0, more)))

    def clear(self, slots: Sequence[int]) -> None:
        """Nothing is known of these slots."""
        for array in vars(self).values():
            if isinstance(array, np.ndarray):
                array[slots] = 0
        self.session[slots] = -1
        self.confirmed_at[slots] = NEVER
        self.hot_since[slots] = np.nan
        for slot in slots:
            self.keys[slot] = NONE

    def begin_again(self, slots: Sequence[int]) -> None:
        """The next rows of these slots begin: another node tells of them, or they are about another range."""
        self.session[slots] = -1
        self.heard[slots] = False
        self.paired[slots] = False

    def forget_spent(self, slots: Sequence[int]) -> None:
        """What these slots have done since the last slice was done by another range."""
        self.spent[slots] = 0
        self.covered[slots] = 0
