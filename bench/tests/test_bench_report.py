from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from dstk_bench.document import BEGIN, END, MarkersMissingError, with_figures
from dstk_bench.goals import GOALS, Change, Goal, Metric, Outcome, Verdict, compare, outcomes
from dstk_bench.model import (
    FORMAT,
    Figure,
    Gap,
    Machine,
    Report,
    Round,
    Settings,
    UnusableReportError,
    read_report,
    write_report,
)
from dstk_bench.render import markdown, print_tables, tables

MACHINE = Machine("a processor", 2, 8.0, "Linux 6", "CPython 3.11", "ext4", 200.0, 400.0, {"grpcio": "1"})


def figure(case: str, system: str, *rates: float, p50_us: float = 100.0) -> Figure:
    rounds = tuple(Round(int(rate), 1.0, p50_us, 2 * p50_us) for rate in rates)
    return Figure(case, system, 256, "get", p50_us, 2 * p50_us, rounds)


def report(*figures: Figure, gaps: tuple[Gap, ...] = ()) -> Report:
    return Report(FORMAT, "2026-01-01T00:00:00+00:00", MACHINE, Settings(10, 128, 3, 0.1), {"dstk": "x"}, figures, gaps)


def outcome(found: Report, case: str, system: str, against: str | None) -> Outcome:
    wanted = (case, system, against)
    return next(each for each in outcomes(found) if (each.goal.case, each.goal.system, each.goal.against) == wanted)


def test_a_figures_rate_is_the_median_of_its_rounds_and_its_spread_half_their_range() -> None:
    measured = figure("get-256", "dstk", 90, 100, 130)
    assert measured.rate == 100
    assert measured.spread == pytest.approx(0.2)


def test_a_ratio_is_taken_round_by_round() -> None:
    found = report(figure("get-256", "dstk", 600, 300, 900), figure("get-256", "etcd", 100, 50, 100))
    result = outcome(found, "get-256", "dstk", "etcd")
    assert (result.ratio, result.low, result.high) == (6, 6, 9)
    assert result.verdict is Verdict.MET


def test_a_latency_goal_is_missed_when_the_latency_is_too_high() -> None:
    found = report(figure("get-1", "dstk", 1, p50_us=80), figure("get-1", "etcd", 1, p50_us=100))
    result = outcome(found, "get-1", "dstk", "etcd")
    assert result.ratio == pytest.approx(0.8)
    assert result.verdict is Verdict.MISSED


def test_an_absolute_goal_needs_no_peer() -> None:
    result = outcome(report(figure("routing", "dstk-routing", 2_000_000)), "routing", "dstk-routing", None)
    assert result.ratio == pytest.approx(0.5)
    assert result.verdict is Verdict.MET


def test_a_goal_without_its_peer_is_not_measured() -> None:
    result = outcome(report(figure("get-256", "dstk", 600)), "get-256", "dstk", "etcd")
    assert result.verdict is Verdict.UNMEASURED


@pytest.mark.parametrize(
    ("now", "change"),
    [((7.0, 6.5, 7.5), Change.SAME), ((9.0, 8.5, 9.5), Change.BETTER), ((5.0, 4.5, 5.5), Change.WORSE)],
)
def test_only_a_change_beyond_the_noise_of_both_runs_counts(now: tuple[float, ...], change: Change) -> None:
    baseline = report(figure("get-256", "dstk", 600, 700, 800), figure("get-256", "etcd", 100, 100, 100))
    rates = [100 * each for each in (now[1], now[0], now[2])]
    found = report(figure("get-256", "dstk", *rates), figure("get-256", "etcd", 100, 100, 100))
    assert compare(found, baseline)[0].change is change


def test_a_lower_latency_is_better() -> None:
    def run(p50_us: float) -> Report:
        return report(figure("get-1", "dstk", 1, p50_us=p50_us), figure("get-1", "etcd", 1, p50_us=100))

    changes = [each.change for each in compare(run(50), run(60)) if each.now.goal.case == "get-1"]
    assert changes == [Change.BETTER]


def test_a_ratio_that_one_run_lacks_is_not_comparable() -> None:
    assert {each.change for each in compare(report(), report())} == {Change.UNKNOWN}


def test_every_goal_states_its_bound() -> None:
    assert Goal("get-256", Metric.RATE, "dstk", "etcd", at_least=True, bound=6).limit == "≥ 6x"
    assert all(goal.title.startswith(goal.case) for goal in GOALS)


def test_a_report_survives_its_json(tmp_path: Path) -> None:
    found = report(figure("get-1", "dstk", 1, 2, 3), gaps=(Gap("redis", "skipped: no redis-server on PATH"),))
    write_report(found, tmp_path / "report.json")
    assert read_report(tmp_path / "report.json") == found


@pytest.mark.parametrize("text", ["", "{}", "[1]"])
def test_a_file_that_is_no_report_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(UnusableReportError, match=r"report\.json"):
        read_report(path)


def test_a_report_of_a_future_format_is_refused(tmp_path: Path) -> None:
    write_report(replace(report(), format=FORMAT + 1), tmp_path / "report.json")
    with pytest.raises(UnusableReportError, match="format 2"):
        read_report(tmp_path / "report.json")


def test_the_tables_show_figures_verdicts_gaps_and_the_baseline() -> None:
    found = report(
        figure("get-256", "dstk", 90_000, 100_000, 110_000),
        figure("get-256", "etcd", 10_000, 10_000, 10_000),
        gaps=(Gap("redis", "skipped: no redis-server on PATH [sic]"),),
    )
    console = Console(record=True, width=160, force_terminal=False, file=Path("/dev/null").open("w"))  # noqa: SIM115
    print_tables(console, tables(found, found))
    console.file.close()
    text = console.export_text()
    for expected in ("100,000 gets/s", "10%", "met", "10.00x", "no redis-server on PATH [sic]", "same within noise"):
        assert expected in text


def test_markdown_has_one_row_a_figure_and_escapes_bars() -> None:
    found = report(figure("get-256", "dstk", 1), gaps=(Gap("a|b", "why"),))
    text = markdown(tables(found))
    assert "| get, 256 callers | dstk | 1 gets/s |" in text
    assert "a\\|b" in text


def test_a_page_gets_its_figures_between_the_markers_and_only_there() -> None:
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    once = with_figures(page, report(figure("get-256", "dstk", 1)))
    assert once.startswith("before\n")
    assert once.endswith("after\n")
    assert "old" not in once
    assert with_figures(once, report(figure("get-256", "dstk", 1))) == once


@pytest.mark.parametrize("page", ["", BEGIN, END + BEGIN, BEGIN + BEGIN + END, BEGIN + END + END])
def test_a_page_without_a_clear_place_for_figures_is_refused(page: str) -> None:
    with pytest.raises(MarkersMissingError):
        with_figures(page, report())
