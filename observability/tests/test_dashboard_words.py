"""How values and thresholds read."""

import pytest

from dstk_observability.dashboards.thresholds import above, below, warn_above, warn_below
from dstk_observability.dashboards.units import Unit, readable


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, Unit.SECONDS, "0 s"),
        (0.05, Unit.SECONDS, "50 ms"),
        (0.000_25, Unit.SECONDS, "250 µs"),
        (90, Unit.SECONDS, "1.5 min"),
        (7200, Unit.SECONDS, "2 h"),
        (0.999, Unit.SHARE, "99.9 %"),
        (0.999_51, Unit.SHARE, "99.951 %"),
        (0.224_24, Unit.SHARE, "22.4 %"),
        (0.000_024_8, Unit.SHARE, "0.00248 %"),
        (64 * 2**20, Unit.BYTES, "64 MiB"),
        (2000, Unit.BYTES, "1.95 KiB"),
        (2**50, Unit.BYTES, "1024 TiB"),
        (1024, Unit.BYTES_PER_SECOND, "1 KiB/s"),
        (1500, Unit.PER_SECOND, "1.5k/s"),
        (1e9, Unit.COUNT, "1G"),
        (3, Unit.COUNT, "3"),
        (999, Unit.COUNT, "999"),
    ],
)
def test_values_read_in_their_unit(value: float, unit: Unit, text: str) -> None:
    assert readable(value, unit) == text


def test_thresholds_say_where_and_why() -> None:
    assert above(1, "it hangs.", yellow=0.1).text(Unit.SECONDS) == "Yellow from 100 ms and red from 1 s: it hangs."
    assert above(1, "act.").text(Unit.COUNT) == "Red from 1: act."
    assert warn_above(1024, "look.").text(Unit.BYTES) == "Yellow from 1 KiB: look."
    assert below(0.1, "add room.", yellow=0.25).text(Unit.SHARE) == "Red below 10 % and yellow below 25 %: add room."
    assert warn_below(300, "it restarted.").text(Unit.SECONDS) == "Yellow below 5 min: it restarted."
