"""What a dashboard is: plain values. `grafana` turns them into what Grafana loads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from dstk_observability.dashboards.thresholds import Thresholds
from dstk_observability.dashboards.units import Unit
from dstk_observability.promql import Expr

GRID_WIDTH = 24
"""Columns of a dashboard."""


class Kind(StrEnum):
    """How a panel shows its series."""

    GRAPH = "timeseries"
    STAT = "stat"
    TABLE = "table"
    LOGS = "logs"


class Fault(StrEnum):
    """What fills a panel that is empty while all is well. The tests bring each of them about."""

    NODE_KILLED = "a node is killed"
    DISK_SLOW = "a disk is slow"
    NODE_REPLACED = "a node comes back without its data"
    RANGE_DELETED = "a large range is deleted"
    ETCD_DOWN = "etcd is down"
    LEADER_MOVES = "a primary is transferred or a partition is split"


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL query. `legend` names each series, with labels as "{{instance}}"."""

    expression: Expr
    legend: str


@dataclass(frozen=True, slots=True)
class LogQuery:
    """A query of log lines, in Lucene's syntax. Without `split` it yields the lines, newest first; with it, their number over
    time for each value of that field.
    """

    lucene: str
    split: str = ""
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture. `width`, `height`: in cells of the grid. `fills`: None for a panel that always has data. `words`: what some
    values are shown as.
    """

    title: str
    description: str
    unit: Unit
    queries: tuple[Query | LogQuery, ...]
    thresholds: Thresholds
    kind: Kind
    width: int
    height: int
    stacked: bool = False
    fills: Fault | None = None
    words: Mapping[int, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The description with what the thresholds mean."""
        return f"{self.description} {self.thresholds.text(self.unit)}"


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under a heading."""

    title: str
    panels: tuple[Panel, ...]


class Variable(StrEnum):
    """What a person selects at the top of a dashboard."""

    CLUSTER = "cluster"
    SERVICE = "service"
    """Of log lines: the kind of process."""
    NODE = "node"
    PARTITION = "partition"


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A page of rows. `purpose`: the question that it answers."""

    uid: str
    title: str
    purpose: str
    variables: tuple[Variable, ...]
    rows: tuple[Row, ...]

    @property
    def panels(self) -> Sequence[Panel]:
        """All of them, in order."""
        return [panel for row in self.rows for panel in row.panels]

    @property
    def of_logs(self) -> bool:
        """Whether it shows log lines, and no metrics."""
        return all(isinstance(query, LogQuery) for panel in self.panels for query in panel.queries)


def row(title: str, *panels: Panel) -> Row:
    """Panels under a heading."""
    return Row(title, panels)
