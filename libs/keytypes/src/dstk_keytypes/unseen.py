"""Invisible characters: two texts that differ only by one of them look the same.

Besides the characters that Python calls unprintable, these are Unicode's Default_Ignorable_Code_Point (variation selectors,
fillers, the grapheme joiner), which `isprintable` accepts, and the blank Braille pattern.
"""

import re

_IGNORED = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def is_seen(text: str) -> bool:
    """Whether every character of the text is visible or a space."""
    return text.isprintable() and (text.isascii() or not _IGNORED.search(text))


def escaped(text: str) -> str:
    r"""The text with invisible characters as Python escapes, such as \ufe0f."""
    return text if text.isascii() else _IGNORED.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
