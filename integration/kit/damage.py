"""Damages the data directory of a stopped storage node."""

import shutil
from collections.abc import Callable
from pathlib import Path

Damage = Callable[[Path, Path], None]
"""Of the first data directory; the second is another node's."""


def newest(directory: Path, pattern: str) -> Path:
    """The last of LevelDB's files with such a name."""
    return max((directory / "leveldb").glob(pattern))


def removed(pattern: str) -> Damage:
    """Deletes one file."""
    return lambda directory, _: newest(directory, pattern).unlink()


def all_removed(pattern: str) -> Damage:
    """Deletes all files with such names."""

    def damage(directory: Path, _: Path) -> None:
        for path in (directory / "leveldb").glob(pattern):
            path.unlink()

    return damage


def cut(pattern: str, share: float) -> Damage:
    """Truncates a file."""

    def damage(directory: Path, _: Path) -> None:
        path = newest(directory, pattern)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])

    return damage


def flipped(pattern: str) -> Damage:
    """Changes some bytes in the middle of a file."""

    def damage(directory: Path, _: Path) -> None:
        path = newest(directory, pattern)
        content = bytearray(path.read_bytes())
        middle = len(content) // 2
        content[middle : middle + 8] = bytes(byte ^ 255 for byte in content[middle : middle + 8])
        path.write_bytes(content)

    return damage


def overwritten(pattern: str, content: bytes) -> Damage:
    """Replaces the content of a file."""

    def damage(directory: Path, _: Path) -> None:
        newest(directory, pattern).write_bytes(content)

    return damage


def of_another_node(directory: Path, other: Path) -> None:
    """Replaces the engine by a copy of another node's."""
    shutil.rmtree(directory / "leveldb")
    shutil.copytree(other / "leveldb", directory / "leveldb")


def emptied(directory: Path, _: Path) -> None:
    """Empties the engine's directory."""
    shutil.rmtree(directory / "leveldb")
    (directory / "leveldb").mkdir()


def gone(directory: Path, _: Path) -> None:
    """Deletes the engine's directory."""
    shutil.rmtree(directory / "leveldb")


def a_file(directory: Path, _: Path) -> None:
    """Replaces the directory by a file."""
    shutil.rmtree(directory / "leveldb")
    (directory / "leveldb").write_text("no directory")


def everything_gone(directory: Path, _: Path) -> None:
    """Deletes the data directory."""
    shutil.rmtree(directory)


def no_card_and_no_engine(directory: Path, _: Path) -> None:
    """Deletes node.json and the engine."""
    (directory / "node.json").unlink()
    shutil.rmtree(directory / "leveldb")


def no_card_and_damaged(directory: Path, other: Path) -> None:
    """Damages node.json and the engine."""
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
