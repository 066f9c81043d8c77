"""What was typed, before a command sees it."""

import os
from collections.abc import Mapping
from typing import Any

from dstk_cli.errors import USAGE, CliError


def readable(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a command by name, its texts as UTF-8. Raises CliError for one that is something else.

    Paths are left alone: a file's name may be any bytes. Other bytes than UTF-8 come as lone surrogates, and so does UTF-8
    where the locale is ASCII.
    """
    return {name: _readable(name, value) for name, value in arguments.items()}


def _readable(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_readable(name, each) for each in value]
    if type(value) is not str or value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return _as_utf8(name, value)
    return value


def _as_utf8(name: str, value: str) -> str:
    try:
        return os.fsencode(value).decode()
    except UnicodeError:
        hint = "type it as UTF-8; a key of other bytes is given as hex, such as 0xff00, and a value with --file"
        raise CliError(f"{name} is {value!r:.100}, which is not UTF-8", hint, USAGE) from None
