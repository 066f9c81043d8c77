"""Checks that a command on a page exists, without running it: its `dstk` command and options, its Make target."""

import re
import shlex
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import typer

from dstk_cli.main import app

ROOT = Path(__file__).parents[2]


def trouble(code: str) -> str:
    """The problem of the commands in the text; "": none."""
    for part in re.split(r"[;|]|&&", code):
        try:
            words = shlex.split(part, comments=True)
        except ValueError:
            continue  # a piece of prose with an apostrophe
        why = _of_words([word for word in words if word != "…"])
        if why:
            return why
    return ""


def _of_words(words: list[str]) -> str:
    match words:
        case ["make", target, *_] if re.fullmatch("[a-z]+", target):
            return "" if target in _targets() else f"there is no target {target!r}"
        case ["dstk" | ".venv/bin/dstk", *rest]:
            return _of_dstk(rest)
    return ""


def _of_dstk(words: list[str]) -> str:
    command: Any = typer.main.get_command(app)
    names = [*command.params]
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words[0]]
        names += command.params
        words = words[1:]
    if words and words[0].startswith("-") and "list" in getattr(command, "commands", {}):  # nodes --output json
        names += command.commands["list"].params
    if words and getattr(command, "commands", {}) and re.fullmatch("[a-z]+", words[0]) and not _takes_words(command):
        return f"there is no command {words[0]!r}"
    known = {"--help", "-h", *(name for each in names for name in (*each.opts, *each.secondary_opts))}
    unknown = [word for word in words if re.match("--?[a-z]", word) and word.split("=")[0] not in known]
    return f"there is no option {unknown[0]!r}" if unknown else ""


def _takes_words(command: Any) -> bool:
    return any(each.param_type_name == "argument" for each in command.params)


@cache
def _targets() -> frozenset[str]:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return frozenset(re.findall(r"make ([a-z]+)", shown))
