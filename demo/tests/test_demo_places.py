"""The demo's borders between partitions, and the directories that it refuses."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from dstk_cli.main import app
from dstk_demo.places import border, borders, key_of
from dstk_keytypes import Key
from dstk_localcluster import plan
from dstk_localcluster.plan import ClusterPlan

countries = st.dictionaries(st.text("ABCDEFGH", min_size=2, max_size=2), st.integers(1, 1000), min_size=1)


@given(countries, st.integers(1, 8))
def test_borders_are_ascending_countries_and_no_piece_is_larger_than_its_share_and_one_country(
    by_country: dict[str, int], pieces: int
) -> None:
    found = borders(by_country, pieces)
    assert list(found) == sorted(set(found))
    assert len(found) < pieces or pieces == 1
    assert set(found) <= set(by_country)
    share, largest = sum(by_country.values()) / pieces, max(by_country.values())
    for lower, upper in zip([None, *found], [*found, None], strict=True):
        inside = [n for name, n in by_country.items() if (not lower or name >= lower) and (not upper or name < upper)]
        assert inside
        assert sum(inside) <= share + 2 * largest


def test_a_border_stands_between_the_places_of_two_countries() -> None:
    assert key_of("FM", 10**15) < border("FR") < key_of("FR", 1)


def test_a_border_can_be_typed() -> None:
    assert Key.parse(border("FR").display()) == border("FR")


def test_the_demo_does_not_touch_a_cluster_that_it_did_not_make(tmp_path: Path) -> None:
    plan.save(tmp_path / "cluster.json", ClusterPlan("local", 1, 2, 3, (4,), ()))
    answer = CliRunner().invoke(app, ["demo", "--data-dir", str(tmp_path)])
    assert answer.exit_code == 2
    assert "holds a cluster of yours" in answer.stderr
