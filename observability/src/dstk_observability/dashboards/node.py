"""One storage node, or a few side by side: readiness, traffic, commit pipeline, disk, LevelDB."""

from dstk_observability import external
from dstk_observability.dashboards.model import Dashboard, Fault, Variable, row
from dstk_observability.dashboards.panels import graph, query, stat
from dstk_observability.dashboards.scopes import NODE
from dstk_observability.dashboards.thresholds import above, below, warn_above, warn_below
from dstk_observability.dashboards.units import Unit
from dstk_observability.objectives import FAST_SECONDS
from dstk_observability.promql import one_of
from dstk_telemetry.registry import commit, engine, replication, rpc, runtime

READY = stat(
    "Ready",
    "Whether each part of readiness holds: the process serves, knows the map, can write its disk.",
    Unit.COUNT,
    below(1, "the node takes no traffic, or takes no writes."),
    query(NODE.now(runtime.READY_PARTS), "{{instance}} {{part}}"),
    width=12,
    words={0: "no", 1: "yes"},
)
UPTIME = stat(
    "Uptime",
    "Time since the process started.",
    Unit.SECONDS,
    warn_below(300, "it has restarted a short time ago."),
    query(NODE.age(runtime.STARTED), "{{instance}}"),
    width=6,
)
READ_ONLY = stat(
    "Takes no writes",
    "Whether the node's disk is full or has failed.",
    Unit.COUNT,
    above(1, "the partitions that it leads refuse writes."),
    query(NODE.now(commit.READ_ONLY), "{{instance}}"),
    width=6,
    words={0: "no", 1: "yes"},
)
OPERATIONS = graph(
    "Operations",
    "Operations on keys that the node answered, by kind.",
    Unit.PER_SECOND,
    below(0.1, "no traffic reaches the node."),
    query(NODE.rate(rpc.OPERATIONS).sum_by("instance", "operation"), "{{instance}} {{operation}}"),
)
FAILED = graph(
    "Operations refused or failed",
    "refused: the caller may repeat it, here or elsewhere. server: the node failed. Mistakes of callers do not count.",
    Unit.PER_SECOND,
    above(1, "many are refused or fail; the node's log says why."),
    query(
        NODE.rate(rpc.OPERATIONS, outcome=one_of("refused", "server")).sum_by("instance", "outcome"),
        "{{instance}} {{outcome}}",
    ),
)
EXECUTE = graph(
    "Execute",
    "Time from an Execute message to its answer.",
    Unit.SECONDS,
    above(0.25, "callers notice.", yellow=FAST_SECONDS),
    query(NODE.quantile(0.5, rpc.EXECUTE_SECONDS, "instance"), "{{instance}} p50"),
    query(NODE.quantile(0.99, rpc.EXECUTE_SECONDS, "instance"), "{{instance}} p99"),
)
WAIT = graph(
    "Wait for the disk, p99",
    "How long the oldest write of an engine write had waited.",
    Unit.SECONDS,
    above(0.256, "the disk does not keep up.", yellow=0.064),
    query(NODE.quantile(0.99, commit.COMMIT_WAIT, "instance"), "{{instance}}"),
)
WRITE = graph(
    "Engine write with fsync",
    "How long an engine write took, with its fsync.",
    Unit.SECONDS,
    above(0.256, "the disk is slow.", yellow=0.064),
    query(NODE.quantile(0.5, commit.COMMIT_WRITE, "instance"), "{{instance}} p50"),
    query(NODE.quantile(0.99, commit.COMMIT_WRITE, "instance"), "{{instance}} p99"),
)
BATCHES = graph(
    "Batches in an engine write",
    "Mean number of batches, of all partitions, that share an fsync. It grows with load, so that the disk keeps up.",
    Unit.COUNT,
    warn_above(1024, "writes gather faster than the disk takes them."),
    query(NODE.mean(commit.COMMIT_BATCHES, "instance"), "{{instance}}"),
)
COMMITTED = graph(
    "Records to disk",
    "Puts and removals that reached the disk, those of followers included.",
    Unit.PER_SECOND,
    warn_above(100_000, "near what a node was measured to take."),
    query(NODE.rate(commit.COMMIT_RECORDS).sum_by("instance"), "{{instance}}"),
)
COMMITTED_BYTES = graph(
    "Bytes to disk",
    "Bytes of keys and values that reached the disk.",
    Unit.BYTES_PER_SECOND,
    warn_above(128 * 2**20, "LevelDB writes each byte several times: check the disk's limit."),
    query(NODE.rate(commit.COMMIT_BYTES).sum_by("instance"), "{{instance}}"),
)
REFUSED = graph(
    "Engine writes that failed",
    "Engine writes that the disk refused, in the window.",
    Unit.COUNT,
    above(1, "the disk is full or broken; the node takes no writes."),
    query(NODE.increase(commit.COMMIT_FAILURES).sum_by("instance"), "{{instance}}"),
)
QUEUE = graph(
    "Writes that wait",
    "Writes that gather for the next batches.",
    Unit.COUNT,
    above(200_000, "the queue is full, and further writes are refused.", yellow=100_000),
    query(NODE.now(commit.QUEUE_WRITES), "{{instance}}"),
)
QUEUE_BYTES = graph(
    "Bytes that wait",
    "Keys and values of the writes that gather.",
    Unit.BYTES,
    above(64 * 2**20, "the queue is full, and further writes are refused.", yellow=32 * 2**20),
    query(NODE.now(commit.QUEUE_BYTES), "{{instance}}"),
)
OLDEST = graph(
    "Oldest engine write",
    "Age of the oldest engine write that has not ended.",
    Unit.SECONDS,
    above(1, "the disk hangs; after 2 s replicas give up on it.", yellow=0.1),
    query(NODE.now(commit.QUEUE_AGE), "{{instance}}"),
)
ROOM = graph(
    "Room above the reserve",
    "Free bytes of the data directory's file system, less those that the node keeps in reserve.",
    Unit.BYTES,
    below(1, "the node accepts deletions only.", yellow=2 * 2**30),
    query((NODE.now(commit.DISK_FREE) - NODE.now(commit.DISK_RESERVE)), "{{instance}}"),
)
FREE = graph(
    "Free share of the disk",
    "Of the data directory's file system.",
    Unit.SHARE,
    below(0.1, "add room or nodes.", yellow=0.25),
    query((NODE.now(commit.DISK_FREE) / NODE.now(commit.DISK_CAPACITY)), "{{instance}}"),
)
GARBAGE = graph(
    "Bytes of removed records",
    "What removed records still take on disk, roughly. The node compacts such ranges by itself.",
    Unit.BYTES,
    warn_above(8 * 2**30, "compaction does not keep up; `dstk doctor` says what to do."),
    query(NODE.now(engine.GARBAGE), "{{instance}}"),
)
LEVELS = graph(
    "LevelDB by level",
    "Bytes of tables. The lowest level holds most.",
    Unit.BYTES,
    warn_above(500 * 2**30, "a node of this size takes long to replace."),
    query(NODE.now(engine.ENGINE_BYTES).sum_by("level"), "level {{level}}"),
    stacked=True,
)
TABLES = graph(
    "Tables in level 0",
    "LevelDB slows writes down at 8 and stops them at 12.",
    Unit.COUNT,
    above(12, "writes wait for compactions.", yellow=8),
    query(NODE.now(engine.ENGINE_TABLES, level="0"), "{{instance}}"),
)
COMPACTION = graph(
    "Time in compactions",
    "Share of the time in which LevelDB compacts, on one thread.",
    Unit.SHARE,
    above(0.95, "compactions run without a pause, and writes will wait.", yellow=0.7),
    query(NODE.rate(engine.COMPACTION_SECONDS).sum_by("instance"), "{{instance}}"),
)
COMPACTED = graph(
    "Bytes written by compactions",
    "Beside the bytes to disk this is LevelDB's write amplification.",
    Unit.BYTES_PER_SECOND,
    warn_above(128 * 2**20, "check the disk's limit."),
    query(NODE.rate(engine.COMPACTED_BYTES).sum_by("instance"), "{{instance}}"),
)
RECLAIMED = graph(
    "Bytes given back",
    "What the node's own compactions of deleted ranges gave back.",
    Unit.BYTES_PER_SECOND,
    warn_above(128 * 2**20, "they compete with traffic for the disk."),
    query(NODE.rate(engine.RECLAIMED).sum_by("instance"), "{{instance}}"),
)
RECLAIM = graph(
    "Time to give bytes back, p90",
    "How long the node's own compaction of one piece of a deleted range takes.",
    Unit.SECONDS,
    warn_above(15, "the disk is busy; writes may wait behind it."),
    query(NODE.quantile(0.9, engine.RECLAIM_SECONDS, "instance"), "{{instance}}"),
    fills=Fault.RANGE_DELETED,
)
DAMAGE = graph(
    "Damage",
    "Blocks that did not match their checksum, and engines that were replaced by empty ones, in the window.",
    Unit.COUNT,
    above(1, "the disk returns wrong data; replace it."),
    query(NODE.increase(engine.CORRUPTIONS).sum_by("instance"), "{{instance}} corruptions"),
    query(NODE.increase(engine.REPLACEMENTS).sum_by("instance"), "{{instance}} replacements"),
)
EXPIRED = graph(
    "Expired records",
    "Records that the reaper removed.",
    Unit.PER_SECOND,
    warn_above(20_000, "expiry takes a good part of the node's writes."),
    query(NODE.rate(engine.EXPIRED).sum_by("instance"), "{{instance}}"),
)
BEHIND = graph(
    "Expiry behind",
    "1 while more records are due than one step of the reaper removes.",
    Unit.COUNT,
    warn_above(1, "expired records take room for longer. Reads do not see them."),
    query(NODE.now(engine.EXPIRY_BEHIND), "{{instance}}"),
)
REPLICAS = graph(
    "Replicas",
    "Replicas that the node has, by role.",
    Unit.COUNT,
    warn_above(100_000, "more than was tested."),
    query(NODE.now(replication.REPLICAS).sum_by("instance", "role"), "{{instance}} {{role}}"),
)
MEMORY = graph(
    "Memory",
    "Resident memory of the process.",
    Unit.BYTES,
    above(
        480 * 2**20, "the container's limit, 512 MiB, is near, and beyond it the process is killed.", yellow=400 * 2**20
    ),
    query(NODE.now(external.PROCESS_MEMORY), "{{instance}}"),
)
CPU = graph(
    "CPU",
    "Cores that the process uses. The event loop runs on one.",
    Unit.COUNT,
    above(1.5, "the node is busy; add nodes or move partitions.", yellow=0.9),
    query(NODE.rate(external.PROCESS_CPU).sum_by("instance"), "{{instance}}"),
)

DASHBOARD = Dashboard(
    "dstk-node",
    "Storage node",
    "What does this node do, and what holds it up: the disk, LevelDB, its queue, or its CPU?",
    (Variable.CLUSTER, Variable.NODE),
    (
        row("State", READY, UPTIME, READ_ONLY),
        row("Traffic", OPERATIONS, FAILED, EXECUTE),
        row("Commit pipeline", WAIT, WRITE, BATCHES, QUEUE, QUEUE_BYTES, OLDEST, COMMITTED, COMMITTED_BYTES, REFUSED),
        row("Disk", ROOM, FREE, GARBAGE),
        row("LevelDB", LEVELS, TABLES, COMPACTION, COMPACTED, RECLAIMED, RECLAIM),
        row("Damage and expiry", DAMAGE, EXPIRED, BEHIND),
        row("Process", REPLICAS, MEMORY, CPU),
    ),
)
