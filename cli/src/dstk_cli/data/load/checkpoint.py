"""Where a load stands, in a small file next to its source: written only for what the cluster has acknowledged.

It names what it is about. A load goes on from it only into the same cluster, from a source that begins with the same bytes,
and with the same options: anything else would leave records out and say that all is done.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dstk_cli.data.load.lines import Line, Lines, Position
from dstk_cli.errors import CliError
from dstk_cli.local.layout import write_atomic

VERSION = 2
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
    records: int
    bad_bytes: int = 0

    @staticmethod
    def path(source: Path) -> Path:
        """The checkpoint file of a source."""
        return source.with_name(f"{source.name}.dstk-load.json")

    @staticmethod
    def load(path: Path) -> "Checkpoint | None":
        """The checkpoint in a file; None when there is none. Raises `CliError` when it is damaged, or of another version."""
        try:
            fields: dict[str, Any] = json.loads(path.read_bytes())
            version = fields.get("version", 1)
            if version != VERSION:
                raise CliError(f"{path} was written by another version of dstk", f"remove it and {_START_OVER}")
            return _read(fields)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise CliError(f"{path} is damaged", f"remove it and {_START_OVER}") from None

    def save(self, path: Path) -> None:
        """Writes it whole."""
        write_atomic(path, json.dumps({"version": VERSION, **asdict(self)}, indent=2) + "\n")

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


def skip_loaded(lines: Lines, done: Checkpoint) -> Line:
    """Reads over what is loaded, and gives its first line. Raises `CliError` when that part of the source has changed."""
    first = lines.take() if lines.count < done.position.lines else b""
    while lines.count < done.position.lines and lines.take():
        pass
    if lines.position != done.position:
        raise CliError("the part of the source that was loaded already has changed since", _START_OVER)
    return first


def _read(fields: dict[str, Any]) -> Checkpoint:
    subject = Subject(
        _is(str, fields["subject"]["cluster"]), _is(str, fields["subject"]["uid"]), dict(fields["subject"]["options"])
    )
    position = Position(*(_count(fields["position"][name]) for name in ("lines", "size", "checksum")))
    return Checkpoint(subject, position, _count(fields["records"]), _count(fields["bad_bytes"]))


def _is(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(value)
    return value


def _count(value: Any) -> int:
    if _is(int, value) < 0:
        raise ValueError(value)
    return int(value)


def _told(option: str | None) -> str:
    return "not given" if option is None else repr(option)
