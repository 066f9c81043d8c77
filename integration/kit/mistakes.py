"""Every error class of DSTK, and an instance of each, for tests of all errors."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

from dstk.v1 import topology_pb2
from dstk_formats.lines import Line
from dstk_keytypes import Key, KeyRange

_LIBRARIES = ("dstk_keytypes", "dstk_service", "dstk_cluster", "dstk_client", "dstk_doctor", "dstk_formats")
PACKAGES = (*_LIBRARIES, "dstk_storage", "dstk_router", "dstk_cli")

_BY_TYPE: dict[object, object] = {
    str: "why",
    bytes: b"key",
    Line: b"a line\n",
    int: 7,
    float: 0.5,
    bool: True,
    object: [1],
    Path: Path("no-such-log"),
    Key: Key(b"k"),
    KeyRange: KeyRange(b"a", b"z"),
    topology_pb2.Partition | None: topology_pb2.Partition(id=7, start=b"a", epoch=3, primary="storage-1"),
}


def every_class() -> list[type[Exception]]:
    """All exception classes that the packages define, in whichever module."""
    found = {kind for package in PACKAGES for module in _modules(package) for kind in _exceptions(module)}
    return sorted(found, key=lambda kind: f"{kind.__module__}.{kind.__qualname__}")


def example(kind: type[Exception]) -> Exception:
    """One of the class, every argument of its constructor given."""
    if kind.__init__ in {Exception.__init__, ValueError.__init__, RuntimeError.__init__}:
        return kind("why")
    hints = get_type_hints(kind.__init__)
    positional, named = [], {}
    for parameter in list(inspect.signature(kind.__init__).parameters.values())[1:]:
        hint = hints[parameter.name]
        assert hint in _BY_TYPE, f"{kind.__name__} takes {parameter.name}: say above what an example of {hint} is"
        value = _BY_TYPE[hint]
        if parameter.kind is parameter.KEYWORD_ONLY:
            named[parameter.name] = value
        else:
            positional.append(value)
    return kind(*positional, **named)


def failing(error: Exception) -> None:
    """Raises the error; a worker of a process pool runs this."""
    raise error


def _modules(package: str) -> Iterator[Any]:
    top = importlib.import_module(package)
    yield top
    for module in pkgutil.walk_packages(top.__path__, f"{package}."):
        if not module.name.endswith("__main__"):
            yield importlib.import_module(module.name)


def _exceptions(module: Any) -> Iterator[type[Exception]]:
    for each in vars(module).values():
        if isinstance(each, type) and issubclass(each, Exception) and each.__module__ == module.__name__:
            yield each
