"""Messages of the Admin service as JSON objects."""

from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from kit import statuses

from dstk.v1 import admin_pb2, topology_pb2
from dstk_cli.messages import as_json, word

FILES = (admin_pb2.DESCRIPTOR, topology_pb2.DESCRIPTOR)
KEYS = {"start", "end", "at", "resume"}


def test_keys_enums_and_inner_messages_have_the_form_that_commands_take() -> None:
    shown = as_json(statuses.figures(statuses.entry(7, "12/3", start=b"a", end=b"\xff")), flat="partition")
    assert (shown["id"], shown["start"], shown["end"], shown["in_sync"]) == (7, "a", "0xff", ["storage-1", "storage-2"])
    assert shown["read_failures"] == {"client": 1, "refused": 2, "server": 3}
    assert [each["node"] for each in shown["followers"]] == ["storage-2", "storage-3"]
    assert "partition" not in shown


def test_what_is_empty_is_null_and_a_number_is_a_number() -> None:
    shown = as_json(admin_pb2.PlannedStep(partition_id=2**63, state=admin_pb2.STEP_STATE_BLOCKED))
    assert shown == {
        "action": None,
        "partition_id": 2**63,
        "node": None,
        "at": None,
        "reason": None,
        "state": "blocked",
    }


def _name(kind: Any) -> str:
    return str(kind.full_name)


@pytest.mark.parametrize("kind", [kind for file in FILES for kind in file.enum_types_by_name.values()], ids=_name)
def test_the_words_of_an_enum_are_its_names_without_the_prefix(kind: Any) -> None:
    words = [word(kind, number) for number in range(len(kind.values))]
    assert words[0] is None
    named = [value.name.lower() for value in kind.values]
    prefixes = {name.removesuffix(str(each)) for name, each in zip(named[1:], words[1:], strict=True)}
    assert prefixes == {named[0].removesuffix("unspecified")}
    assert word(kind, 999) == "unknown"


def test_every_field_of_bytes_is_a_key() -> None:
    messages = [message for file in FILES for message in file.message_types_by_name.values()]
    found = {field.name for message in messages for field in message.fields if field.type == FieldDescriptor.TYPE_BYTES}
    assert found == KEYS
