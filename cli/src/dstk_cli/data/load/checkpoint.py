"""Where a load stands, in a small file next to its source: written only for what the cluster has acknowledged."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dstk_cli.data.load.recipe import Recipe
from dstk_cli.data.load.source import Format, Lines, Position
from dstk_cli.errors import CliError
from dstk_cli.local.layout import write_atomic


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The position up to which everything is loaded, the records loaded so far, and how rows were made records."""

    position: Position
    records: int
    recipe: str

    @staticmethod
    def path(source: Path) -> Path:
        """The checkpoint file of a source."""
        return source.with_name(f"{source.name}.dstk-load.json")

    @staticmethod
    def load(path: Path) -> "Checkpoint | None":
        """The checkpoint in a file; None when there is none. Raises `CliError` when it is damaged."""
        try:
            fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return Checkpoint(Position(**fields["position"]), fields["records"], fields["recipe"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            raise CliError(f"{path} is damaged", "remove it and load from the start, without --resume") from None

    def save(self, path: Path) -> None:
        """Writes it whole."""
        write_atomic(path, json.dumps(asdict(self), indent=2) + "\n")


def describe(recipe: Recipe, form: Format) -> str:
    """The recipe as text that differs whenever records would."""
    return f"{form} {recipe!r}"


def skip_loaded(lines: Lines, done: Checkpoint, recipe: str) -> None:
    """Reads over what is loaded. Raises `CliError` when that part, or the way to make records of it, has changed."""
    start_over = "load from the start, without --resume"
    if done.recipe != recipe:
        raise CliError("the interrupted load made its records with other options", f"repeat those, or {start_over}")
    while lines.position.lines < done.position.lines and next(lines, None) is not None:
        pass
    if lines.position != done.position:
        raise CliError("the part of the source that was loaded already has changed since", start_over)
