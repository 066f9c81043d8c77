"""The options of `dstk load` that say how rows become records."""

from typing import Any

from dstk_cli.errors import USAGE, CliError
from dstk_formats.parts import KINDS
from dstk_formats.recipe import KeyField, Recipe
from dstk_keytypes import Key


def recipe(key: str, prefix: str | None, value: str | None, *, raw_key: bool) -> Recipe:
    """The recipe that the options describe. Raises CliError."""
    fields = tuple(_key_field(part.strip()) for part in key.split(","))
    if raw_key and (len(fields) != 1 or prefix is not None):
        raise CliError(
            "--raw-key takes the whole key from one field", "give one --key field and no --key-prefix", USAGE
        )
    return Recipe(fields, () if prefix is None else _prefix(prefix), raw_key, value)


def _key_field(text: str) -> KeyField:
    """Parses "geonameid:int"."""
    name, colon, kind = text.rpartition(":")
    if colon and kind in KINDS:
        return KeyField(name, kind)
    if not text:
        raise CliError("--key has an empty field", "give field names, such as --key country,geonameid:int", USAGE)
    return KeyField(text)


def _prefix(text: str) -> tuple[Any, ...]:
    """The first parts of every key: those of a tuple such as '("city",)', or one text."""
    if not text:
        raise CliError("--key-prefix is empty", "omit it, or give a text or a tuple", USAGE)
    return Key.parse(text).parts() if text.lstrip().startswith("(") else (text,)
