"""Odd values for every argument and option of every command, found by walking the tree of commands: each is refused by name,
or works; none is a traceback, "this is a bug", or a hang.
"""

from pathlib import Path
from typing import Any, get_args

import pytest
import typer

from dstk_cli.main import app

NUMBERS = [
    "nan",
    "inf",
    "-inf",
    "1e400",
    "-1",
    "-0.5",
    "18446744073709551616",
    "9" * 400,
    "",
    " ",
    "x",
    "0x10",
    "1e-400",
]
"""Out of the bounds of every number that a command takes."""

TEXTS = [
    *(
        "",
        " ",
        "\udcff",
        "\udcc3\udca9",
        "\x00",
        "\x1b[31m",
        "[red]",
        "[/]",
        "%s{}",
        "💥",
        "\u202e",
        "-",
        "../..",
        "0x",
    ),
    *(
        "0xff",
        "(",
        "()",
        "(((",
        '("a"',
        "x" * 5_000,
        "(" * 3_000,
        "=",
        "a=",
        "=1",
        "replicas=" + "9" * 400,
        "replicas=nan",
    ),
    *(
        "9" * 5_000,
        "9" * 400 + "d",
        "1e400",
        "id:int,",
        ":",
        "127.0.0.1:1",
        "host:99999999999999999999",
        "[::1]:1",
        "[::1",
    ),
]
STARTS_SOMETHING = {"dstk demo", "dstk local up"}
"""Here only what is sure to be refused is tried."""

PLAUSIBLE = {
    "KEY": "k",
    "NODE": "storage-1",
    "OLD": "storage-1",
    "NEW": "storage-2",
    "ID": "1",
    "NAME=VALUE...": "replicas=3",
}
NEEDED = {"dstk top": "--once", "dstk splits": "--pieces=2", "dstk heatmap": "--output=json"}
"""What a command needs to end, or to begin."""
SHARED = {"--router", "--data-dir", "--output", "--timeout"}
"""One object in all commands, so a few values say that it is used."""


def commands() -> dict[str, Any]:
    found: dict[str, Any] = {}
    waiting: list[tuple[str, Any]] = [("dstk", typer.main.get_command(app))]
    while waiting:
        name, command = waiting.pop()
        waiting += [(f"{name} {each}", its) for each, its in getattr(command, "commands", {}).items()]
        found[name] = command
    return dict(sorted(found.items()))


COMMANDS = commands()
PARAMETERS = {
    f"{name} {parameter.opts[0]}": (name, parameter)
    for name, command in COMMANDS.items()
    for parameter in command.params
    if not getattr(parameter, "is_flag", False) and parameter.name != "help"
}


def is_number(parameter: Any) -> bool:
    kinds = {parameter.type_descriptor.annotation, *get_args(parameter.type_descriptor.annotation)}
    return bool(kinds & {int, float})


NUMERIC = [told for told, (_, parameter) in PARAMETERS.items() if is_number(parameter)]
TEXTUAL = [
    told for told, (name, parameter) in PARAMETERS.items() if not is_number(parameter) and name not in STARTS_SOMETHING
]


def line(told: str, value: str, file: Path) -> list[str]:
    """The command with the value where it is asked for, and something plausible in what else it needs."""
    name, changed = PARAMETERS[told]
    options: list[str] = []
    positional: list[str] = []
    for parameter in COMMANDS[name].params:
        if parameter is not changed and not parameter.required:
            continue
        plausible = str(file) if parameter.name == "source" else PLAUSIBLE.get(parameter.metavar or "", "id")
        typed = value if parameter is changed else plausible
        if parameter.param_type_name == "option":
            options.append(f"{parameter.opts[0]}={typed}" if parameter.opts[0][:2] == "--" else typed)
        else:
            positional.append(typed)
    if name in NEEDED and changed.opts[0] not in {"--output", "--pieces", "--bytes", "--records"}:
        options.append(NEEDED[name])
    if name == "dstk put" and changed.name not in {"value", "file"}:
        positional.append("a value")
    return [*name.split()[1:], *options, *(["--", *positional] if positional else [])]


@pytest.fixture
def typed(cluster: Any, shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a line against a cluster that takes everything. What it prints, and the exit code."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text('{"id": "1"}\n')
    shell.client.records.clear()

    def run(told: str, value: str) -> Any:
        arguments = line(told, value, tmp_path / "rows.jsonl")
        answer = cluster(*arguments)
        shown = f"{[each[:60] for each in arguments]} ended with {answer.exit_code}: {answer.output[-600:]}"
        assert answer.exception is None or isinstance(answer.exception, SystemExit), shown
        assert "Traceback" not in answer.output, shown
        assert "this is a bug" not in answer.output, shown
        assert len(answer.stderr) < 2_000 or answer.stderr.startswith("Usage:"), shown
        return answer

    return run


@pytest.mark.parametrize("told", NUMERIC)
def test_a_number_out_of_bounds_is_refused_by_name(typed: Any, told: str) -> None:
    for value in NUMBERS[:: 7 if told.rsplit(maxsplit=1)[-1] in SHARED else 1]:
        answer = typed(told, value)
        assert answer.exit_code == 2, f"{told} took {value[:60]!r}: {answer.output}"
        parameter = PARAMETERS[told][1]
        names = [*parameter.opts, parameter.metavar or parameter.name]
        assert any(name and name.strip("-").lower() in answer.stderr.lower() for name in names), answer.stderr


@pytest.mark.parametrize("told", TEXTUAL)
def test_any_text_is_taken_or_refused(typed: Any, told: str) -> None:
    for value in TEXTS[2::20] if told.rsplit(maxsplit=1)[-1] in SHARED else TEXTS:
        answer = typed(told, value)
        assert answer.exit_code in {0, 1, 2, 3, 4}
        assert answer.exit_code == 0 or answer.stderr
        assert "\x1b[31m" not in answer.output


def test_the_walk_finds_the_commands() -> None:
    assert len(NUMERIC) > 25
    assert len(TEXTUAL) > 60
    assert {"dstk scan --limit", "dstk local up --nodes", "dstk doctor --timeout", "dstk top --interval"} <= set(
        NUMERIC
    )
