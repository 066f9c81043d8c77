"""One line of the history: what one suite found at one commit on one machine. It names neither host nor paths."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

FORMAT = 1
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]


class BadLineError(ValueError):
    """A line of the file that is no result."""

    def __init__(self, path: Path, number: int, why: str) -> None:
        super().__init__(f"{path.name!r}, line {number}: {why}; mend or remove that line")


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Machine(_Strict):
    """Where it ran; counts and seconds of different machines are not to be compared."""

    cores: Annotated[int, Field(ge=1)]
    memory_gib: Annotated[float, Field(gt=0)]
    cpu: str
    kernel: str


class Slow(_Strict):
    """A test and how long it took."""

    test: str
    seconds: Seconds


class Result(_Strict):
    """What one suite found. `not_run` says why it was not run; then nothing was found. `dirty`: the tree differed from the
    commit. `failed` includes errors of fixtures. `exit_code`: how its command ended; negative: by that signal. `slowest`: a
    few tests, the slowest first.
    """

    format: Annotated[int, Field(ge=FORMAT, le=FORMAT)] = FORMAT
    date: datetime
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{7,40}$")]
    dirty: bool
    machine: Machine
    suite: Annotated[str, Field(min_length=1)]
    not_run: str = ""
    passed: Count = 0
    failed: Count = 0
    skipped: Count = 0
    seconds: Seconds = 0.0
    exit_code: int = 0
    slowest: tuple[Slow, ...] = ()

    @model_validator(mode="after")
    def _not_run_found_nothing(self) -> Self:
        if self.not_run and (self.passed or self.failed or self.skipped):
            raise ValueError("a suite that was not run has found something")
        if self.date.tzinfo is None:
            raise ValueError("the date has no time zone")
        return self


def append(path: Path, result: Result) -> None:
    """Adds a line."""
    with path.open("a", encoding="utf-8") as file:
        file.write(result.model_dump_json() + "\n")


def read(path: Path) -> list[Result]:
    """All results, in the order of the file; none when there is no file. Raises BadLineError."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [_parse(path, number, line) for number, line in enumerate(lines, 1)]


def _parse(path: Path, number: int, line: str) -> Result:
    try:
        return Result.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BadLineError(path, number, f"{where}: {first['msg']}" if where else first["msg"]) from None
