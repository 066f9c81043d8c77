"""What the environment says about the terminal, where it can be believed."""

from collections.abc import MutableMapping

_NAMES = ("COLUMNS", "LINES", "TERMINAL_WIDTH")
_MOST = 10_000


def forget_impossible_sizes(environment: MutableMapping[str, str]) -> None:
    """Removes sizes that are none (0, -1, "wide", a million): Rich and Typer would lay out by them, or fail while imported."""
    for name in _NAMES:
        if name in environment and not _possible(environment[name]):
            del environment[name]


def _possible(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= len(str(_MOST)) and 0 < int(text) <= _MOST
