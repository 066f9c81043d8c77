"""A real Prometheus for tests, with the configuration and the rules that ship."""

import asyncio
import json
import math
import os
import signal
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kit.ports import free_port
from kit.programs import program

from dstk_observability import prometheus, rules
from dstk_service.testing import eventually

Addresses = Mapping[str, Mapping[str, str]]
"""host:port by scrape job and by the id of the process."""


class QueryRefused(Exception):
    """Prometheus says why a query is wrong."""


@dataclass(frozen=True, slots=True)
class Series:
    """Points are (Unix time, value), ascending; an instant query yields one."""

    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]

    @property
    def numbers(self) -> list[float]:
        """The values, without NaN."""
        return [value for _, value in self.points if not math.isnan(value)]


class Prometheus:
    """Scrapes `targets` each `interval` seconds, from entry to exit. `pace`: of its rules.

    Raises AssertionError if the program is not on PATH.
    """

    def __init__(
        self,
        directory: Path,
        targets: Addresses,
        *,
        cluster: str,
        interval: int = 1,
        pace: rules.Pace = rules.PRODUCTION,
    ) -> None:
        self.directory, self._targets, self._cluster, self._interval = directory, targets, cluster, interval
        self._pace = pace
        self.address = f"127.0.0.1:{free_port()}"
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        """Starts it and waits until it answers."""
        self._write()
        self._process = self._start()
        await eventually(self._ready, within=60)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends it."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def reload(self, configuration: str) -> None:
        """Gives it another configuration."""
        (self.directory / "prometheus.yml").write_text(configuration)
        os.kill(self.pid, signal.SIGHUP)

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process is not None
        return self._process.pid

    async def query(self, text: str, at: float | None = None) -> list[Series]:
        """The value of an expression at a Unix time, or now."""
        found = await self._ask("query", query=text, **({} if at is None else {"time": str(at)}))
        return [Series(each["metric"], [_point(each["value"])]) for each in _vector(found)]

    async def over(self, text: str, begin: float, end: float, step: float = 1.0) -> list[Series]:
        """The values of an expression each `step` seconds."""
        found = await self._ask("query_range", query=text, start=str(begin), end=str(end), step=str(step))
        return [Series(each["metric"], [_point(point) for point in each["values"]]) for each in found["result"]]

    async def values(self, label: str, selector: str) -> list[str]:
        """The values of a label among the series that a selector finds, ascending."""
        found: list[str] = await self._ask(f"label/{label}/values", **{"match[]": selector})
        return found

    async def alerts(self) -> list[str]:
        """The names of the alerts that it has loaded, ascending."""
        found = await self._ask("rules", type="alert")
        return sorted(rule["name"] for group in found["groups"] for rule in group["rules"])

    async def _ask(self, path: str, **parameters: str) -> Any:
        return await asyncio.to_thread(self._get, path, parameters)

    def _get(self, path: str, parameters: Mapping[str, str]) -> Any:
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            raise QueryRefused(f"{parameters}: {error.read().decode()}") from None

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def _write(self) -> None:
        """The files that ship, with the addresses of this test's processes."""
        for folder in ("rules", "targets"):
            (self.directory / folder).mkdir(parents=True)
        (self.directory / "prometheus.yml").write_text(prometheus.configuration(self._interval))
        (self.directory / "rules" / "dstk.yml").write_text(rules.rules(pace=self._pace))
        for job, addresses in {"prometheus": {"prometheus": self.address}, **self._targets}.items():
            self.retarget(job, addresses)

    def retarget(self, job: str, addresses: Mapping[str, str]) -> None:
        """Gives a job other targets."""
        (self.directory / "targets" / f"{job}.yml").write_text(prometheus.targets(addresses, self._cluster))

    def _start(self) -> "subprocess.Popen[bytes]":
        with (self.directory / "prometheus.log").open("wb") as log:
            return subprocess.Popen(self._argv(), stdout=log, stderr=subprocess.STDOUT, cwd=self.directory)

    def _argv(self) -> list[str]:
        options = {
            "config.file": "prometheus.yml",
            "storage.tsdb.path": "data",
            "web.listen-address": self.address,
            "enable-feature": "exemplar-storage",
        }
        return [program("prometheus"), *(f"--{name}={value}" for name, value in options.items())]


def _vector(found: Any) -> list[Any]:
    if found["resultType"] == "scalar":
        return [{"metric": {}, "value": found["result"]}]
    vector: list[Any] = found["result"]
    return vector


def _point(raw: Sequence[Any]) -> tuple[float, float]:
    return float(raw[0]), float(raw[1])
