"""`dstk hot` and `dstk top` against a scripted router."""

import json
from typing import Any

import pytest
from kit.screen import ALTERNATE_SCREEN, MAIN_SCREEN, SHOW_CURSOR, on_screen
from kit.stats import partition_stats, totals

from dstk.v1 import metrics_pb2
from dstk_cli.observe import top
from dstk_keytypes import Key
from dstk_service.errors import NotServing, Overloaded

READS, TIME = metrics_pb2.FIGURE_READS, metrics_pb2.FIGURE_TIME
RULE = metrics_pb2.HotRule(by=READS, threshold=800, floor=128, top=60, reports=5, window_s=50)
HOT = metrics_pb2.HotPartition(
    stats=partition_stats(7, start=b"m"),
    by=READS,
    load=12345.6,
    share=0.63,
    skew=8.25,
    hot_for_s=75,
    samples=500,
    prefixes=[
        metrics_pb2.HotPrefix(prefix=Key.of("city", "FR"), share=0.8),
        metrics_pb2.HotPrefix(prefix=b"user:\x1b[31m", share=0.15, is_key=True),
    ],
    advice="split the partition: `dstk partitions split 7 --by-load`",
)


@pytest.fixture
def cluster(operate: Any) -> Any:
    answers = operate.router.answers
    answers["ListHotPartitions"] = [metrics_pb2.ListHotPartitionsResponse(partitions=[HOT], rules=[RULE])]
    answers["WatchStats"] = [totals(reads=1234, writes=56.7, read_latency=metrics_pb2.Latency(p50_s=2e-4, p99_s=3e-3))]
    stats = [
        partition_stats(2, node=1, reads=900, time=0.42, write_latency=metrics_pb2.Latency(p99_s=0.012)),
        partition_stats(3, node=2, reads=300, time=0.1, age_s=95, stale=True),
        partition_stats(4, node=1, reads=30, time=0.05, failures=metrics_pb2.FailureRates(server=2)),
        partition_stats(5, node=3, age_s=-1),
    ]
    answers["ListPartitionStats"] = [metrics_pb2.ListPartitionStatsResponse(partitions=stats, total=len(stats))]
    return operate


def test_a_hot_partition_is_shown_with_why_and_what_to_do(cluster: Any) -> None:
    shown = cluster("hot", COLUMNS="220")
    assert shown.exit_code == 0, shown.output
    row = " ".join(shown.stdout.splitlines()[1:3])
    for cell in ("reads", "12,346/s", "63%", "8.2", "1 min 15 s", "7", "m", "storage-1", "('city', 'FR')… 80%"):
        assert cell in row
    assert "key " in row
    assert "\x1b" not in shown.stdout
    assert "dstk partitions split 7 --by-load" in " ".join(shown.stdout.split())
    assert "hot by reads: at least 800/s, the median of 5 reports in 50 s; never below 128/s" in shown.stdout


def test_a_hot_partition_as_json(cluster: Any) -> None:
    (found,) = json.loads(cluster("hot", "-o", "json").stdout)["partitions"]
    assert (found["stats"]["partition_id"], found["by"], found["share"]) == (7, "reads", 0.63)
    assert found["prefixes"][0]["prefix"] == "('city', 'FR')"
    assert found["advice"].startswith("split the partition")


def test_where_nothing_is_hot_the_rules_are_shown(cluster: Any) -> None:
    cluster.router.answers["ListHotPartitions"] = [metrics_pb2.ListHotPartitionsResponse(rules=[RULE])]
    shown = cluster("hot")
    assert shown.stdout.splitlines()[0] == "no partition is hot"
    assert "at least 800/s" in shown.stdout


@pytest.mark.parametrize("by", ["reads", "WRITES", "read-bytes", "written-bytes", "time"])
def test_one_load_can_be_asked_for(cluster: Any, by: str) -> None:
    seen: list[Any] = []

    def answer(request: Any) -> metrics_pb2.ListHotPartitionsResponse:
        seen.append(request)
        return metrics_pb2.ListHotPartitionsResponse()

    cluster.router.answers["ListHotPartitions"] = [answer]
    assert cluster("hot", "--by", by, "-n", "3").exit_code == 0
    figure = metrics_pb2.Figure.Value(f"FIGURE_{by.upper().replace('-', '_')}")
    assert seen == [metrics_pb2.ListHotPartitionsRequest(by=figure, limit=3)]


@pytest.mark.parametrize("arguments", [["hot", "--by", "lag"], ["hot", "-n", "0"], ["top", "--interval", "0.5"]])
def test_what_is_out_of_bounds_is_refused(cluster: Any, arguments: list[str]) -> None:
    assert cluster(*arguments).exit_code == 2


def test_top_once_shows_totals_nodes_and_partitions(cluster: Any) -> None:
    shown = cluster("top", "--once", COLUMNS="200")
    assert shown.exit_code == 0, shown.output
    text = shown.stdout
    for part in (
        "22:13:20 UTC",
        "3/3 nodes",
        "12/12 partitions serve",
        "36/36 in sync",
        "reads 1,234/s",
        "writes 57/s",
        "get p50 200 µs p99 3 ms",
        "disk 60 GiB of 100 GiB free",
        "write p50 - p99 -",
    ):
        assert part in text, text
    lines = text.splitlines()
    nodes = [line.split() for line in lines if line.startswith("storage-")]
    assert [(row[0], row[1], row[2]) for row in nodes] == [
        ("storage-1", "2", "930/s"),
        ("storage-2", "1", "300/s"),
        ("storage-3", "1", "-"),
    ]
    assert nodes[0][-1] == "2/s"
    unknown = next(line for line in lines if line.split()[:1] == ["5"])
    assert "unknown" in unknown
    assert "0/s" not in unknown, "what is not known is never shown as zero"
    assert "1 min 35 s" in next(line for line in lines if line.split()[:1] == ["3"])


@pytest.mark.parametrize("columns", [40, 80, 100, 200])
def test_the_totals_fit_a_terminal_of_any_width(cluster: Any, columns: int) -> None:
    lines = cluster("top", "--once", COLUMNS=str(columns)).stdout.splitlines()
    assert max(map(len, lines)) <= columns
    assert any("get p50 200 µs p99 3 ms" in line for line in lines), "no figure is broken in two"


def test_top_once_as_json(cluster: Any) -> None:
    found = json.loads(cluster("top", "--once", "-o", "json", "-n", "2").stdout)
    assert found["at"] == "2023-11-14T22:13:20.000Z"
    assert (found["totals"]["reads"], found["totals"]["nodes"]) == (1234, 3)
    assert [each["partition_id"] for each in found["partitions"]] == [2, 3]
    assert [each["node"] for each in found["nodes"]] == ["storage-1", "storage-2", "storage-3"]


def test_without_a_terminal_top_prints_a_line_for_each_update_and_goes_on_after_an_interruption(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(top, "RETRY_SECONDS", 0.01)
    updates = [totals(reads=number) for number in (1, 2, 3)]
    trouble = NotServing("it is restarting", 0.1), Overloaded("streams", 0.1)
    cluster.router.answers["WatchStats"] = [updates[0], *trouble, *updates[1:]]
    monkeypatch.setattr(top, "line", _ends_at(3))
    shown = cluster("top")
    assert shown.exit_code == 130
    assert shown.stdout.splitlines() == ["reads 1", "reads 2"]
    assert "it is restarting" in shown.stderr
    assert "streams" in shown.stderr


def _ends_at(reads: int) -> Any:
    """A line for each snapshot; Ctrl-C is pressed when there would be this one."""

    def shown(snapshot: Any) -> str:
        if snapshot.totals.reads == reads:
            raise KeyboardInterrupt
        return f"reads {snapshot.totals.reads:.0f}"

    return shown


def test_on_a_terminal_top_has_a_screen_of_its_own_follows_the_size_and_leaves_it_clean(cluster: Any) -> None:
    with on_screen("top", "--interval", "1", columns=100, lines=40, DSTK_ROUTER=cluster.router.address) as screen:
        screen.wait_for(ALTERNATE_SCREEN)
        at = screen.wait_for(b"storage-1")
        screen.resize(60, 40)
        screen.wait_for(b"no room for", at)
        assert screen.interrupt() == 130
        assert MAIN_SCREEN in screen.shown
        assert screen.shown.rindex(SHOW_CURSOR) > screen.shown.rindex(ALTERNATE_SCREEN)
        assert b"Traceback" not in screen.shown
