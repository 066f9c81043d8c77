"""How our programs start each other: with this interpreter, and with nothing from the directory where they happen to run."""

import sys


def command(module: str) -> tuple[str, ...]:
    """The command line that runs a module as a program; options follow.

    `-m` alone puts the current directory first on the path, and a queue.py there in front of Python's own.
    """
    return sys.executable, "-P", "-m", module


def forget_current_directory() -> None:
    """Takes the current directory off the path again where `python -m dstk_...`, without -P, has put it there.

    Called by the packages that are programs, before they import anything else. A program of somebody else that imports us
    keeps its path, and so does an interpreter that was told to add nothing (-P, -I, PYTHONSAFEPATH).
    """
    if not sys.flags.safe_path and _runs_one_of_ours(sys.orig_argv) and sys.argv[:1] == ["-m"]:
        del sys.path[0]


def _runs_one_of_ours(argv: list[str]) -> bool:
    """Whether the interpreter's own command line says `-m dstk_...`, in one word or two."""
    following = zip(argv, [*argv[1:], ""], strict=True)
    return any(word.startswith("-mdstk_") or (word == "-m" and then.startswith("dstk_")) for word, then in following)
