"""How a row becomes a record: the fields of the key, and the value."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from dstk_formats.parts import of_field, text_of
from dstk_formats.source import BadLineError, Fields, Row
from dstk_keytypes import Key, limits


class Made(NamedTuple):
    """A record. `expires_at_ms` is in Unix milliseconds; 0: the time to live of the load applies."""

    key: Key
    value: bytes
    expires_at_ms: int


@dataclass(frozen=True, slots=True)
class KeyField:
    """A field of the key. `kind` is one of KINDS, or empty for the type in the source (CSV and TSV: text)."""

    name: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Describes how rows become records.

    The key is the typed tuple of `prefix` and the key fields; with `raw_key`, the one key field holds the whole key as
    text, as every command takes it. The value is the field `value`, or the whole row when it is None.
    """

    key: tuple[KeyField, ...]
    prefix: tuple[Any, ...] = ()
    raw_key: bool = False
    value: str | None = None

    @property
    def wanted(self) -> tuple[str, ...]:
        """The fields that a row must have, each once."""
        names = [field.name for field in self.key]
        return tuple(dict.fromkeys(names if self.value is None else [*names, self.value]))


class Maker:
    """Makes records by a recipe, from rows whose fields are the recipe's `wanted`, in that order."""

    def __init__(self, recipe: Recipe) -> None:
        wanted = recipe.wanted
        kinds = ["text"] if recipe.raw_key else [field.kind for field in recipe.key]
        self._parts = [(wanted.index(field.name), kind) for field, kind in zip(recipe.key, kinds, strict=True)]
        self._value_at = None if recipe.value is None else wanted.index(recipe.value)
        self._recipe = recipe

    def record(self, row: Row) -> Made:
        """The record of a row. Raises BadLineError if a cluster would refuse it."""
        try:
            key, value = self._key(row.fields), self._value(row)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever error a record causes, that record is bad
            raise BadLineError(row.line, _why(error), row.text) from None
        if len(value) > limits.MAX_VALUE_BYTES:
            why = f"the value has {len(value)} bytes, the limit is {limits.MAX_VALUE_BYTES}"
            raise BadLineError(row.line, why, row.text)
        return Made(key, value, 0)

    def _key(self, fields: Fields) -> Key:
        try:
            parts = [of_field(fields[at], kind) for at, kind in self._parts]
        except ValueError:
            raise ValueError(self._bad_part(fields)) from None
        return Key.parse(str(parts[0])) if self._recipe.raw_key else Key.of(*self._recipe.prefix, *parts)

    def _value(self, row: Row) -> bytes:
        if self._value_at is None:
            return row.whole
        given = row.fields[self._value_at]
        if given is None:
            raise ValueError(f"no field {self._recipe.value!r} for the value")
        return text_of(given)

    def _bad_part(self, fields: Fields) -> str:
        """Says which field cannot be a part of the key, and why."""
        for field, (at, kind) in zip(self._recipe.key, self._parts, strict=True):
            try:
                of_field(fields[at], kind)
            except ValueError as error:
                given = fields[at]
                if given is None:
                    return f"no field {field.name!r} for the key"
                return f"the field {field.name!r} is {_shortened(given)}, which {error}"
        raise AssertionError("every part can be made")


def _shortened(field: Any) -> str:
    text = field if isinstance(field, str) else bytes(field).decode()
    return repr(text) if len(text) <= 100 else f"{text[:100]!r}..."  # noqa: PLR2004 - as long as the errors of keys


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
