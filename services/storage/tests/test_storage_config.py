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
