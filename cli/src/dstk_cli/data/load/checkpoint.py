"""The position of a load, in a small file beside its source: it covers only what the cluster has acknowledged.

The checkpoint identifies its load. A load resumes from it only into the same cluster, from a source that begins with the same
bytes, with the same options: anything else would omit records and report success.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import Ge

from dstk_cli.errors import CliError
from dstk_formats.lines import Position
from dstk_service.jsonfile import JsonFile, UnreadableFile

_START_OVER = "load from the start, without --resume"


@dataclass(frozen=True, slots=True)
class Subject:
    """What a load is about. `cluster`, `uid`: its name and unique id. `options`: those that decide what becomes of a row."""

    cluster: str
    uid: str
    options: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The position up to which everything is loaded, the records loaded so far, and the bytes of FILE.bad by then."""

    subject: Subject
    position: Position
    records: Annotated[int, Ge(0)]
    bad_bytes: Annotated[int, Ge(0)] = 0

    @staticmethod
    def path(source: Path) -> Path:
        """The checkpoint file of a source."""
        return source.with_name(f"{source.name}.dstk-load.json")

    @staticmethod
    def load(path: Path) -> "Checkpoint | None":
        """Returns the checkpoint in a file; None when there is none. Raises OSError, and `CliError` for a file that is damaged
        or of another version.
        """
        try:
            return FILE.read(path)
        except FileNotFoundError:
            return None
        except UnreadableFile as error:
            raise CliError(str(error), f"remove it and {_START_OVER}") from None

    def save(self, path: Path) -> None:
        """Writes the file atomically. Raises OSError. It is not synced, since a load writes one for each chunk: after a
        crash of the machine it resumes from an earlier chunk.
        """
        FILE.write(path, self, durable=False)

    def check(self, subject: Subject) -> None:
        """Raises `CliError`, which says what differs, unless a load of that subject may go on from here."""
        ours, theirs = self.subject, subject
        if ours.uid != theirs.uid or ours.cluster != theirs.cluster:
            why = (
                f"the interrupted load went into another cluster: {ours.cluster!r} with uid {ours.uid!r}, "
                f"and this one is {theirs.cluster!r} with uid {theirs.uid!r}"
            )
            raise CliError(why, f"name the router of that cluster, or {_START_OVER}")
        names = dict.fromkeys([*ours.options, *theirs.options])
        differing = [name for name in names if ours.options.get(name) != theirs.options.get(name)]
        if differing:
            changes = ", ".join(
                f"{name} was {_told(ours.options.get(name))} and is {_told(theirs.options.get(name))}"
                for name in differing
            )
            raise CliError(f"the interrupted load had other options: {changes}", f"repeat those, or {_START_OVER}")


FILE = JsonFile(Checkpoint, version=2, version_field="version")


def _told(option: str | None) -> str:
    return "not given" if option is None else repr(option)
