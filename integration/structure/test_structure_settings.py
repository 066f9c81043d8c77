"""The controller's settings: the contract and the operators' page state the bounds and defaults that the code declares."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from dstk_service.controller_settings import BOUNDS, MIB, ControllerSettings

ROOT = Path(__file__).parents[2]
RANGE = re.compile(r"(\d+ MiB|\d+ KiB|0 \(never\)|\d+)\.\.(\d+ [TG]iB|[\d.]*\d)")
NUMBERS = [name for name in BOUNDS if name != "paused"]
CONTRACT = (
    (ROOT / "proto/dstk/v1/admin.proto").read_text().partition("message ControllerSettings {")[2].partition("\n}")[0]
)
OPERATIONS = (ROOT / "docs/operations.md").read_text()


def range_in(text: str) -> str:
    found = RANGE.search(text)
    assert found, f"no range in {text!r}"
    return found[0]


def default(name: str) -> str:
    value = getattr(ControllerSettings(), name)
    return f"{value // MIB} MiB" if "bytes" in name else f"{value:g}"


@pytest.mark.parametrize("name", NUMBERS)
def test_the_contract_states_the_bounds_and_the_default(name: str) -> None:
    (comment,) = re.findall(rf"  // ([^\n]+)\n  \w+ {name} = \d+;", CONTRACT)
    assert range_in(comment) == range_in(BOUNDS[name].limit)
    assert f"Default: {default(name)}." in comment


@pytest.mark.parametrize("name", NUMBERS)
def test_the_operators_page_states_the_bounds_and_the_default(name: str) -> None:
    (row,) = re.findall(rf"^\| `{name}` \|(.+)$", OPERATIONS, re.MULTILINE)
    assert range_in(row) == range_in(BOUNDS[name].limit)
    assert row.split("|")[0].strip() == default(name)


def test_every_setting_has_bounds_and_a_meaning() -> None:
    assert list(BOUNDS) == [each.name for each in fields(ControllerSettings)]
    assert all(bounds.limit and bounds.meaning for bounds in BOUNDS.values())
