import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstk_bench.cases import all_cases, chosen
from dstk_bench.loadgen import Latencies, closed_loop
from dstk_bench.machine import describe, filesystem
from dstk_bench.model import Report, Settings
from dstk_bench.processes import ProcessFailedError, child, until_ready
from dstk_bench.runner import RunPlan, run
from dstk_bench.systems import echo, etcd, leveldb, redis
from dstk_bench.systems.base import Place, Provider, Starter, System, UnavailableError
from dstk_bench.workload import Record, Workload, pages, split_keys

SETTINGS = Settings(records=20, value_bytes=8, rounds=2, round_seconds=0.01)


class DictStore:
    """A dict that answers as a client would."""

    def __init__(self) -> None:
        self.data: dict[bytes, bytes] = {}

    async def load(self, records: Sequence[Record]) -> None:
        self.data.update(records)

    async def get(self, key: bytes) -> bytes:
        await asyncio.sleep(0)
        return self.data[key]

    async def put(self, key: bytes, value: bytes) -> None:
        await asyncio.sleep(0)
        self.data[key] = value


def provider(name: str, *, broken: bool = False) -> Provider:
    async def fail(key: bytes, value: bytes) -> object:
        raise ConnectionError(f"no answer for {key!r}")

    @asynccontextmanager
    async def start(place: Place) -> AsyncIterator[tuple[System, ...]]:
        store = DictStore()
        yield (System(name, "a dict", store.load, store.get, fail if broken else store.put),)

    return Provider((name,), start)


def absent(name: str) -> Provider:
    @asynccontextmanager
    async def start(place: Place) -> AsyncIterator[tuple[System, ...]]:
        raise UnavailableError(f"no {name} here")
        yield ()

    return Provider((name,), start)


async def measured(tmp_path: Path, *providers: Provider, only: Sequence[str] = ("get-1", "put-64")) -> Report:
    return await run(RunPlan(providers, only, SETTINGS, tmp_path), lambda _text: None)


async def test_every_caller_has_one_call_under_way() -> None:
    under_way, most = 0, 0

    async def call() -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return 2

    sample = await closed_loop([call] * 5, 0.01)
    assert most == 5
    assert sample.units == 2 * len(sample.latencies_ns)


async def test_a_caller_ends_when_there_is_nothing_left() -> None:
    left = iter(range(3))

    async def call() -> int:
        return 10 if next(left, None) is not None else 0

    sample = await closed_loop([call] * 2, 60.0)
    assert sample.units == 30
    assert sample.seconds < 30


async def test_a_failing_call_ends_the_loop() -> None:
    async def call() -> int:
        raise ConnectionError

    with pytest.raises(ExceptionGroup):
        await closed_loop([call], 60.0)


@given(st.lists(st.integers(1, 10**10), min_size=1, max_size=50))
def test_percentiles_are_right_to_three_digits(values: list[int]) -> None:
    latencies = Latencies()
    latencies.record(values)
    exact = sorted(values)[(len(values) + 1) // 2 - 1]
    assert latencies.percentile_us(50) * 1000 == pytest.approx(exact, rel=2e-3, abs=1)


def test_no_calls_have_no_latency() -> None:
    assert Latencies().percentile_us(99) == 0


def test_the_workload_is_sorted_repeatable_and_never_hands_out_a_chunk_twice() -> None:
    one, two = Workload(50, 16), Workload(50, 16)
    assert one.stored() == two.stored() == sorted(one.stored())
    assert sorted(one.random_reads()) == one.read_keys
    assert {len(value) for _key, value in one.random_writes()} == {16}
    keys = [key for chunk in one.fresh_chunks(2) + one.fresh_chunks(1) for key, _value in chunk]
    assert keys == sorted(set(keys))


@given(st.integers(1, 60), st.integers(1, 20))
def test_pages_cover_every_key_once(count: int, size: int) -> None:
    keys = Workload(count, 1).read_keys
    found = [[key for key in keys if first <= key < end] for first, end in pages(keys, size)]
    assert [key for page in found for key in page] == keys
    assert max(map(len, found)) <= size


def test_split_keys_cut_evenly() -> None:
    keys = Workload(100, 1).read_keys
    assert split_keys(keys, 4) == [keys[25], keys[50], keys[75]]
    assert split_keys(keys, 1) == []


@pytest.mark.parametrize(
    ("patterns", "is_chosen"), [((), True), (("get-*",), True), (("*/redis",), True), (("scan", "get-1/etcd"), False)]
)
def test_only_picks_cases_and_systems_by_pattern(patterns: tuple[str, ...], is_chosen: bool) -> None:
    assert chosen("get-1", "redis", patterns) is is_chosen


async def test_a_run_measures_chosen_cases_on_every_system_and_cleans_up(tmp_path: Path) -> None:
    report = await measured(tmp_path, provider("one"), provider("two"))
    assert [(each.case, each.system) for each in report.figures] == [
        ("get-1", "one"),
        ("get-1", "two"),
        ("put-64", "one"),
        ("put-64", "two"),
    ]
    assert all(len(each.rounds) == SETTINGS.rounds and each.rate > 0 for each in report.figures)
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - one call, not worth a thread


async def test_an_absent_system_is_skipped_with_its_reason(tmp_path: Path) -> None:
    report = await measured(tmp_path, absent("redis"), provider("one"))
    assert {each.system for each in report.figures} == {"one"}
    assert [(each.what, each.why) for each in report.gaps] == [("redis", "skipped: no redis here")]


async def test_a_case_that_fails_on_one_system_does_not_cost_the_others(tmp_path: Path) -> None:
    report = await measured(tmp_path, provider("one"), provider("two", broken=True), only=["put-1"])
    assert [each.system for each in report.figures] == ["one"]
    assert report.gaps[0].what == "put-1/two"
    assert "no answer for" in report.gaps[0].why


async def test_a_system_that_lost_what_was_loaded_is_not_measured(tmp_path: Path) -> None:
    async def forget(records: Sequence[Record]) -> None:
        pass

    async def get(key: bytes) -> None:
        return None

    @asynccontextmanager
    async def start(place: Place) -> AsyncIterator[tuple[System, ...]]:
        yield (System("forgetful", "nothing", forget, get),)

    report = await measured(tmp_path, Provider(("forgetful",), start))
    assert report.figures == ()
    assert "forgetful does not have" in report.gaps[0].why


async def test_a_system_that_no_pattern_chooses_is_not_started(tmp_path: Path) -> None:
    report = await measured(tmp_path, absent("redis"), provider("one"), only=["get-1/one"])
    assert report.gaps == ()


@pytest.mark.parametrize(("start", "hidden"), [(redis.start, "redis-server")])
async def test_redis_is_unavailable_without_its_server(
    start: Starter, hidden: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match=hidden):
        await start(Place(tmp_path, Workload(1, 1))).__aenter__()


async def test_leveldb_keeps_and_scans_what_is_loaded(tmp_path: Path) -> None:
    workload = Workload(20, 8)
    async with leveldb.start(Place(tmp_path, workload)) as (system,):
        assert system.load is not None
        assert system.get is not None
        assert system.scan is not None
        await system.load(workload.stored())
        assert await system.get(workload.read_keys[3]) == workload.values[3]
        assert await system.scan() == 20


@pytest.mark.slow
async def test_every_installed_peer_does_what_its_cases_ask(tmp_path: Path) -> None:
    providers = [Provider((each.__name__,), each.start) for each in (etcd, redis, leveldb, echo)]
    plan = RunPlan(providers, ["get-1", "put-1", "unary-*", "bulk", "scan"], SETTINGS, tmp_path)
    report = await run(plan, lambda _text: None)
    assert all(gap.why.startswith("skipped: ") for gap in report.gaps), report.gaps
    assert {figure.case for figure in report.figures} >= {"get-1", "put-1", "unary-get", "unary-put", "bulk", "scan"}
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - one call, not worth a thread


def test_an_in_process_system_is_measured_by_one_caller_only() -> None:
    store = DictStore()
    system = System("ceiling", "a dict", get=store.get, in_process=True)
    able = [case.name for case in all_cases() if case.prepare(system, Workload(1, 1), case.callers) is not None]
    assert able == ["get-1"]


async def test_a_child_is_ended_when_the_benchmark_fails(tmp_path: Path) -> None:
    async def fails() -> int:
        async with child([sys.executable, "-c", "import signal; signal.pause()"], log) as process:
            raise KeyError(process.pid)

    log = tmp_path / "log"
    with pytest.raises(KeyError) as caught:
        await fails()
    assert not psutil.pid_exists(caught.value.args[0])


async def test_a_child_that_dies_is_reported_with_its_log(tmp_path: Path) -> None:
    async def never() -> None:
        raise ConnectionError

    log = tmp_path / "log"
    async with child([sys.executable, "-c", "raise SystemExit('the port is taken')"], log) as process:
        with pytest.raises(ProcessFailedError, match="the port is taken"):
            await until_ready("it", process, log, never)


def test_the_machine_is_described(tmp_path: Path) -> None:
    machine = describe(tmp_path)
    assert machine.cores >= 1
    assert machine.fsync_p50_us > 0
    assert machine.filesystem == filesystem(tmp_path) != ""
    assert "grpcio" in machine.packages
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - one call, not worth a thread
