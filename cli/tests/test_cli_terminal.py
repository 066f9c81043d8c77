"""Sizes of the terminal that the environment gives."""

import pytest

from dstk_cli.terminal import forget_impossible_sizes


@pytest.mark.parametrize("size", ["0", "-1", "", "wide", "1e3", "²", "9" * 30, " 80", "10001", "0x50"])
def test_a_size_of_the_terminal_that_is_none_is_forgotten(size: str) -> None:
    environment = {"COLUMNS": size, "LINES": size, "TERMINAL_WIDTH": size, "TERM": "x"}
    forget_impossible_sizes(environment)
    assert environment == {"TERM": "x"}


@pytest.mark.parametrize("size", ["1", "40", "200", "10000"])
def test_a_possible_size_is_kept(size: str) -> None:
    environment = {"COLUMNS": size}
    forget_impossible_sizes(environment)
    assert environment == {"COLUMNS": size}
