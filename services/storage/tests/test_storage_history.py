"""Where a replica stands in the history of its partition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstk_storage.domain.history import START, History, Position

steps = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3)), max_size=12)


def grown(moves: list[tuple[int, int]]) -> tuple[History, dict[int, int]]:
    """A history, and the epoch of each of its writes."""
    history, epochs, epoch = History(), dict[int, int](), 1
    for later, count in moves:
        epoch += later
        first = history.last + 1
        history = history.extended(epoch, first, first + count - 1)
        epochs |= dict.fromkeys(range(first, first + count), epoch)
    return history, epochs


@given(steps, st.integers(0, 40), st.integers(0, 40))
def test_a_history_contains_exactly_the_positions_that_it_went_through(
    moves: list[tuple[int, int]], epoch: int, seq: int
) -> None:
    history, epochs = grown(moves)
    assert history.contains(Position(epoch, seq)) == (Position(epoch, seq) == START or epochs.get(seq) == epoch)
    assert history.position == (Position(epochs[history.last], history.last) if epochs else START)


def test_a_history_never_goes_back() -> None:
    history = History().extended(3, 1, 5)
    for epoch, first in ((2, 6), (3, 5)):
        with pytest.raises(AssertionError):
            history.extended(epoch, first, first)
