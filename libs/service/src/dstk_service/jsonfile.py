"""JSON files that our programs write and read again: typed by a dataclass, versioned, replaced whole.

pydantic is imported at the first use: it takes 0.1 s, and many commands read no file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from dstk_keytypes.errors import Portable, shortened
from dstk_service.whole_files import write_atomic

if TYPE_CHECKING:
    from pydantic import ValidationError

T = TypeVar("T")


class UnreadableFile(Portable):
    """A file that holds no usable content. `path` is its path."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path


class DamagedFile(UnreadableFile):
    """The content is not JSON of the expected shape. `problem` names the field, its value and the reason."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(path, f"{path} is damaged: {problem}")
        self.problem = problem


class UnknownVersion(UnreadableFile):
    """Another version of the program wrote the file. `found` is the version in it, `known` the one that is read."""

    def __init__(self, path: Path, found: object, known: int) -> None:
        has = f"it has version {shortened(found)}, and this one reads {known}"
        super().__init__(path, f"{path} was written by another version of dstk: {has}")
        self.found = found
        self.known = known


class MissingVersion(UnreadableFile):
    """The file names no version."""

    def __init__(self, path: Path, known: int) -> None:
        super().__init__(
            path, f"{path} was written by another version of dstk: it names none, and this one reads {known}"
        )


@dataclass(frozen=True, slots=True)
class JsonFile(Generic[T]):
    """A kind of file: the fields of the dataclass `content`, and its `version` under the name `version_field`.

    Values are checked strictly against the annotations, bounds of `annotated_types` included; unknown fields are refused.
    """

    content: type[T]
    version: int
    version_field: str = "format"

    def read(self, path: Path) -> T:
        """Returns the content of the file. Raises OSError and `UnreadableFile`."""
        return self.decode(path, path.read_bytes())

    def write(self, path: Path, content: T, *, durable: bool = True) -> None:
        """Replaces the file, as `write_atomic`. Raises OSError, which leaves the file as it was."""
        write_atomic(path, self.encode(content), durable=durable)

    def encode(self, content: T) -> bytes:
        """Returns indented JSON, readable for people."""
        from pydantic import TypeAdapter  # noqa: PLC0415 - see above
        from pydantic_core import to_json  # noqa: PLC0415

        fields = TypeAdapter(self.content).dump_python(content, mode="json")
        return to_json({self.version_field: self.version, **fields}, indent=2) + b"\n"

    def decode(self, path: Path, raw: bytes) -> T:
        """Returns the content that `raw`, read from `path`, encodes. Raises `UnreadableFile`."""
        from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415 - see above
        from pydantic_core import to_json  # noqa: PLC0415

        fields = self._fields(path, raw)
        if self.version_field not in fields:
            raise MissingVersion(path, self.version)
        found = fields.pop(self.version_field)
        if type(found) is not int or found != self.version:
            raise UnknownVersion(path, found, self.version)
        try:
            return TypeAdapter(self.content).validate_json(to_json(fields), strict=True, extra="forbid")
        except ValidationError as error:
            raise DamagedFile(path, _problem(error)) from error

    def _fields(self, path: Path, raw: bytes) -> dict[str, Any]:
        from pydantic_core import from_json  # noqa: PLC0415 - see above

        try:
            fields = from_json(raw)
        except ValueError as error:
            raise DamagedFile(path, f"no JSON: {error}") from error
        if not isinstance(fields, dict):
            raise DamagedFile(path, f"no JSON object, but {shortened(fields)}")
        return fields


def _problem(error: "ValidationError") -> str:
    """The first finding: which field has which value, and why that is wrong."""
    found: Mapping[str, Any] = error.errors(include_url=False)[0]
    field = ".".join(map(str, found["loc"]))
    return f"{field or 'the content'} is {shortened(found['input'])}: {found['msg']}"
