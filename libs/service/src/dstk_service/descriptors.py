"""File descriptors of a process: how many it may have, and that the first three of them are taken."""

import os
import resource
import sys
from typing import TextIO, cast

MOST = 65_536
"""The limit is raised no further: some programs walk over all possible descriptors, which may be a thousand million."""


def raise_limit() -> int:
    """Raises how many descriptors this process and its children may have to what the system allows; returns the limit.

    Shells allow 256 to 1,024 by default, and any process may raise it up to the hard limit.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return MOST if soft == resource.RLIM_INFINITY else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (ValueError, OSError):  # macOS has a further bound, that it does not tell
        return soft
    return wanted


def require(needed: int, whom: str) -> None:
    """Raises OSError where this process, after `raise_limit`, may have fewer than `needed` descriptors."""
    allowed = raise_limit()
    if allowed < needed:
        raise OSError(
            f"{whom} needs {needed} file descriptors, and {allowed} are allowed: raise the limit "
            f"(`ulimit -n {needed}`, LimitNOFILE= of systemd, --ulimit nofile of docker)"
        )


def fill_standard() -> None:
    """Opens what is closed of standard input, output and error, so that no socket or file takes their number.

    What is read from such an input, or written to such an output, fails with EBADF as before; an error output takes everything.
    `sys.stdin` and `sys.stderr` are there afterwards; `sys.stdout` is None where there is no output.
    """
    for number, mode in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # the lowest number that is free
    sys.stdin = sys.stdin or _stream(0, "r")
    sys.stderr = sys.stderr or _stream(2, "w")


def _stream(number: int, mode: str) -> TextIO:
    """For as long as the process runs. Python has none for what was closed when it started."""
    return cast("TextIO", open(number, mode, encoding="utf-8", closefd=False))
