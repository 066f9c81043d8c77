"""Schedules without a violation, mistakes that are found, and the same seed giving the same run."""

import asyncio
import gc
import logging

import pytest

from dstk_storage.domain import range_export
from dstk_storage.domain.replication import digests
from dstk_storage.domain.replication.runtime import comparison, snapshot_sender
from simulation.mutations import MUTATIONS, SHOWN_BY, mutated
from simulation.run import AT_REST, PAGE_RECORDS, Run, shows_a_mistake, simulate

pytestmark = pytest.mark.slow

BATCHES = 2
SEEDS_A_BATCH = 5
SEEDS_A_MUTATION = 500
"""As many as may be needed to show a mistake, wherever a change of the code has moved the schedule that does."""


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """What a mistake makes the cluster say, millions of times, is not worth keeping."""
    caplog.set_level(logging.ERROR)


def judged(run: Run) -> list[object]:
    return [*run.violations, *run.divergences]


@pytest.mark.parametrize("batch", range(BATCHES))
def test_no_schedule_shows_a_violation(batch: int) -> None:
    """CI runs hundreds more by `make simulate`."""
    for seed in range(batch * SEEDS_A_BATCH, (batch + 1) * SEEDS_A_BATCH):
        run = simulate(seed)
        assert not run.failed, f"make simulate SEED={seed}: {judged(run)}"
        assert not run.is_invalid, f"make simulate SEED={seed}: {run.answered} operations were answered"


def test_a_seed_gives_the_same_run_again() -> None:
    first, second = simulate(7), simulate(7)
    assert first.history == second.history
    assert first.faults == second.faults


def test_what_earlier_runs_have_left_behind_does_not_count() -> None:
    """A task that nobody has asked how it ended is told of when it is collected, whenever that is."""

    async def fails() -> None:
        raise ValueError("of an earlier run")

    async def leave_behind() -> None:
        circle: list[object] = [asyncio.create_task(fails())]
        circle.append(circle)  # so that it takes the collector to end it
        await asyncio.sleep(0)

    gc.disable()
    asyncio.run(leave_behind())
    gc.enable()
    run = simulate(0)
    assert not run.failed, judged(run)


def test_a_run_leaves_the_product_as_it_was() -> None:
    def portions() -> tuple[int, ...]:
        pages, calm = range_export.PAGE_RECORDS, snapshot_sender.CALM_OPERATIONS
        return digests.STRETCH_RECORDS, comparison.TRIES, pages, calm

    before = portions()
    simulate(AT_REST)
    assert portions() == before
    assert range_export.PAGE_RECORDS > PAGE_RECORDS


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mistake_in_the_protocol_is_found(name: str) -> None:
    with mutated(name):
        seeds = [SHOWN_BY.get(name, 0), *range(SEEDS_A_MUTATION)]
        found = next((seed for seed in seeds if _shows(seed)), None)
    assert found is not None, f"not found: {name}"
    assert not _shows(found), f"seed {found} shows something without the mistake, too"


def _shows(seed: int) -> bool:
    return shows_a_mistake(simulate(seed))
