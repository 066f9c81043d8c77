"""How a row becomes a record: which fields make the key, what makes the value."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dstk_cli.data.load.source import BadLineError, Row
from dstk_cli.errors import USAGE, CliError
from dstk_keytypes import InvalidInput, Key, limits

_CASTS: dict[str, Callable[[Any], Any]] = {"int": int, "float": float, "text": str}


@dataclass(frozen=True, slots=True)
class KeyField:
    """A field that is part of the key; `kind` is int, float, text, or empty: as the source has it (CSV: text)."""

    name: str
    kind: str = ""

    @staticmethod
    def parse(text: str) -> "tuple[KeyField, ...]":
        """Reads "country,geonameid:int". Raises `CliError`."""
        return tuple(KeyField._one(part.strip()) for part in text.split(","))

    @staticmethod
    def _one(text: str) -> "KeyField":
        name, colon, kind = text.rpartition(":")
        if colon and kind in _CASTS:
            return KeyField(name, kind)
        if not text:
            raise CliError("--key has an empty field", "give field names, such as --key country,geonameid:int", USAGE)
        return KeyField(text)

    def of(self, row: Row) -> Any:
        """The field's value as a key part. Raises `BadLineError`."""
        value = row.fields.get(self.name)
        if value is None:
            raise BadLineError(row.line, f"no field {self.name!r} for the key", _shown(row))
        if not self.kind:
            return value
        try:
            return _CASTS[self.kind](value)
        except (ValueError, TypeError):
            raise BadLineError(row.line, f"{self.name!r} is no {self.kind}: {value!r}", _shown(row)) from None


@dataclass(frozen=True, slots=True)
class Recipe:
    """Makes records of rows.

    The key is the typed tuple of `prefix` and the key fields; with `raw_key`, the one key field holds the whole key as
    text, as every command takes it. The value is the field `value`, or the whole row as JSON when it is None.
    """

    key: tuple[KeyField, ...]
    prefix: tuple[Any, ...] = ()
    raw_key: bool = False
    value: str | None = None

    def record(self, row: Row) -> tuple[Key, bytes]:
        """Raises `BadLineError` when the row makes no record that a cluster would take."""
        try:
            key, value = self._key(row), self._value(row)
        except InvalidInput as error:
            raise BadLineError(row.line, str(error), _shown(row)) from None
        except UnicodeEncodeError:
            raise BadLineError(row.line, "not UTF-8", _shown(row)) from None
        if len(value) > limits.MAX_VALUE_BYTES:
            why = f"the value has {len(value)} bytes, the limit is {limits.MAX_VALUE_BYTES}"
            raise BadLineError(row.line, why, _shown(row))
        return key, value

    def _key(self, row: Row) -> Key:
        parts = [field.of(row) for field in self.key]
        if self.raw_key:
            return Key.parse(str(parts[0]))
        for field, part in zip(self.key, parts, strict=True):
            if not isinstance(part, str | int | float) or (isinstance(part, float) and math.isnan(part)):
                raise BadLineError(row.line, f"{field.name!r} cannot be part of a key: {part!r:.50}", _shown(row))
        return Key.of(*self.prefix, *parts)

    def _value(self, row: Row) -> bytes:
        if self.value is None:
            return encode_json(row.fields)
        if self.value not in row.fields:
            raise BadLineError(row.line, f"no field {self.value!r} for the value", _shown(row))
        value = row.fields[self.value]
        return value.encode() if isinstance(value, str) else encode_json(value)


def encode_json(value: Any) -> bytes:
    """Compact JSON in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def parse_prefix(text: str) -> tuple[Any, ...]:
    """Parts that come first in every key: a tuple such as '("city",)', or one text."""
    return Key.parse(text).parts() if text.lstrip().startswith("(") else (text,)


def recipe(key: str, prefix: str | None, value: str | None, *, raw_key: bool) -> Recipe:
    """The recipe that the options describe. Raises `CliError`."""
    fields: Sequence[KeyField] = KeyField.parse(key)
    if raw_key and (len(fields) != 1 or prefix):
        raise CliError(
            "--raw-key takes the whole key from one field", "give one --key field and no --key-prefix", USAGE
        )
    return Recipe(tuple(fields), parse_prefix(prefix) if prefix else (), raw_key, value)


def _shown(row: Row) -> str:
    return json.dumps(row.fields, ensure_ascii=True)
