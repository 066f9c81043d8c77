"""Faults of a live cluster raise their alerts, which reach the receiver of their severity and are resolved after the mend."""

import asyncio
from collections.abc import Iterator

import pytest
from kit.disks import are_possible

from dstk_observability.alerts import ALERTS
from dstk_observability.alerts.kinds import Severity
from observe.live_faults import FAULTS, LiveFault
from observe.watched import Watched, watching

pytestmark = [pytest.mark.observe, pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("live")]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[asyncio.Runner, Watched]]:
    """One cluster for all faults; each leaves it healthy, or fails."""
    directory = tmp_path_factory.mktemp("watched")
    if not are_possible(directory / "trial"):
        pytest.skip("a disk for each node needs the right to mount")
    with asyncio.Runner() as runner:
        context = watching(directory)
        watched = runner.run(context.__aenter__())
        try:
            yield runner, watched
        finally:
            runner.run(context.__aexit__(None, None, None))


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_raises_its_alerts_and_they_end_after_the_mend(
    scene: tuple[asyncio.Runner, Watched], name: str
) -> None:
    runner, watched = scene
    runner.run(_lived_through(watched, FAULTS[name]))


async def _lived_through(watched: Watched, fault: LiveFault) -> None:
    watched.receiver.told.clear()
    await fault.begin(watched)
    try:
        for alert in (*fault.told, *fault.silent, *fault.undelivered):
            await watched.fires(alert)
        for alert in fault.told:
            await watched.is_told(alert, "firing")
        for alert in fault.silent:
            assert not watched.receiver.statuses(f"/{ALERTS[alert].severity}", alert), f"{alert} was not inhibited"
    finally:
        await fault.mend(watched)
    for alert in (*fault.told, *fault.silent, *fault.undelivered):
        if ALERTS[alert].severity is not Severity.HEARTBEAT:
            await watched.ends(alert)
    for alert in fault.told:
        if ALERTS[alert].severity is not Severity.HEARTBEAT:
            await watched.is_told(alert, "resolved")
    await watched.operator.healed(within=120)


def test_enough_alerts_are_raised_for_real() -> None:
    assert len({alert for fault in FAULTS.values() for alert in (*fault.told, *fault.silent, *fault.undelivered)}) >= 12
