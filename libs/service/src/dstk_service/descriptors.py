"""The file descriptors of a process: raises their limit, and opens the three standard ones."""

import os
import resource
import sys
from typing import TextIO, cast

MOST = 65_536
"""The highest limit that is set: some programs iterate over all possible descriptors, which may be 10⁹."""


def raise_limit() -> int:
    """Raises the limit of this process and its children to the system's hard limit; returns the limit.

    Shells allow 256 to 1,024 by default, and any process may raise its limit up to the hard limit.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return MOST if soft == resource.RLIM_INFINITY else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (ValueError, OSError):  # macOS has another limit, which it does not report
        return soft
    return wanted


def require(needed: int, whom: str) -> None:
    """Raises OSError if this process, after `raise_limit`, may have fewer than `needed` descriptors."""
    allowed = raise_limit()
    if allowed < needed:
        raise OSError(
            f"{whom} needs {needed} file descriptors, and {allowed} are allowed: raise the limit "
            f"(`ulimit -n {needed}`, LimitNOFILE= of systemd, --ulimit nofile of docker)"
        )


def fill_standard() -> None:
    """Opens standard input, output and error where they are closed, so that no socket or file gets their numbers.

    Reading from such an input, or writing to such an output, fails with EBADF as before; such an error output discards its
    text. Afterwards `sys.stdin` and `sys.stderr` exist; `sys.stdout` is None where there is no output.
    """
    for number, mode in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # takes the lowest free number
    sys.stdin = sys.stdin or _stream(0, "r")
    sys.stderr = sys.stderr or _stream(2, "w")


def _stream(number: int, mode: str) -> TextIO:
    """A stream for the whole life of the process. Python makes none for a descriptor that was closed at the start."""
    return cast("TextIO", open(number, mode, encoding="utf-8", closefd=False))
