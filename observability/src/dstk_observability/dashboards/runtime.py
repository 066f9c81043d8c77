"""Processes: event loop, garbage collector, CPU, memory, files, calls by method, and telemetry itself."""

from dstk_observability import external
from dstk_observability.dashboards.model import Dashboard, Variable, row
from dstk_observability.dashboards.overview import PROCESSES
from dstk_observability.dashboards.panels import graph, query, stat, table
from dstk_observability.dashboards.scopes import PROCESS
from dstk_observability.dashboards.thresholds import above, below, warn_above, warn_below
from dstk_observability.dashboards.units import Unit
from dstk_observability.promql import one_of
from dstk_telemetry.registry import rpc, runtime

UPTIME = stat(
    "Uptime",
    "Time since each process started.",
    Unit.SECONDS,
    warn_below(300, "it has restarted a short time ago."),
    query(PROCESS.age(runtime.STARTED), "{{instance}}"),
    width=12,
)
VERSIONS = stat(
    "Versions",
    "How many versions of DSTK run.",
    Unit.COUNT,
    warn_above(2, "an upgrade is under way, or was left unfinished."),
    query(PROCESS.now(runtime.BUILD).count_by("version").count_by(), "versions"),
    width=4,
)
DROPPED = stat(
    "Telemetry dropped",
    "Spans, log lines and error reports dropped rather than waited for, in the last interval.",
    Unit.COUNT,
    warn_above(1, "a collector is down or slow; dashboards of traces and logs have gaps."),
    query(PROCESS.increase(runtime.DROPPED).sum_by("sink"), "{{sink}}"),
    width=8,
)
LAG = graph(
    "Event loop lag",
    "How late timers come. While the loop is held up, the process answers nobody.",
    Unit.SECONDS,
    above(0.7, "heartbeats are late, and leases are lost.", yellow=0.1),
    query(PROCESS.quantile(0.5, runtime.LOOP_LAG, "instance"), "{{instance}} p50"),
    query(PROCESS.quantile(0.99, runtime.LOOP_LAG, "instance"), "{{instance}} p99"),
)
TASKS = graph(
    "Tasks",
    "Tasks of the event loop that have not ended.",
    Unit.COUNT,
    above(50_000, "tasks pile up; memory follows.", yellow=10_000),
    query(PROCESS.now(runtime.LOOP_TASKS), "{{instance}}"),
)
PAUSES = graph(
    "Time in the garbage collector",
    "Share of the time.",
    Unit.SHARE,
    above(0.2, "the collector takes a fifth of a core.", yellow=0.05),
    query(PROCESS.rate(runtime.GC_SECONDS).sum_by("instance"), "{{instance}}"),
)
CPU = graph(
    "CPU",
    "Cores that each process uses. An event loop runs on one.",
    Unit.COUNT,
    above(1.5, "the process is busy.", yellow=0.9),
    query(PROCESS.rate(external.PROCESS_CPU).sum_by("instance"), "{{instance}}"),
)
MEMORY = graph(
    "Memory",
    "Resident memory.",
    Unit.BYTES,
    above(480 * 2**20, "near the container's limit of a storage node, 512 MiB.", yellow=400 * 2**20),
    query(PROCESS.now(external.PROCESS_MEMORY), "{{instance}}"),
)
FILES = graph(
    "File descriptors in use",
    "Share of those that the process may open.",
    Unit.SHARE,
    above(0.9, "new connections and tables fail.", yellow=0.7),
    query(PROCESS.now(external.PROCESS_OPEN_FILES) / PROCESS.now(external.PROCESS_MOST_FILES), "{{instance}}"),
)
METHODS = table(
    "Busiest methods",
    "Calls that ended, in a second, streams included.",
    Unit.PER_SECOND,
    warn_above(5_000, "near what one process serves in single calls."),
    query(
        PROCESS.rate(rpc.RPC_ENDED).sum_by("rpc_service", "rpc_method").largest(15).above(0),
        "{{rpc_service}}/{{rpc_method}}",
    ),
    width=8,
)
CALLS = graph(
    "Time of calls, p99",
    "By method, of those that were called; streams and Execute messages are left out.",
    Unit.SECONDS,
    above(1, "operators' calls are slow.", yellow=0.25),
    query(PROCESS.quantile(0.99, rpc.RPC_SECONDS, "rpc_method").above(0), "{{rpc_method}}"),
)
FAILED = graph(
    "Calls that fail",
    "By process and outcome. What callers cause is left out.",
    Unit.PER_SECOND,
    above(1, "the log of the process says why."),
    query(
        PROCESS.rate(rpc.RPC_ENDED, outcome=one_of("refused", "server")).sum_by("instance", "outcome"),
        "{{instance}} {{outcome}}",
    ),
)
BYTES = graph(
    "Bytes of calls",
    "Of requests and answers; streams and Execute messages are left out.",
    Unit.BYTES_PER_SECOND,
    warn_above(64 * 2**20, "large calls compete with Execute."),
    query(PROCESS.rate(rpc.RPC_BYTES).sum_by("instance", "direction"), "{{instance}} {{direction}}"),
    width=24,
)
OBSERVERS = graph(
    "Failures of telemetry",
    "Events and figures that telemetry itself failed on, in the last interval.",
    Unit.COUNT,
    warn_above(1, "figures on these dashboards may be wrong; the log has the first of each kind."),
    query(PROCESS.increase(runtime.OBSERVER_FAILURES).sum_by("instance"), "{{instance}}"),
)
READY = graph(
    "Ready",
    "The lowest part of each process's readiness: 1 if all hold.",
    Unit.COUNT,
    below(1, "the process takes no traffic."),
    query(PROCESS.now(runtime.READY_PARTS).min_by("instance"), "{{instance}}"),
)

DASHBOARD = Dashboard(
    "dstk-runtime",
    "Services and runtime",
    "Are the processes well: event loop, memory, CPU, files, calls, and telemetry itself?",
    (Variable.CLUSTER, Variable.NODE),
    (
        row("Now", UPTIME, VERSIONS, DROPPED),
        row("Event loop", LAG, TASKS, PAUSES),
        row("Resources", CPU, MEMORY, FILES),
        row("Calls", METHODS, CALLS, FAILED),
        row("Health", PROCESSES, READY, OBSERVERS),
        row("Volume", BYTES),
    ),
)
