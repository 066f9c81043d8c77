"""etcd: as DSTK's processes see it, and as it sees itself."""

from dstk_observability import external
from dstk_observability.dashboards.model import Dashboard, Variable, row
from dstk_observability.dashboards.panels import graph, query, stat
from dstk_observability.dashboards.scopes import ETCD, SERVICES, STORAGE, Scope
from dstk_observability.dashboards.thresholds import above, below, warn_above
from dstk_observability.dashboards.units import Unit
from dstk_telemetry.registry import clients

SELDOM = Scope("5m", job="etcd")
"""What happens a few times in an hour."""

MEMBERS = stat(
    "Members that answer",
    "Members whose metrics Prometheus could scrape.",
    Unit.COUNT,
    below(1, "the map cannot change; reads and writes go on.", yellow=2),
    query(ETCD.now(external.UP).sum_by(), "members"),
)
LEADER = stat(
    "Members with a leader",
    "Members that know a leader.",
    Unit.COUNT,
    below(1, "etcd takes no writes: failovers and changes of the map wait."),
    query(ETCD.now(external.ETCD_HAS_LEADER).sum_by(), "members"),
)
WATCH = stat(
    "Map not watched",
    "For how long the watch of etcd has been broken, at the process where it is longest.",
    Unit.SECONDS,
    above(30, "maps may be outdated, and changes wait.", yellow=5),
    query(SERVICES.now(clients.MAP_AGE).max_by(), "broken for"),
)
LEASE = stat(
    "Oldest registration",
    "How long ago the node that has waited longest renewed its registration.",
    Unit.SECONDS,
    above(6, "etcd forgets the node.", yellow=4),
    query(STORAGE.now(clients.LEASE_AGE).max_by(), "renewed ago"),
)
FULL = stat(
    "Space used",
    "The share of its quota that etcd's database takes.",
    Unit.SHARE,
    above(0.9, "a full etcd takes no writes. Compact and defragment it.", yellow=0.6),
    query((ETCD.now(external.ETCD_DATABASE_BYTES) / ETCD.now(external.ETCD_QUOTA_BYTES)).max_by(), "used"),
)
BREAKS = stat(
    "Watches broken",
    "Open watches that broke, in the last interval.",
    Unit.COUNT,
    warn_above(1, "etcd or the network to it was interrupted."),
    query(SERVICES.increase(clients.ETCD_WATCH_RESTARTS).sum_by(), "watches"),
)
REQUESTS = graph(
    "Requests",
    "Requests of DSTK's processes to etcd, by kind.",
    Unit.PER_SECOND,
    warn_above(500, "reads and writes of keys need no etcd: something changes the map all the time."),
    query(SERVICES.rate(clients.ETCD_REQUESTS).sum_by("request"), "{{request}}"),
    stacked=True,
)
FAILED = graph(
    "Requests that failed",
    "By kind.",
    Unit.PER_SECOND,
    above(1, "etcd is out of reach, has no leader or is overloaded."),
    query(SERVICES.rate(clients.ETCD_REQUESTS, result="failed").sum_by("request"), "{{request}}"),
)
SECONDS = graph(
    "Time of requests, p99",
    "From a request to its answer, as DSTK's processes see it.",
    Unit.SECONDS,
    above(1, "failovers are slow: each needs a transaction.", yellow=0.1),
    query(SERVICES.quantile(0.99, clients.ETCD_SECONDS, "request"), "{{request}}"),
)
SILENCE = graph(
    "Watch broken for",
    "For how long the process has not watched the map.",
    Unit.SECONDS,
    above(30, "its map may be outdated.", yellow=5),
    query(SERVICES.now(clients.MAP_AGE), "{{instance}}"),
)
LEASES = graph(
    "Registration renewed ago",
    "How long ago the node renewed its registration.",
    Unit.SECONDS,
    above(6, "etcd forgets the node, and the controller may replace it.", yellow=4),
    query(STORAGE.now(clients.LEASE_AGE), "{{instance}}"),
)
RESTARTS = graph(
    "Watches broken, by process",
    "Open watches that broke; each begins again where it stopped.",
    Unit.COUNT,
    warn_above(1, "etcd or the network to it was interrupted."),
    query(SERVICES.increase(clients.ETCD_WATCH_RESTARTS).sum_by("instance"), "{{instance}}"),
)
LEADER_CHANGES = graph(
    "Changes of etcd's leader",
    "As each member saw them, in the last interval.",
    Unit.COUNT,
    warn_above(1, "members do not hear each other, or their disks are slow."),
    query(ETCD.increase(external.ETCD_LEADER_CHANGES).sum_by("instance"), "{{instance}}"),
)
PROPOSALS = graph(
    "Proposals",
    "Pending proposals now, and failed ones in a second.",
    Unit.COUNT,
    above(50, "etcd does not keep up.", yellow=5),
    query(ETCD.now(external.ETCD_PROPOSALS_PENDING).sum_by("instance"), "{{instance}} pending"),
    query(ETCD.rate(external.ETCD_PROPOSALS_FAILED).sum_by("instance"), "{{instance}} failed/s"),
)
FSYNC = graph(
    "fsync of etcd's log, p99",
    "Over five minutes: each change of the map waits for it, and there are few.",
    Unit.SECONDS,
    above(0.5, "the disk is too slow for etcd; it loses its leader.", yellow=0.1),
    query(SELDOM.quantile(0.99, external.ETCD_WAL_FSYNC, "instance"), "{{instance}}"),
)
BACKEND = graph(
    "Commit to etcd's database, p99",
    "Over five minutes. Slow commits delay all requests.",
    Unit.SECONDS,
    above(1, "the disk is too slow for etcd.", yellow=0.25),
    query(SELDOM.quantile(0.99, external.ETCD_BACKEND_COMMIT, "instance"), "{{instance}}"),
    width=12,
)
SIZE = graph(
    "Size of etcd's database",
    "On disk, for each member.",
    Unit.BYTES,
    above(1800 * 2**20, "the quota, 2 GiB unless set, is near.", yellow=2**30),
    query(ETCD.now(external.ETCD_DATABASE_BYTES), "{{instance}}"),
    width=12,
)

DASHBOARD = Dashboard(
    "dstk-etcd",
    "etcd",
    "Does etcd answer, how fast, and do processes hear from it? Reads and writes go on without it; changes of the map wait.",
    (Variable.CLUSTER,),
    (
        row("Now", MEMBERS, LEADER, WATCH, LEASE, FULL, BREAKS),
        row("As DSTK sees it", REQUESTS, FAILED, SECONDS, SILENCE, LEASES, RESTARTS),
        row("As etcd sees itself", LEADER_CHANGES, PROPOSALS, FSYNC, BACKEND, SIZE),
    ),
)
