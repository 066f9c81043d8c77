"""The repository's prose and names follow docs/style: no archaic words, no retired names, in any tracked text file."""

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]

RULES = {
    "archaic, say it in modern English": (
        r"\b(anew|shall|whereupon|of late|let go|taken in|in the midst|falls? silent|fell silent|is to be had)\b"
    ),
    "a name that was retired": (
        r"beacon|farewell|\binquir|\bwish|leftover|sweeper|\bdevil|ambush|\bwatchman|KeyStretch|InstallCopy|\bunfit\b"
        r"|_anew\b|copied_by|rebuild_begun"
    ),
    "no docstring: decorate the implementation of a protocol with override": r'"""See [A-Z`]',
}

NOT_OURS = (
    "proto/google/",
    "services/metrics/src/dstk_metrics/console/static/vendor/",
    "requirements",
    "integration/performance/baseline.json",
    "integration/history/results.jsonl",
)

TO_DO: tuple[str, ...] = ()
"""Paths, and beginnings of paths, that still break a rule. Remove entries; never add one."""


@cache
def texts() -> dict[str, str]:
    """The text of every tracked file that is ours, by path. Files that are not UTF-8 are left out."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found: dict[str, str] = {}
    for name in filter(None, names.split("\0")):
        if name.startswith(NOT_OURS) or (ROOT / name) == Path(__file__) or not (ROOT / name).is_file():
            continue
        try:
            found[name] = (ROOT / name).read_text()
        except UnicodeDecodeError:
            continue
    return found


def breaches(name: str) -> Iterator[str]:
    """Where a file breaks a rule: `path:line: 'word': rule`."""
    for number, line in enumerate(texts()[name].splitlines(), 1):
        for rule, pattern in RULES.items():
            for match in re.finditer(pattern, line, re.IGNORECASE):
                yield f"{name}:{number}: {match[0]!r}: {rule}"


def test_there_are_texts_to_read() -> None:
    assert len(texts()) > 400


def test_the_rules_find_what_they_forbid() -> None:
    forbidden = ("It shall begin anew.", "class Sweeper:", '    """See Locator."""', "the node falls silent")
    for text in forbidden:
        assert any(re.search(pattern, text, re.IGNORECASE) for pattern in RULES.values()), text


def test_prose_is_modern_and_names_are_the_ones_that_are_in_use() -> None:
    found = [each for name in sorted(texts()) if not name.startswith(TO_DO) for each in breaches(name)]
    assert not found, "\n" + "\n".join(found)


def test_the_list_of_what_is_to_be_done_only_shrinks() -> None:
    for entry in TO_DO:
        names = [name for name in texts() if name.startswith(entry)]
        assert any(any(breaches(name)) for name in names), f"{entry} follows the rules: remove it from TO_DO"
