"""The fenced blocks of a Markdown page, and what is asked of each.

Every block names its language. `console` holds lines `$ COMMAND`, each followed by what it prints, if that is shown; `python`
is a program; `json` and `yaml` are parsed. Comments before a block say what the test has to know and a reader has not:

    <!-- not run: WHY -->          only checked: its commands, options and targets exist
    <!-- first: COMMAND -->        what brings about the state that the block shows
    <!-- exits with 1 -->          the last command's exit code, where it is not 0
    <!-- eventually -->            the last command is repeated until it prints what is shown
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^((?:<!--[^\n]*-->\n)*) *```(\S*)[^\n]*\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"<!-- (not run|first|exits with|eventually)(?::? ?(.*?))? -->")
_INLINE = re.compile(r"`([^`\n]+)`")

_SIZE = re.compile(r"#(\.#)? (B|KiB|MiB|GiB|TiB)\b")
_TIME = re.compile(r"#(\.#)? (ms|s|min|h|d)( # (s|min|h|d))*(?!\w)")


@dataclass(frozen=True)
class Command:
    """A command, and the lines that it is shown to print; None: it is not shown."""

    text: str
    shown: list[str] | None


@dataclass(frozen=True)
class Block:
    """`line`: where its text begins. `first`: commands to run before it."""

    page: Path
    line: int
    language: str
    text: str
    not_run: str
    first: list[str]
    exit_code: int
    eventually: bool

    def commands(self) -> list[Command]:
        """Of a console. Raises ValueError when it does not begin with one."""
        found: list[Command] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                found.append(Command(line[2:], None))
            elif not found:
                raise ValueError(f"{self.place}: a console begins with '$ COMMAND', not with {line!r}")
            else:
                found[-1] = Command(found[-1].text, [*(found[-1].shown or []), line])
        return found

    @property
    def place(self) -> str:
        """PAGE:LINE."""
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """All of a page, in order. Raises ValueError for a block without an end."""
    text = page.read_text(encoding="utf-8")
    found = [_block(page, text, match) for match in _BLOCK.finditer(text)]
    if 2 * len(found) != len(re.findall(r"^ *```", text, re.MULTILINE)):
        raise ValueError(f"{page.name}: a fenced block has no end")
    return found


def _block(page: Path, text: str, match: re.Match[str]) -> Block:
    told = _COMMENT.findall(match[1])
    said = {name: value for name, value in told if name != "first"}
    return Block(
        page,
        text.count("\n", 0, match.start(3)) + 1,
        match[2],
        match[3],
        said.get("not run", ""),
        [value for name, value in told if name == "first"],
        int(said.get("exits with", "0")),
        "eventually" in said,
    )


def inline(page: Path) -> Iterator[str]:
    """Code within the prose."""
    prose = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    return (match[1] for match in _INLINE.finditer(prose))


def same(shown: list[str], printed: list[str]) -> bool:
    """Whether a page shows what was printed: its words in their order. Numbers, sizes and times differ from run to run; `…`
    stands for anything in a line, and alone for any lines.
    """
    pattern = "".join(
        r"(?:[^\n]*\n)*" if line.strip() == "…" else ".*".join(map(re.escape, _shape(line).split("…"))) + r"\n"
        for line in shown
    )
    return re.fullmatch(pattern, "".join(f"{_shape(line)}\n" for line in printed)) is not None


def _shape(line: str) -> str:
    numbers = re.sub(r"\d[\d,]*", "#", line)
    return " ".join(_TIME.sub("TIME", _SIZE.sub("SIZE", " ".join(numbers.split()))).split())
