"""Schedules without a violation, mistakes that are found, and the same seed giving the same run."""

import logging

import pytest

from simulation.mutations import MUTATIONS, RARE, mutated
from simulation.run import Run, simulate

pytestmark = pytest.mark.slow

BATCHES = 10
SEEDS_A_BATCH = 15
SEEDS_A_MUTATION = 100


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """What a mistake makes the cluster say, millions of times, is not worth keeping."""
    caplog.set_level(logging.ERROR)


def judged(run: Run) -> list[object]:
    return [*run.violations, *run.divergences]


@pytest.mark.parametrize("batch", range(BATCHES))
def test_no_schedule_shows_a_violation(batch: int) -> None:
    for seed in range(batch * SEEDS_A_BATCH, (batch + 1) * SEEDS_A_BATCH):
        run = simulate(seed)
        assert not run.failed, f"make simulate SEED={seed}: {judged(run)}"


def test_a_seed_gives_the_same_run_again() -> None:
    first, second = simulate(7), simulate(7)
    assert first.history == second.history
    assert first.faults == second.faults


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mistake_in_the_protocol_is_found(name: str) -> None:
    seeds = [RARE[name]] if name in RARE else range(SEEDS_A_MUTATION)
    with mutated(name):
        assert any(_shows(seed) for seed in seeds), f"not found: {name}"


@pytest.mark.parametrize("seed", RARE.values())
def test_a_schedule_that_shows_a_rare_mistake_shows_nothing_without_it(seed: int) -> None:
    assert not _shows(seed)


def _shows(seed: int) -> bool:
    try:
        return simulate(seed).failed
    except AssertionError:  # of the code itself
        return True
