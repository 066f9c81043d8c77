"""Describes the machine, and measures how long its disk takes to make a write durable."""

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from dstk_bench.loadgen import Latencies
from dstk_bench.model import Machine

_FSYNCS = 200
_BLOCK_BYTES = 4096
_PACKAGES = ("grpcio", "protobuf", "uvloop", "plyvel", "aetcd", "redis", "hiredis")


def describe(directory: Path) -> Machine:
    """Describes this machine and the file system of `directory`, which the benchmark writes to. Takes about 0.1 s."""
    fsync = fsync_latencies(directory)
    return Machine(
        cpu=cpu_model(),
        cores=psutil.cpu_count() or 0,
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        kernel=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        filesystem=filesystem(directory),
        fsync_p50_us=fsync.percentile_us(50),
        fsync_p99_us=fsync.percentile_us(99),
        packages={name: found for name in _PACKAGES if (found := _version(name)) is not None},
    )


def filesystem(directory: Path) -> str:
    """The type of the file system that holds `directory`, such as "ext4"."""
    path = str(directory.resolve())
    mounts = [each for each in psutil.disk_partitions(all=True) if _is_below(path, each.mountpoint)]
    return max(mounts, key=lambda each: len(each.mountpoint)).fstype if mounts else "unknown"


def fsync_latencies(directory: Path) -> Latencies:
    """Measures the time to append 4 KiB to a file and to call fdatasync."""
    path, block, taken = directory / "fsync", os.urandom(_BLOCK_BYTES), []
    with path.open("wb", buffering=0) as file:
        for _ in range(_FSYNCS):
            start = time.perf_counter_ns()
            file.write(block)
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter_ns() - start)
    path.unlink()
    latencies = Latencies()
    latencies.record(taken)
    return latencies


def _is_below(path: str, mountpoint: str) -> bool:
    return path == mountpoint or path.startswith(mountpoint.rstrip("/") + "/")


def cpu_model() -> str:
    """The model of the first core; the architecture if the system does not name it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
