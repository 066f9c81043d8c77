"""JSON files: read as they were written, replaced whole, and refused with the field, the value and the reason."""

import errno
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import pytest
from annotated_types import Ge

from dstk_service import whole_files
from dstk_service.jsonfile import DamagedFile, JsonFile, MissingVersion, UnknownVersion


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True)
class Inner:
    size: Annotated[int, Ge(0)]


@dataclass(frozen=True, slots=True)
class Content:
    colour: Colour
    inner: tuple[Inner, ...]
    ratio: float = 1.0
    name: str | None = None


FILE = JsonFile(Content, version=3)
CONTENT = Content(Colour.RED, (Inner(1), Inner(2)), 0.5, "ünï")


def test_content_survives_its_file_and_people_can_read_it(tmp_path: Path) -> None:
    FILE.write(tmp_path / "a", CONTENT)
    assert FILE.read(tmp_path / "a") == CONTENT
    assert (tmp_path / "a").read_text().splitlines()[:3] == ["{", '  "format": 3,', '  "colour": "red",']


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no JSON"),
        ("\x00" * 4096, "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("null", "no JSON object, but None"),
        ('{"format": 3}', "colour is {}: Field required"),
        ('{"format": 3, "colour": "blue", "inner": []}', "colour is 'blue': Input should be 'red'"),
        ('{"format": 3, "colour": "red", "inner": [{"size": -1}]}', "inner.0.size is -1: Input should be greater"),
        (
            '{"format": 3, "colour": "red", "inner": [{"size": "1"}]}',
            "inner.0.size is '1': Input should be a valid int",
        ),
        ('{"format": 3, "colour": "red", "inner": [{"size": true}]}', "inner.0.size is True"),
        ('{"format": 3, "colour": "red", "inner": [], "more": 7}', "more is 7: Unexpected keyword argument"),
    ],
)
def test_damage_is_refused_with_file_field_and_value(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "a").write_text(text)
    with pytest.raises(DamagedFile) as refusal:
        FILE.read(tmp_path / "a")
    assert str(refusal.value).startswith(f"{tmp_path / 'a'} is damaged: ")
    assert says in str(refusal.value)


@pytest.mark.parametrize(("version", "found"), [("4", 4), ("true", True), ('"3"', "3"), ("3.0", 3.0), ("null", None)])
def test_another_version_is_refused_before_anything_else(tmp_path: Path, version: str, found: Any) -> None:
    (tmp_path / "a").write_text(f'{{"format": {version}, "strange": 1}}')
    with pytest.raises(UnknownVersion, match="another version of dstk") as refusal:
        FILE.read(tmp_path / "a")
    assert refusal.value.found == found
    assert type(refusal.value.found) is type(found)


def test_a_file_without_a_version_is_of_another_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("{}")
    with pytest.raises(MissingVersion, match="another version of dstk: it names none"):
        FILE.read(tmp_path / "a")


def test_a_write_that_fails_names_the_file_and_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FILE.write(tmp_path / "a", CONTENT)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(whole_files.os, "fsync", full)
    with pytest.raises(OSError, match="No space") as failure:
        FILE.write(tmp_path / "a", Content(Colour.RED, ()))
    assert failure.value.filename == str(tmp_path / "a")
    assert FILE.read(tmp_path / "a") == CONTENT
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]
