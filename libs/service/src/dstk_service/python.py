"""How our programs start each other: with this interpreter, and with nothing from the directory where they happen to run."""

import os
import sys

_SCRIPTS = ("dstk", "dstk-bench", "dstk-storage", "dstk-router", "dstk-health", "dstk-token")
_HERE = ("", ".", "./")


def command(module: str) -> tuple[str, ...]:
    """The command line that runs a module as a program; options follow.

    `-m` alone puts the current directory first on the path, and a queue.py there in front of Python's own.
    """
    return sys.executable, "-P", "-m", module


def forget_current_directory() -> None:
    """Takes the current directory off the path again where `python -m dstk_...`, without -P, has put it there, or an empty
    entry of PYTHONPATH, as PYTHONPATH=$PYTHONPATH:/more has where there was none before.

    Called by the packages that are programs, before they import anything else. A program of somebody else that imports us
    keeps its path.
    """
    as_module = _runs_our_module(sys.orig_argv)
    if as_module and not sys.flags.safe_path and sys.argv[:1] == ["-m"]:
        del sys.path[0]
    if (as_module or _runs_our_script(sys.orig_argv)) and _names_here(os.environ.get("PYTHONPATH", "")):
        sys.path[:] = [place for place in sys.path if place not in _HERE and not _is_here(place)]


def _runs_our_module(argv: list[str]) -> bool:
    """Whether the interpreter's own command line says `-m dstk_...`, in one word or two."""
    following = zip(argv, [*argv[1:], ""], strict=True)
    return any(word.startswith("-mdstk_") or (word == "-m" and then.startswith("dstk_")) for word, then in following)


def _runs_our_script(argv: list[str]) -> bool:
    return len(argv) > 1 and argv[1].rpartition(os.sep)[2] in _SCRIPTS


def _names_here(pythonpath: str) -> bool:
    return bool(pythonpath) and any(place in _HERE for place in pythonpath.split(os.pathsep))


def _is_here(place: str) -> bool:
    try:
        return os.path.samefile(place, os.curdir)  # noqa: PTH121 - pathlib would be looked for here, too
    except OSError:  # one of the two is not there
        return False
