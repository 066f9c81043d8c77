"""A storage node's settings: what is wrong with them is said before anything starts."""

import json
from pathlib import Path

import pytest

from dstk_keytypes import Key
from dstk_service.config import parse
from dstk_storage.config import StorageConfig


def test_split_keys_are_keys_as_people_write_them(tmp_path: Path) -> None:
    splits = ["g", '("city","FR")', "0x6869"]
    config = parse(StorageConfig, ["--data-dir", str(tmp_path), "--bootstrap-splits", json.dumps(splits)])
    assert config.split_keys() == [Key.text("g"), Key.of("city", "FR"), Key(b"hi")]


@pytest.mark.parametrize(
    ("given", "told"),
    [('["g", "(4)"]', "key '(4)'"), ("[4]", "valid string"), ('["g"', "Invalid JSON"), ("{}", "valid list")],
)
def test_split_keys_that_are_none_are_refused_by_the_name_of_their_flag(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: str, told: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(StorageConfig, ["--data-dir", str(tmp_path), "--bootstrap-splits", given])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: --bootstrap-splits (or DSTK_BOOTSTRAP_SPLITS) is")
    assert told in error


NUMBERS = [name for name, field in StorageConfig.model_fields.items() if field.annotation in {int, float}]


@pytest.mark.parametrize("flag", [f"--{name.replace('_', '-')}" for name in NUMBERS])
@pytest.mark.parametrize("value", ["nan", "inf", "-1", "18446744073709551616", "9" * 400, "1e400", ""])
def test_a_number_out_of_bounds_is_refused_by_the_name_of_its_flag(
    flag: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(StorageConfig, [f"--data-dir={tmp_path}", f"{flag}={value}"])
    assert ended.value.code == 2
    assert flag in capsys.readouterr().err
