"""docs/key-encoding-vectors.json, by which other languages check their encoders, is what this one does."""

import json
from pathlib import Path

import pytest
from kit import key_vectors

from dstk_keytypes import InvalidKey, Key

FILE = Path(__file__).parents[3] / "docs" / "key-encoding-vectors.json"
VECTORS = json.loads(FILE.read_text(encoding="utf-8"))


def test_the_file_is_up_to_date() -> None:
    renew = "cd integration && ../.venv/bin/python -m kit.key_vectors > ../docs/key-encoding-vectors.json"
    assert FILE.read_text(encoding="utf-8") == key_vectors.text(), f"renew it: {renew}"


def test_the_keys_are_in_order_and_read_back() -> None:
    keys = [Key(bytes.fromhex(vector["key"])) for vector in VECTORS["ordered"]]
    assert keys == sorted(set(keys))
    assert len(keys) >= 80
    for key, vector in zip(keys, VECTORS["ordered"], strict=True):
        assert [key_vectors.tagged(part) for part in key.parts()] == vector["tuple"]


def test_every_type_has_vectors() -> None:
    kinds = {next(iter(element)) for vector in VECTORS["ordered"] for element in vector["tuple"]}
    assert kinds == {"none", "bool", "int", "float", "datetime", "str", "bytes", "uuid", "tuple"}


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda vector: vector["key"])
def test_what_no_tuple_is_encoded_as_is_refused(vector: dict[str, str]) -> None:
    with pytest.raises(InvalidKey):
        Key(bytes.fromhex(vector["key"])).parts()
