"""What can befall the data directory of a storage node that does not run."""

import shutil
from collections.abc import Callable
from pathlib import Path

Damage = Callable[[Path, Path], None]
"""Of the first data directory; the second is another node's."""


def newest(directory: Path, pattern: str) -> Path:
    """The last of LevelDB's files with such a name."""
    return max((directory / "leveldb").glob(pattern))


def removed(pattern: str) -> Damage:
    """One file is gone."""
    return lambda directory, _: newest(directory, pattern).unlink()


def all_removed(pattern: str) -> Damage:
    """All files with such names are gone."""

    def damage(directory: Path, _: Path) -> None:
        for path in (directory / "leveldb").glob(pattern):
            path.unlink()

    return damage


def cut(pattern: str, share: float) -> Damage:
    """Only the beginning of a file is left."""

    def damage(directory: Path, _: Path) -> None:
        path = newest(directory, pattern)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])

    return damage


def flipped(pattern: str) -> Damage:
    """Some bytes in the middle of a file are others."""

    def damage(directory: Path, _: Path) -> None:
        path = newest(directory, pattern)
        content = bytearray(path.read_bytes())
        middle = len(content) // 2
        content[middle : middle + 8] = bytes(byte ^ 255 for byte in content[middle : middle + 8])
        path.write_bytes(content)

    return damage


def overwritten(pattern: str, content: bytes) -> Damage:
    """A file holds something else."""
    return lambda directory, _: newest(directory, pattern).write_bytes(content) and None


def of_another_node(directory: Path, other: Path) -> None:
    """The engine is a copy of another node's."""
    shutil.rmtree(directory / "leveldb")
    shutil.copytree(other / "leveldb", directory / "leveldb")


def emptied(directory: Path, _: Path) -> None:
    """Nothing is left in the engine's directory."""
    shutil.rmtree(directory / "leveldb")
    (directory / "leveldb").mkdir()


def gone(directory: Path, _: Path) -> None:
    """The engine's directory is gone."""
    shutil.rmtree(directory / "leveldb")


def a_file(directory: Path, _: Path) -> None:
    """There is a file where the directory was."""
    shutil.rmtree(directory / "leveldb")
    (directory / "leveldb").write_text("no directory")


def everything_gone(directory: Path, _: Path) -> None:
    """The data directory is gone."""
    shutil.rmtree(directory)


def no_card_and_no_engine(directory: Path, _: Path) -> None:
    """Nothing says whose directory it is."""
    (directory / "node.json").unlink()
    shutil.rmtree(directory / "leveldb")


def no_card_and_damaged(directory: Path, other: Path) -> None:
    """node.json and the engine are damaged."""
    (directory / "node.json").write_bytes(b"\x00\xff{")
    flipped("MANIFEST-*")(directory, other)


def kept_by(directory: Path) -> list[str]:
    """Paths of the engines that the node has moved aside."""
    return sorted(map(str, directory.glob("leveldb.damaged-*")))


def forget(directory: Path) -> None:
    """Deletes them, as an operator does."""
    for path in map(Path, kept_by(directory)):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
