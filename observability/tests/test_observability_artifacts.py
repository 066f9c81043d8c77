"""What is committed is what is generated, and what differs is named."""

from pathlib import Path

import pytest

from dstk_localcluster import ClusterSpec
from dstk_localcluster.observability.configuration import targets as local_targets
from dstk_localcluster.plan import resolve
from dstk_observability import __main__ as program
from dstk_observability.artifacts import ARTIFACTS, generate, stale
from dstk_observability.external import JOBS

ROOT = Path(__file__).parents[2]


def test_the_committed_files_are_those_of_the_registry() -> None:
    assert list(stale(ROOT)) == []


def test_a_file_that_differs_or_is_missing_is_named(tmp_path: Path) -> None:
    generate(tmp_path)
    assert list(stale(tmp_path)) == []
    changed, missing, *_ = ARTIFACTS
    (tmp_path / changed).write_text("changed by hand\n")
    (tmp_path / missing).unlink()
    assert list(stale(tmp_path)) == [changed, missing]


def test_the_program_says_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["dstk_observability", "--check", str(tmp_path)])
    assert program.main() == 1
    assert capsys.readouterr().err.count("run 'make generate'") == len(ARTIFACTS)
    monkeypatch.setattr("sys.argv", ["dstk_observability", str(tmp_path)])
    assert program.main() == 0
    monkeypatch.setattr("sys.argv", ["dstk_observability", "--check", str(tmp_path)])
    assert program.main() == 0
    assert capsys.readouterr().err == ""


def test_a_local_cluster_has_a_file_of_targets_for_each_scrape_job() -> None:
    plan = resolve(ClusterSpec(), None, lambda _: True, lambda taken: 20_000 + len(taken))
    assert set(local_targets(plan, ())) == set(map(str, JOBS))
