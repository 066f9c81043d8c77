"""The entry point of the measurements, with minimal settings."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow]

INTEGRATION = Path(__file__).parents[1]


@pytest.mark.slow
async def test_a_measured_failover_is_reported_and_leaves_nothing_behind(tmp_path: Path) -> None:
    data, output = tmp_path / "data", tmp_path / "report.json"
    data.mkdir()
    options = ["--only", "failover", "--kills", "1", "--directory", str(data), "--output", str(output)]
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "faults.measure", *options, cwd=INTEGRATION)
    assert await process.wait() == 0
    assert not list(data.iterdir())
    report = json.loads(output.read_text())
    assert report.keys() == {"format", "started", "machine", "settings", "measurements"}
    assert report["machine"]["cores"] > 0
    (measured,) = report["measurements"]
    assert measured.keys() == {"name", "figures", "samples", "invalid", "notes", "verdict"}
    assert (measured["name"], len(measured["samples"])) == ("failover", 1)
    promised = {figure["name"]: figure["verdict"] for figure in measured["figures"] if figure["promised"]}
    assert promised == {"keys with a lost or stale write": "met", "failed requests": "met"}


async def test_a_measurement_that_does_not_exist_is_refused_by_name() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "faults.measure", "--only", "nonsense", cwd=INTEGRATION, stderr=asyncio.subprocess.PIPE
    )
    _, complaint = await process.communicate()
    assert process.returncode == 2
    assert b"'nonsense'" in complaint
