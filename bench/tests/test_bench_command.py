import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from dstk_bench.command import app

ROOT = Path(__file__).parents[2]
BASELINE = ROOT / "bench" / "baseline.json"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})


@pytest.mark.parametrize("arguments", [["--help"], ["document", "--help"]])
def test_the_command_explains_itself(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 0
    assert "Usage" in result.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--only", "get-7"], "'get-7' matches no case"),
        (["--check"], "add --baseline"),
        (["--baseline", "/nowhere/report.json"], "/nowhere/report.json"),
        (["--output", "/nowhere/report.json"], "its directory does not exist"),
        (["--directory", "/nowhere"], "--directory"),
        (["--seconds", "0"], "--seconds"),
        (["--seconds", "nan"], "--seconds"),
        (["forget"], "No such command"),
    ],
)
def test_a_wrong_argument_is_refused_by_name_before_anything_starts(arguments: list[str], says: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert says in result.output


def test_a_file_that_is_no_report_is_refused(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("{}")
    result = run("--baseline", str(tmp_path / "report.json"))
    assert result.exit_code == 2
    assert "is not a benchmark report" in result.output


def test_a_page_out_of_date_is_found_and_brought_up_to_date(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    stale = (ROOT / "docs" / "performance.md").read_text().replace("### Figures", "### Digits")
    page.write_text(stale)
    assert run("document", str(BASELINE), str(page), "--check").exit_code == 1
    assert page.read_text() == stale
    assert run("document", str(BASELINE), str(page)).exit_code == 0
    assert "### Figures" in page.read_text()


def test_the_page_in_docs_shows_the_figures_of_the_baseline() -> None:
    result = run("document", str(BASELINE), str(ROOT / "docs" / "performance.md"), "--check")
    assert result.exit_code == 0, result.output


def test_the_module_runs_as_a_program() -> None:
    done = subprocess.run([sys.executable, "-m", "dstk_bench", "--nope"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Usage: dstk-bench" in done.stderr
