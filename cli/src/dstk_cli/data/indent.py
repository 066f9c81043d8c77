"""Indents JSON by white space between its tokens, and changes no token.

Parsing and printing would change the document: 1e400 becomes Infinity, 12345678901234567.89 loses digits, and one of two
members with the same name is lost.
"""

import re
from collections.abc import Iterator

import msgspec

MAX_DEPTH = 32
"""Deeper documents are not indented: they would be mostly indentation."""

_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|[{}\[\],:]|[^\s{}\[\],:"]++')


def indented(text: str) -> str:
    """A JSON object or list with one line per member; any other text unchanged."""
    if text[:1] not in {"{", "["}:
        return text
    try:
        msgspec.json.decode(text, type=msgspec.Raw)  # checks the grammar without building values
    except (ValueError, RecursionError):
        return text
    tokens = _TOKEN.findall(text)
    return text if _depth(tokens) > MAX_DEPTH else "".join(_laid_out(tokens))


def _depth(tokens: list[str]) -> int:
    depth = most = 0
    for token in tokens:
        depth += (token in {"{", "["}) - (token in {"}", "]"})
        most = max(most, depth)
    return most


def _laid_out(tokens: list[str]) -> Iterator[str]:
    depth, before = 0, ""
    for token in tokens:
        opens, closes = token in {"{", "["}, token in {"}", "]"}
        depth -= closes
        if before == ":":
            yield " "
        elif before == "," or (before in {"{", "["} and not closes) or (closes and before not in {"{", "["}):
            yield "\n" + "  " * depth
        yield token
        depth += opens
        before = token
