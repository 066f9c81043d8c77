"""Routers, and the client inside them: what callers see, and what it takes to serve them."""

from dstk_observability import external
from dstk_observability.dashboards.model import Dashboard, Variable, row
from dstk_observability.dashboards.panels import graph, query, stat
from dstk_observability.dashboards.scopes import ROUTER, SERVICES
from dstk_observability.dashboards.thresholds import above, below, warn_above
from dstk_observability.dashboards.units import Unit
from dstk_observability.objectives import FAST_SECONDS
from dstk_observability.promql import one_of
from dstk_telemetry.registry import clients, rpc

ROUTERS = stat(
    "Routers that answer",
    "Routers whose metrics Prometheus could scrape.",
    Unit.COUNT,
    below(1, "clients of the gateway are cut off; the thick client goes on."),
    query(ROUTER.now(external.UP).sum_by(), "routers"),
)
RATE = stat(
    "Operations",
    "Operations on keys through the routers, in a second.",
    Unit.PER_SECOND,
    below(0.1, "no traffic comes through the routers."),
    query(ROUTER.rate(rpc.OPERATIONS).sum_by(), "operations"),
)
SLOW = stat(
    "Execute, p99",
    "99 of 100 Execute messages are answered within this time.",
    Unit.SECONDS,
    above(0.25, "callers notice.", yellow=FAST_SECONDS),
    query(ROUTER.quantile(0.99, rpc.EXECUTE_SECONDS), "p99"),
)
WAITING = stat(
    "Operations that wait",
    "Operations that wait for a place in a message to a node.",
    Unit.COUNT,
    above(10_000, "nodes answer more slowly than operations come.", yellow=1_000),
    query(ROUTER.now(clients.CLIENT_QUEUE).sum_by(), "operations"),
)
RETRIED = stat(
    "Attempts repeated",
    "Attempts that routers repeat, in a second, for all reasons.",
    Unit.PER_SECOND,
    above(100, "nodes are down or overloaded; the reasons are below.", yellow=1),
    query(ROUTER.rate(clients.CLIENT_RETRIES).sum_by(), "retries"),
)
BEHIND = stat(
    "Map not watched",
    "For how long a router's watch of etcd has been broken.",
    Unit.SECONDS,
    above(30, "the map may be outdated; nodes redirect.", yellow=5),
    query(ROUTER.now(clients.MAP_AGE).max_by(), "broken for"),
)
OPERATIONS = graph(
    "Operations by kind",
    "Operations on keys that routers answered.",
    Unit.PER_SECOND,
    below(0.1, "no traffic comes through the routers."),
    query(ROUTER.rate(rpc.OPERATIONS).sum_by("operation"), "{{operation}}"),
    stacked=True,
)
FAILED = graph(
    "Operations refused or failed",
    "refused: the caller may repeat it. server: the cluster failed.",
    Unit.PER_SECOND,
    above(1, "callers see errors; the routers' logs say why."),
    query(ROUTER.rate(rpc.OPERATIONS, outcome=one_of("refused", "server")).sum_by("outcome"), "{{outcome}}"),
)
MISTAKES = graph(
    "Mistakes of callers",
    "Operations whose caller has to act: bad arguments, and preconditions that do not hold, such as an etag. By router.",
    Unit.PER_SECOND,
    warn_above(10_000, "a caller repeats what cannot succeed; the routers' logs have the error."),
    query(ROUTER.rate(rpc.OPERATIONS, outcome="client").sum_by("instance"), "{{instance}}"),
    width=12,
)
EXECUTE = graph(
    "Execute",
    "Time from an Execute message to its answer. The difference to a message to a node is the router's own time.",
    Unit.SECONDS,
    above(0.25, "callers notice.", yellow=FAST_SECONDS),
    query(ROUTER.quantile(0.5, rpc.EXECUTE_SECONDS, "instance"), "{{instance}} p50"),
    query(ROUTER.quantile(0.99, rpc.EXECUTE_SECONDS, "instance"), "{{instance}} p99"),
)
MESSAGES = graph(
    "Message to a node",
    "Time from sending a message to a storage node to its answer.",
    Unit.SECONDS,
    above(0.25, "nodes are slow; see Storage node.", yellow=FAST_SECONDS),
    query(ROUTER.quantile(0.5, clients.CLIENT_SECONDS, "instance"), "{{instance}} p50"),
    query(ROUTER.quantile(0.99, clients.CLIENT_SECONDS, "instance"), "{{instance}} p99"),
)
BATCHES = graph(
    "Operations in a message",
    "Mean. From callers to routers, and from routers to nodes. It grows with load.",
    Unit.COUNT,
    warn_above(2048, "messages are near their limit of 4,096 operations."),
    query(ROUTER.mean(rpc.EXECUTE_OPERATIONS, "instance"), "{{instance}} from callers"),
    query(ROUTER.mean(clients.CLIENT_BATCH, "instance"), "{{instance}} to nodes"),
)
QUEUE = graph(
    "Operations that wait, by router",
    "Operations that wait for a place in a message to a node.",
    Unit.COUNT,
    above(10_000, "nodes answer more slowly than operations come.", yellow=1_000),
    query(ROUTER.now(clients.CLIENT_QUEUE), "{{instance}}"),
)
RETRIES = graph(
    "Attempts repeated, by reason",
    "NOT_OWNER: redirected to another node. NOT_SERVING, UNSENT: the node is down or starts. OVERLOADED: its queue is full. "
    "AMBIGUOUS: the answer was lost.",
    Unit.PER_SECOND,
    above(100, "nodes are down or overloaded.", yellow=1),
    query(ROUTER.rate(clients.CLIENT_RETRIES).sum_by("reason"), "{{reason}}"),
)
REVISIONS = graph(
    "Changes of the map not seen yet",
    "By how many revisions of etcd the process's map is behind the newest one that any process knows.",
    Unit.COUNT,
    warn_above(100, "its map is outdated, and requests are redirected."),
    query(
        SERVICES.now(clients.MAP_REVISION)
        .max_by("cluster", "instance")
        .against("-", SERVICES.now(clients.MAP_REVISION).max_by("cluster"), "cluster")
        * -1,
        "{{instance}}",
    ),
)
BYTES = graph(
    "Bytes",
    "Bytes of answers to Execute messages, and of all other calls.",
    Unit.BYTES_PER_SECOND,
    warn_above(100 * 2**20, "near what one router moves."),
    query(ROUTER.rate(rpc.EXECUTE_BYTES).sum_by(), "Execute, out"),
    query(ROUTER.rate(rpc.RPC_BYTES).sum_by("direction"), "other calls, {{direction}}"),
    width=12,
)
CALLS = graph(
    "Calls by outcome",
    "Calls that ended at routers, streams included.",
    Unit.PER_SECOND,
    warn_above(5_000, "many single calls; Execute carries many operations in one message."),
    query(ROUTER.rate(rpc.RPC_ENDED).sum_by("outcome"), "{{outcome}}"),
    stacked=True,
)

DASHBOARD = Dashboard(
    "dstk-clients",
    "Routers and clients",
    "What do callers see, and is it the routers, the nodes or the callers themselves that make them wait?",
    (Variable.CLUSTER,),
    (
        row("Now", ROUTERS, RATE, SLOW, WAITING, RETRIED, BEHIND),
        row("What callers see", OPERATIONS, FAILED, EXECUTE),
        row("Between routers and nodes", MESSAGES, BATCHES, QUEUE),
        row("Redirects and retries", RETRIES, REVISIONS, CALLS),
        row("Volume and mistakes", BYTES, MISTAKES),
    ),
)
