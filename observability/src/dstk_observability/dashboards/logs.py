"""Logs: how many lines, of what level, from whom, and the lines themselves."""

from dstk_observability.dashboards.log_fields import ACTION, CLUSTER, LEVEL, NODE, PARTITION, SERVICE
from dstk_observability.dashboards.model import Dashboard, Kind, LogQuery, Panel, Variable, row
from dstk_observability.dashboards.panels import GRAPH_HEIGHT, GRAPH_WIDTH, lines
from dstk_observability.dashboards.thresholds import Thresholds, warn_above
from dstk_observability.dashboards.units import Unit

SELECTED = f"{CLUSTER}:$cluster AND {SERVICE}:$service AND {NODE}:$node"
BAD = f"{LEVEL}:(warning OR error OR critical)"


def _count(title: str, description: str, thresholds: Thresholds, lucene: str, split: str) -> Panel:
    query = LogQuery(lucene, split, f"{{{{term {split}}}}}")
    return Panel(
        title, description, Unit.COUNT, (query,), thresholds, Kind.GRAPH, GRAPH_WIDTH, GRAPH_HEIGHT, stacked=True
    )


LEVELS = _count(
    "Lines by level",
    "Log lines of the selected processes.",
    warn_above(10_000, "far more than a cluster at rest writes: a fault repeats."),
    SELECTED,
    LEVEL,
)
PROCESSES = _count(
    "Warnings and errors by process",
    "Lines of level warning, error and critical.",
    warn_above(10, "each says what failed and what to do."),
    f"{SELECTED} AND {BAD}",
    NODE,
)
ACTIONS = _count(
    "Events by kind",
    "Control-plane events: elections, changes of the map, snapshots, repairs, calls of operators.",
    warn_above(100, "the cluster changes a lot."),
    f"{SELECTED} AND _exists_:{ACTION}",
    ACTION,
)
ERRORS = lines(
    "Warnings and errors",
    "Lines of level warning, error and critical, newest first. A line's trace id leads to its trace.",
    warn_above(10, "each says what failed and what to do."),
    f"{SELECTED} AND {BAD}",
    height=10,
)
OF_PARTITIONS = lines(
    "Lines about partitions",
    "Lines of the selected processes that name one of the selected partitions, newest first.",
    warn_above(10_000, "far more than a cluster at rest writes."),
    f"{SELECTED} AND {PARTITION}:$partition",
    height=10,
)
ALL = lines(
    "All lines",
    "Lines of the selected processes, newest first.",
    warn_above(10_000, "far more than a cluster at rest writes."),
    SELECTED,
)

DASHBOARD = Dashboard(
    "dstk-logs",
    "Logs",
    "What do the processes say about it? Other dashboards link here with the process or the partition selected.",
    (Variable.CLUSTER, Variable.SERVICE, Variable.NODE, Variable.PARTITION),
    (
        row("How many", LEVELS, PROCESSES, ACTIONS),
        row("Trouble", ERRORS),
        row("Partitions", OF_PARTITIONS),
        row("Lines", ALL),
    ),
)
