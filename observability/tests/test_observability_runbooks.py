"""Each alert has a runbook and each runbook an alert; its commands exist; the doctor's findings and alerts name each other."""

import re
from pathlib import Path

import pytest
from kit.commands import trouble

from dstk_doctor import findings_of
from dstk_doctor.alerts import ALERTS as ALERTS_OF
from dstk_observability.alerts import ALERTS
from dstk_observability.runbooks import SECTIONS

PAGES = Path(__file__).parents[2] / "docs" / "runbooks"
COMMAND = re.compile(r"`(dstk(?: [^`]*)?)`")
WORD = re.compile(r"HOST:PORT|\b[A-Z][A-Z_]+\b")
EXAMPLES = {"ID": "7", "NODE": "storage-2", "NEW_NODE": "storage-4", "HOST:PORT": "127.0.0.1:7000"}
"""What the words in capitals stand for."""


def text(name: str) -> str:
    return (PAGES / f"{name}.md").read_text()


def commands(name: str) -> list[str]:
    """The commands that a page names, with examples for the words in capitals."""
    return [WORD.sub(lambda word: EXAMPLES[word[0]], command) for command in COMMAND.findall(text(name))]


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} == {*ALERTS, "README"}


@pytest.mark.parametrize("name", ALERTS)
def test_a_page_has_its_sections_and_each_says_something(name: str) -> None:
    title, *parts = re.split(r"^## ", text(name), flags=re.MULTILINE)
    assert title == f"# {name}\n"
    assert tuple(part.split("\n", 1)[0] for part in parts) == (*SECTIONS, "Doctor")
    assert all(len(part.split()) > 3 for part in parts)


@pytest.mark.parametrize("name", ALERTS)
def test_the_commands_of_a_page_exist(name: str) -> None:
    assert not [f"{each}: {trouble(each)}" for each in commands(name) if trouble(each)]


def test_most_pages_name_a_command() -> None:
    assert sum(any(commands(name)) for name in ALERTS) > len(ALERTS) * 0.7


@pytest.mark.parametrize("name", ALERTS)
def test_a_page_names_the_findings_that_go_with_its_alert(name: str) -> None:
    said = re.findall(r"`(\w+)`", text(name).split("## Doctor\n")[1].replace("`dstk doctor`", ""))
    assert said == findings_of(name)


def test_findings_name_alerts_that_exist() -> None:
    assert {name for names in ALERTS_OF.values() for name in names} <= set(ALERTS)


@pytest.mark.parametrize("name", [*ALERTS, "README"])
def test_links_between_pages_lead_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", text(name)):
        assert (PAGES / target).is_file()
