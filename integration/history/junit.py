"""What a JUnit XML file of pytest says. It is written by our own run, so that it may be parsed without suspicion."""

from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

from history.model import Slow

SLOWEST = 5


class Found(NamedTuple):
    """Counts of tests, and the slowest of them."""

    passed: int
    failed: int
    skipped: int
    slowest: tuple[Slow, ...] = ()


def read(path: Path) -> Found:
    """Counts each test once: failed when the test or one of its fixtures did. Raises OSError, ParseError."""
    tests: dict[str, tuple[float, set[str]]] = {}
    for case in ET.parse(path).iter("testcase"):  # noqa: S314 - see above
        name = f"{case.get('classname', '')}::{case.get('name', '')}"
        seconds, marks = tests.get(name, (0.0, set()))
        tests[name] = seconds + float(case.get("time", 0)), marks | {child.tag for child in case}
    failed = sum(bool(marks & {"failure", "error"}) for _, marks in tests.values())
    skipped = sum("skipped" in marks and not marks & {"failure", "error"} for _, marks in tests.values())
    by_time = sorted(tests.items(), key=lambda item: -item[1][0])[:SLOWEST]
    slowest = tuple(Slow(test=name, seconds=round(seconds, 2)) for name, (seconds, _) in by_time)
    return Found(len(tests) - failed - skipped, failed, skipped, slowest)
