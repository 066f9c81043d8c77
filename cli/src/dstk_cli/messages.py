"""Messages of Admin and Metrics as JSON objects, and their enums and keys as words. Pure."""

from typing import Any, Protocol

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from dstk_keytypes import Key


class _Bounded(Protocol):
    """A message with the bounds of a range; an empty one is no bound."""

    @property
    def start(self) -> bytes: ...

    @property
    def end(self) -> bytes: ...


def as_json(message: Message, *, flat: str = "") -> dict[str, Any]:
    """Returns the fields by name. Keys have the form that commands take, enums are words, and what is empty is null.

    `flat`: name of an inner message whose fields stand among the others.
    """
    fields = {field.name: _json(field, getattr(message, field.name)) for field in message.DESCRIPTOR.fields}
    return {**(fields.pop(flat) if flat else {}), **fields}


def _json(field: Any, value: Any) -> Any:
    return [_one(field, each) for each in value] if field.is_repeated else _one(field, value)


def _one(field: Any, value: Any) -> Any:
    match field.type:
        case FieldDescriptor.TYPE_MESSAGE:
            return as_json(value)
        case FieldDescriptor.TYPE_BYTES:
            return key_or_none(value)
        case FieldDescriptor.TYPE_ENUM:
            return word(field.enum_type, value)
        case FieldDescriptor.TYPE_STRING:
            return value or None
    return value


def word(kind: EnumDescriptor, number: int) -> str | None:
    """Returns the name of an enum's value in lower case; None for UNSPECIFIED, "unknown" for the value of a newer server."""
    if not number:
        return None
    prefix = kind.values_by_number[0].name.removesuffix("UNSPECIFIED")
    value = kind.values_by_number.get(number)
    return "unknown" if value is None else value.name.removeprefix(prefix).lower()


def key_or_none(key: bytes) -> str | None:
    """Returns the text form of a key; None for an empty one, which is no bound."""
    return Key.unchecked(key).display() if key else None


def bounds(place: _Bounded) -> tuple[str, str]:
    """Returns start and end of a range as text, without markup."""
    return key_or_none(place.start) or "(first)", key_or_none(place.end) or "(last)"
