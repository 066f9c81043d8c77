"""Every command that a help text, a hint or a message of the command line names exists, with its options."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer
from kit.commands import trouble

from dstk_cli.main import app

_ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path for part in ("cli", "demo", "libs/doctor", "libs/formats") for path in (_ROOT / part / "src").rglob("*.py")
)
_NAMED = re.compile(r"\bdstk((?: [a-z][a-z-]*)+(?: --[a-z][a-z-]*)*)")


def texts(command: Any) -> list[str]:
    """The help of a command and of those below it."""
    own = [command.help or "", command.epilog or ""]
    return own + [text for its in getattr(command, "commands", {}).values() for text in texts(its)]


def test_the_examples_of_the_help_can_be_typed() -> None:
    lines = [line for text in texts(typer.main.get_command(app)) for line in text.splitlines()]
    examples = [part for line in lines for part in re.split(r"\s{2,}", line) if part.startswith("dstk ")]
    assert len(examples) > 40
    assert not [f"{each}: {trouble(each)}" for each in examples if trouble(each)]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_the_commands_that_messages_name_exist(source: Path) -> None:
    named = [f"dstk{match[1]}" for match in _NAMED.finditer(source.read_text(encoding="utf-8"))]
    assert not [f"{each}: {trouble(each)}" for each in named if trouble(each)]


@pytest.mark.parametrize(
    "wrong", ["dstk nodes cordn x", "dstk get --ttl 3", "dstk nope", "make nope", "dstk nodes --nope"]
)
def test_a_command_that_does_not_exist_is_noticed(wrong: str) -> None:
    assert trouble(wrong)
