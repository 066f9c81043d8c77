"""`dstk local logs`: the lines of all processes, merged by time, chosen by level, partition and kind."""

import json
from pathlib import Path
from typing import Any

import pytest

from dstk_cli.local.log_lines import Choice, newest, width_of, written

BASE = {"ecs.version": "8.17.0", "service.name": "storage", "process.pid": 1}

SPLIT = {"event.action": "split", "dstk.partition": 7, "dstk.node": "storage-2", "event.duration": 96_000_000}


def ours(second: int, message: str, level: str = "info", **fields: Any) -> str:
    time = f"2026-01-01T00:00:{second:02}.000Z"
    return json.dumps({"@timestamp": time, "log.level": level, "message": message, **BASE, **fields})


def of_etcd(second: int, message: str, level: str) -> str:
    return json.dumps({"level": level, "ts": f"2026-01-01T00:00:{second:02}.500Z", "caller": "a.go:1", "msg": message})


@pytest.fixture
def logs(tmp_path: Path) -> dict[str, Path]:
    files = {
        "storage-1": [
            ours(1, "serving"),
            ours(5, "split", **SPLIT),
            ours(9, "bad", "error", **{"error.stack_trace": "Traceback\n  x", "dstk.partition": [7, 8]}),
        ],
        "etcd": [of_etcd(4, "slow fdatasync", "warn"), "panic: gone", of_etcd(8, "ready", "info")],
    }
    for name, lines in files.items():
        (tmp_path / f"{name}.log").write_text("\n".join(lines) + "\n")
    return {name: tmp_path / f"{name}.log" for name in files}


def of_prometheus(second: int, message: str, level: str) -> str:
    time = f"2026-01-01T00:00:{second:02}.700123456Z"
    return json.dumps({"time": time, "level": level, "source": "main.go:1", "msg": message})


def messages(logs: dict[str, Path], choice: Choice, count: int = 100) -> list[str]:
    return [line.message for line in newest(logs, choice, count)]


def test_lines_are_merged_by_time_and_the_newest_are_kept(logs: dict[str, Path]) -> None:
    every = ["serving", "slow fdatasync", "panic: gone", "split", "ready", "bad"]
    assert messages(logs, Choice()) == every
    assert messages(logs, Choice(), 2) == every[-2:]


def test_lines_of_prometheus_are_merged_too(logs: dict[str, Path], tmp_path: Path) -> None:
    lines = [of_prometheus(4, "started", "INFO"), of_prometheus(6, "slow", "WARN")]
    (tmp_path / "prometheus.log").write_text("\n".join(lines) + "\n")
    logs["prometheus"] = tmp_path / "prometheus.log"
    assert messages(logs, Choice())[1:] == ["slow fdatasync", "panic: gone", "started", "split", "slow", "ready", "bad"]
    assert messages(logs, Choice("warning")) == ["slow fdatasync", "slow", "bad"]


def test_lines_are_chosen_by_level_partition_and_kind(logs: dict[str, Path]) -> None:
    assert messages(logs, Choice("warning")) == ["slow fdatasync", "bad"]
    assert messages(logs, Choice(partition=7)) == ["split", "bad"]
    assert messages(logs, Choice(partition=8)) == ["bad"]
    assert messages(logs, Choice(events=True)) == ["split"]


def test_a_line_for_people_has_time_process_level_message_and_fields(logs: dict[str, Path]) -> None:
    lines = newest(logs, Choice(), 100)
    width = width_of(lines)
    assert written(lines[0], width) == "00:00:01.000 storage-1 info    serving"
    assert written(lines[3], width).endswith("info    split action=split partition=7 node=storage-2 seconds=0.096")
    assert written(lines[-1], width).endswith("error   bad partition=7,8\nTraceback\n  x")
