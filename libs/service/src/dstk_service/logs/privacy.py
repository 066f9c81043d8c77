"""Keeps keys of users out of the log: in the texts of messages, errors and tracebacks. Values are in none of them."""

import re
from collections.abc import Callable
from typing import Final

Redact = Callable[[str], str]

HIDDEN: Final = "(hidden)"

_RANGE = re.compile(r"\[.* \.\. .*\)")
"""A KeyRange, as it writes itself; a key may have any character, so up to the last parenthesis of the line."""

_BYTES = re.compile(
    r"""
    b'(?:[^'\\]|\\.)*'
    | b"(?:[^"\\]|\\.)*"
    | \b0x[0-9a-fA-F]{2,}       # a key that is no text
    """,
    re.VERBOSE,
)


def hide(text: str) -> str:
    """The text without key ranges and bytes."""
    if " .. " in text:
        text = _RANGE.sub(HIDDEN, text)
    return _BYTES.sub(HIDDEN, text)


def show(text: str) -> str:
    """The text as it is."""
    return text
