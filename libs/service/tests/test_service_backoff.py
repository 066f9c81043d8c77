"""Delays between retries."""

import random

from hypothesis import given
from hypothesis import strategies as st

from dstk_service.backoff import Backoff


def test_delays_double_up_to_the_limit() -> None:
    assert [Backoff(0.5, 3.0).delay(failures) for failures in (1, 2, 3, 4, 5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


@given(st.integers(1, 10**9), st.integers(0, 2**32))
def test_jitter_takes_at_most_half_and_never_exceeds_the_delay(failures: int, seed: int) -> None:
    backoff = Backoff(0.05, 2.0)
    delay = backoff.delay(failures)
    assert delay / 2 <= backoff.jittered(failures, random.Random(seed)) <= delay <= 2.0


def test_the_same_random_numbers_give_the_same_delays() -> None:
    backoff = Backoff(0.1, 2.0)
    first, second = ([backoff.jittered(n, rng) for n in range(1, 9)] for rng in (random.Random(7), random.Random(7)))
    assert first == second
