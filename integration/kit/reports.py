"""Reports of nodes, and maps, for tests of what the metrics service makes of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from dstk_cluster.model import ClusterMap, PartitionInfo
from dstk_keytypes import NodeId
from dstk_metrics.domain.report import Counter, Disk, Floats, Report, Rows, State
from kit.map_entries import node_info, partition_info

BOUNDS = (0.001, 0.01, 0.1)


def map_of(partitions: Iterable[PartitionInfo], revision: int = 1, *, nodes: Iterable[str] = ()) -> ClusterMap:
    """A map of these partitions. `nodes`: those that are registered; by default all that are named."""
    all_of_them = tuple(partitions)
    named = nodes or sorted({replica for info in all_of_them for replica in info.replicas})
    infos = {NodeId(name): node_info(name) for name in named}
    return ClusterMap(revision, "c", "uid", all_of_them, infos)


def divided(borders: Sequence[bytes], primaries: Sequence[str], epoch: int = 1) -> list[PartitionInfo]:
    """Partitions 1, 2, ... between these borders, each on one of the primaries in turn."""
    bounds = [b"", *borders, None]
    return [
        partition_info(number, [primaries[(number - 1) % len(primaries)]], start=start or b"", end=end, epoch=epoch)
        for number, (start, end) in enumerate(pairwise(bounds), 1)
    ]


@dataclass
class Row:
    """A row of a report. `counters` and `state` by their columns; what is not given is 0."""

    partition: int
    start: bytes = b""
    end: bytes = b""
    epoch: int = 1
    counters: Mapping[Counter, float] = field(default_factory=dict)
    state: Mapping[State, float] = field(default_factory=dict)
    reads: Sequence[int] = ()
    writes: Sequence[int] = ()
    keys: Sequence[bytes] = ()


def report(
    rows: Sequence[Row],
    uptime_s: float,
    *,
    session: str = "s",
    complete: bool = False,
    removed: Sequence[int] = (),
    version: int = 1,
    bounds: tuple[float, ...] = BOUNDS,
) -> Report:
    """A report of these rows."""
    made = Rows(
        [row.partition for row in rows],
        [(row.start, row.end) for row in rows],
        [row.epoch for row in rows],
        _table([row.counters for row in rows], len(Counter)),
        _table([row.state for row in rows], len(State)),
        _histograms([row.reads for row in rows], len(bounds) + 1),
        _histograms([row.writes for row in rows], len(bounds) + 1),
        [row.keys for row in rows],
    )
    return Report(session, version, complete, uptime_s, bounds, Disk(600, 1000), removed, made)


def _table(rows: Sequence[Mapping[Any, float]], columns: int) -> Floats:
    table = np.zeros((len(rows), columns))
    for number, row in enumerate(rows):
        for column, value in row.items():
            table[number, column] = value
    return table


def _histograms(rows: Sequence[Sequence[int]], buckets: int) -> Floats:
    table = np.zeros((len(rows), buckets))
    for number, row in enumerate(rows):
        table[number, : len(row)] = row
    return table
