"""The token file: made once, whoever is first, and never empty."""

import asyncio
import stat
import sys
from pathlib import Path

import pytest

from dstk_service import tokens


def test_a_token_is_made_for_its_owner_alone_and_stays(tmp_path: Path) -> None:
    file = tmp_path / "token"
    assert tokens.main([str(file)]) == 0
    made = tokens.read(file)
    assert len(made) >= 40
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert tokens.main([str(file)]) == 0
    assert tokens.read(file) == made
    assert list(tmp_path.iterdir()) == [file]


async def test_of_several_at_one_moment_one_wins_and_all_see_its_token(tmp_path: Path) -> None:
    file = tmp_path / "token"
    script = "import sys; from pathlib import Path; from dstk_service import tokens; f = Path(sys.argv[1]);"
    script += "tokens.ensure(f); print(tokens.read(f))"
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", script, str(file), stdout=asyncio.subprocess.PIPE)
        for _ in range(4)
    ]
    outputs = {(await process.communicate())[0] for process in processes}
    assert outputs == {f"{tokens.read(file)}\n".encode()}


def test_an_empty_file_is_no_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "token"
    file.write_text(" \n")
    with pytest.raises(OSError, match="is empty: write a long random token"):
        tokens.read(file)
    assert tokens.main([str(file)]) == 1
    assert "is empty" in capsys.readouterr().err


def test_where_no_file_can_be_made_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tokens.main([str(tmp_path / "missing" / "token")]) == 1
    assert "missing" in capsys.readouterr().err
