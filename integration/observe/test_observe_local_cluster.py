"""`dstk local up --observability` with the real programs, from the start to `dstk local down`."""

import asyncio
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kit.dstk_local import DstkLocal
from kit.programs import program

from dstk_observability.alerts import ALERTS
from dstk_observability.external import JOBS
from dstk_service.testing import eventually

pytestmark = [pytest.mark.observe, pytest.mark.slow, pytest.mark.timeout(600)]

PROGRAMS = ("prometheus", "alertmanager", "jaeger")
FIRES_WITHIN = 240.0
"""A node is down for two minutes until its alert fires; scrapes are 15 s apart."""


@pytest.fixture
def local(tmp_path: Path) -> Iterator[DstkLocal]:
    for name in PROGRAMS:
        program(name)
    made = DstkLocal(tmp_path / "cluster")
    yield made
    made.end()


def asked(local: DstkLocal, name: str, path: str) -> Any:
    """What a program answers."""
    with urllib.request.urlopen(f"{local.child(name)['page']}{path}", timeout=10) as response:
        return json.load(response)


def unhealthy(local: DstkLocal) -> list[Any]:
    """Targets that are not scraped, and rules that Prometheus cannot evaluate."""
    targets = asked(local, "prometheus", "/api/v1/targets")["data"]["activeTargets"]
    assert {target["labels"]["job"] for target in targets} == set(map(str, JOBS))
    assert len(targets) == 8
    return [target for target in targets if target["health"] != "up"] + [
        rule for rule in rules(local) if rule["health"] != "ok"
    ]


def rules(local: DstkLocal) -> list[Any]:
    """All that Prometheus has loaded."""
    groups = asked(local, "prometheus", "/api/v1/rules")["data"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def told(local: DstkLocal, alert: str) -> list[str]:
    """The instances that Alertmanager knows to be in this alert."""
    found = asked(local, "alertmanager", "/api/v2/alerts")
    return [each["labels"].get("instance", "") for each in found if each["labels"]["alertname"] == alert]


async def test_a_local_cluster_is_watched_as_the_compose_stack_is(local: DstkLocal) -> None:
    shown = local("local", "up", "--detach", "--observability")
    assert all(f"{name} " in shown for name in PROGRAMS)
    assert "warning" not in shown
    first = local.status()
    assert (first["state"], len(first["processes"])) == ("serving", 9)
    assert "up already" in local("local", "up", "--observability")
    await eventually(lambda: not unhealthy(local), within=90)
    assert {rule["name"] for rule in rules(local) if rule["type"] == "alerting"} == set(ALERTS)
    await eventually(lambda: told(local, "DstkWatchdog"), within=120)

    local.kill("jaeger")
    await eventually(lambda: local.child("jaeger")["restarts"] == 1)
    await eventually(lambda: local.child("jaeger")["state"] == "serving")

    await dies_for_good(local, "storage-3")
    assert local.status()["state"] == "degraded"
    await eventually(lambda: told(local, "DstkNodeDown") == ["storage-3"], within=FIRES_WITHIN)

    processes = local.processes()
    assert len(processes) >= 9, "the supervisor, all that runs, and the node while it tries to start"
    await asyncio.to_thread(local, "local", "down")
    assert not any(process.alive for process in processes)

    comes_back(local, "storage-3")
    local("local", "up", "--detach", "--observability")
    assert [child["page"] for child in local.status()["processes"]] == [child["page"] for child in first["processes"]]


async def dies_for_good(local: DstkLocal, name: str) -> None:
    """Kills a node whose data is gone from its place, and in whose place a file is: it cannot start again."""
    data = local.directory / name
    data.rename(local.directory / "elsewhere")
    data.write_text("")
    local.kill(name)
    await eventually(lambda: local.child(name)["state"] == "failing", within=60)


def comes_back(local: DstkLocal, name: str) -> None:
    """Undoes it."""
    data = local.directory / name
    data.unlink()
    (local.directory / "elsewhere").rename(data)
