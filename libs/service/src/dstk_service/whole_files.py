"""Files that appear whole: they are written beside their place, and then renamed into it.

A process that is killed leaves what it has written so far. The next one that writes the same file deletes it: a temporary file
is locked for as long as its writer lives, in whatever container of a shared volume that runs.
"""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import BinaryIO

_NAME_CHARACTERS = 40
"""Characters of the file name in the temporary name. Both names have a limit of 255 bytes."""

_OWN_MODE = 0o600
_DEFAULT_MODE = 0o666


def write_atomic(path: Path, content: bytes, *, durable: bool) -> None:
    """Replaces a file: a reader, or a crash of this process, sees the old content or the new. With `durable`, so does a crash
    of the machine, and the new content is on disk when this returns. Raises OSError, which leaves the file as it was.
    """
    try:
        with replacing(path, durable=durable) as file:
            file.write(content)
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise


@contextmanager
def replacing(path: Path, *, durable: bool, mode: int | None = None) -> Iterator[BinaryIO]:
    """Opens a file that replaces `path` when the block ends, with the permissions of `mode` if it is given, and vanishes if
    the block raises. Raises OSError, which may name the temporary file.
    """
    with _beside(path, _DEFAULT_MODE) as (temporary, file):
        if mode is not None:
            os.fchmod(file.fileno(), mode)
        yield file
        file.flush()
        if durable:
            os.fsync(file.fileno())
        temporary.replace(path)
    if durable:
        _sync_directory(path.parent)


def create(path: Path, content: bytes) -> None:
    """Makes a file for its owner alone, on disk when this returns, unless one is there: of several writers one wins. Raises
    OSError.
    """
    with _beside(path, _OWN_MODE) as (temporary, file):
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        with suppress(FileExistsError):  # a link appears whole, and to one of them only
            os.link(temporary, path)


@contextmanager
def _beside(path: Path, mode: int) -> Iterator[tuple[Path, BinaryIO]]:
    """A new file beside `path`, which is deleted at the end unless it was renamed. Its lock says that its writer lives."""
    _delete_orphans(path)
    temporary, file = _locked(path, mode)
    try:
        with file:
            yield temporary, file
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _locked(path: Path, mode: int) -> tuple[Path, BinaryIO]:
    while True:
        temporary = path.with_name(f".{path.name[:_NAME_CHARACTERS]}.{secrets.token_hex(4)}.tmp")
        file = open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode))  # noqa: SIM115 - the caller's
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return temporary, file
        file.close()  # another writer took it for an orphan before it was locked


def _delete_orphans(path: Path) -> None:
    """Deletes what writers of the same file have left that were killed."""
    for orphan in path.parent.glob(f".{escape(path.name[:_NAME_CHARACTERS])}.????????.tmp"):
        with suppress(OSError), orphan.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while its writer lives
            orphan.unlink()


def _sync_directory(directory: Path) -> None:
    """Makes a rename in it durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
