"""Text from outside (keys, values, names, error messages) on its way to a terminal.

A value may hold what a terminal obeys (ESC, C1 controls), what reorders a line (bidirectional overrides), or what nobody
sees (zero width characters); and it may look like Rich's markup. None of that reaches the screen: every character that is
not seen is shown as its escape, and nothing from outside is read as markup.
"""

import json
import re

from dstk_keytypes.unseen import is_seen

_UNPRINTABLE = re.compile(r"[^ -~]")
# what Rich reads as more than itself
_MEANT = re.compile(r"(\\*)(\[)|(\\+)\Z")
_NO_TAG = "[bold][/bold]"
"""An empty tag: ends a run of backslashes, or a bracket, so that the markup around it is read as it would be alone."""


def visible(text: str, *, keep: str = "") -> str:
    r"""The text with every character that is not printable as an escape: \n, \x1b, \u202e. Those in `keep` stay."""
    if text.isascii() and text.isprintable():
        return text
    return _UNPRINTABLE.sub(
        lambda match: match[0] if is_seen(match[0]) or match[0] in keep else _escape(match[0]), text
    )


def as_markup(text: object) -> str:
    """Markup that Rich shows as `visible(text)`, wherever it stands.

    Rich's own escape does not: a backslash at the end escapes the tag behind it, and one before a bracket is dropped.
    """
    return _MEANT.sub(_plain, visible(str(text)))


def visible_json(text: str) -> str:
    r"""JSON text with every character that is not printable as \uXXXX: the same JSON, and harmless on a terminal."""
    return _UNPRINTABLE.sub(lambda match: match[0] if is_seen(match[0]) else json.dumps(match[0])[1:-1], text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _plain(match: re.Match[str]) -> str:
    backslashes = match[1] or match[3] or ""
    ended = 2 * backslashes + _NO_TAG if backslashes else ""
    return f"{ended}[{_NO_TAG}" if match[2] else ended
