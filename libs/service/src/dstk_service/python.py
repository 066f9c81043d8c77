"""Starts our programs with this interpreter, without importing anything from the current directory."""

import os
import sys

_SCRIPTS = ("dstk", "dstk-bench", "dstk-storage", "dstk-router", "dstk-metrics", "dstk-token")
_HERE = ("", ".", "./")


def command(module: str) -> tuple[str, ...]:
    """The command line that runs a module as a program; options follow.

    With `-m` alone the current directory comes first on the path, and a queue.py there hides Python's own.
    """
    return sys.executable, "-P", "-m", module


def forget_current_directory() -> None:
    """Removes the current directory from the path if `python -m dstk_...` without -P has added it, or an empty entry of
    PYTHONPATH, such as PYTHONPATH=$PYTHONPATH:/more leaves when PYTHONPATH was unset.

    Packages that are programs call it before they import anything else. Other programs that import us keep their path.
    """
    as_module = _runs_our_module(sys.orig_argv)
    if as_module and not sys.flags.safe_path and sys.argv[:1] == ["-m"]:
        del sys.path[0]
    if (as_module or _runs_our_script(sys.orig_argv)) and _names_here(os.environ.get("PYTHONPATH", "")):
        sys.path[:] = [place for place in sys.path if place not in _HERE and not _is_here(place)]


def _runs_our_module(argv: list[str]) -> bool:
    """Whether the interpreter's command line has `-m dstk_...`, in one word or two."""
    following = zip(argv, [*argv[1:], ""], strict=True)
    return any(word.startswith("-mdstk_") or (word == "-m" and then.startswith("dstk_")) for word, then in following)


def _runs_our_script(argv: list[str]) -> bool:
    return len(argv) > 1 and argv[1].rpartition(os.sep)[2] in _SCRIPTS


def _names_here(pythonpath: str) -> bool:
    return bool(pythonpath) and any(place in _HERE for place in pythonpath.split(os.pathsep))


def _is_here(place: str) -> bool:
    try:
        return os.path.samefile(place, os.curdir)  # noqa: PTH121 - pathlib would be looked for here, too
    except OSError:  # one of the two does not exist
        return False
