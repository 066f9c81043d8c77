"""Short ways to write panels."""

from collections.abc import Mapping
from types import MappingProxyType

from dstk_observability.dashboards.model import Fault, Kind, LogQuery, Panel, Query
from dstk_observability.dashboards.thresholds import Thresholds
from dstk_observability.dashboards.units import Unit
from dstk_observability.promql import Expr

STAT_WIDTH, STAT_HEIGHT = 4, 4
GRAPH_WIDTH, GRAPH_HEIGHT = 8, 8
_NUMBERS: Mapping[int, str] = MappingProxyType({})


def query(expression: Expr, legend: str) -> Query:
    """A query, and how its series are called: labels stand as "{{instance}}"."""
    return Query(expression, legend)


def graph(
    title: str,
    description: str,
    unit: Unit,
    thresholds: Thresholds,
    *queries: Query,
    width: int = GRAPH_WIDTH,
    stacked: bool = False,
    fills: Fault | None = None,
) -> Panel:
    """Lines over time."""
    return Panel(
        title, description, unit, queries, thresholds, Kind.GRAPH, width, GRAPH_HEIGHT, stacked=stacked, fills=fills
    )


def stat(
    title: str,
    description: str,
    unit: Unit,
    thresholds: Thresholds,
    *queries: Query,
    width: int = STAT_WIDTH,
    words: Mapping[int, str] = _NUMBERS,
) -> Panel:
    """The last value in large, in the colour of its threshold."""
    return Panel(title, description, unit, queries, thresholds, Kind.STAT, width, STAT_HEIGHT, words=words)


def table(
    title: str,
    description: str,
    unit: Unit,
    thresholds: Thresholds,
    *queries: Query,
    width: int = 12,
    words: Mapping[int, str] = _NUMBERS,
) -> Panel:
    """The last values, a line for each series."""
    return Panel(title, description, unit, queries, thresholds, Kind.TABLE, width, GRAPH_HEIGHT, words=words)


def lines(title: str, description: str, thresholds: Thresholds, lucene: str, *, height: int = 12) -> Panel:
    """Log lines, newest first."""
    return Panel(title, description, Unit.LINES, (LogQuery(lucene),), thresholds, Kind.LOGS, 24, height)
