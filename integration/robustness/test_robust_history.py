"""The history of a metrics service on a real disk that becomes full."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.disks import Disk, are_possible, with_own_disk

DISK_BYTES = 8 << 20

RECORDER = """
import dataclasses, json, sys
from pathlib import Path
import numpy as np
from dstk_metrics.adapters.history_sqlite import SqliteHistoryStore
from dstk_metrics.application.recorder import HistoryCounters, Recorder
from dstk_metrics.domain.figures import HISTORY
from dstk_metrics.domain.slices import Slice

counters = HistoryCounters()
with SqliteHistoryStore(Path(sys.argv[1]), 16 << 20, lambda: 0) as store:
    recorder = Recorder(store, counters)
    starts = [b"", *(b"%06d" % number for number in range(1, 2000))]
    minute = 1
    for line in sys.stdin:
        for _ in range(int(line)):
            values = np.random.default_rng(minute).random((len(HISTORY), 2000)).astype(np.float32)
            recorder.add(Slice(minute * 60_000, (minute + 1) * 60_000, starts, values))
            minute += 1
        slots = len(store.stored()) if counters.minutes_written else 0
        print(json.dumps(dataclasses.asdict(counters) | {"slots": slots}), flush=True)
"""


class Service:
    """A process that records minutes, and its disk."""

    def __init__(self, process: "subprocess.Popen[str]", directory: Path) -> None:
        self._process, self.disk = process, Disk(process.pid, directory)

    def record(self, minutes: int) -> dict[str, int]:
        """Records so many minutes, and returns what was counted since the start."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(minutes, file=self._process.stdin, flush=True)
        counted: dict[str, int] = json.loads(self._process.stdout.readline())
        return counted


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    directory = tmp_path / "disk"
    if not are_possible(directory):
        pytest.skip("this machine allows no mounts")
    command = [*with_own_disk(directory, DISK_BYTES), sys.executable, "-c", RECORDER, str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Service(process, directory)
        finally:
            process.kill()


def test_minutes_that_a_full_disk_refuses_are_written_when_there_is_room(service: Service) -> None:
    counted = service.record(20)
    assert (counted["minutes_written"], counted["slots"]) == (20, 20)
    service.disk.fill()
    counted = service.record(15)
    assert counted["minutes_waiting"] > 10
    assert counted["write_failures"] > 10
    assert counted["files_moved_aside"] == 0
    service.disk.make_room()
    counted = service.record(1)
    assert (counted["minutes_written"], counted["minutes_waiting"], counted["minutes_lost"]) == (36, 0, 0)
    assert counted["slots"] == 36


def test_a_disk_that_is_full_from_the_start_does_not_stop_the_history(service: Service) -> None:
    service.record(0)
    service.disk.fill()
    counted = service.record(5)
    assert counted["minutes_waiting"] == 5
    assert counted["files_moved_aside"] == 0
    service.disk.make_room()
    counted = service.record(1)
    assert (counted["minutes_written"], counted["slots"]) == (6, 6)
