"""Settings of glibc's malloc that return freed memory to the system."""

import ctypes

_M_ARENA_MAX = -8
"""A constant of glibc's malloc.h."""

ARENAS = 2


def few_arenas() -> None:
    """Limits glibc to two heaps instead of eight for each core. Call it before any thread starts; without glibc it does
    nothing.

    gRPC's threads free memory that other threads have allocated, and each heap keeps what is freed in its middle: during 200
    concurrent gets of 1 MiB a router grew from 74 to 160 MiB and kept 105 to 142; with two heaps it keeps 68. Gets are not
    slower.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, ARENAS)


def give_back() -> None:
    """Makes glibc return freed memory to the system; by default it keeps freed memory below any block in use.

    After 200 unread scans a router went from 86 MiB back to 67. Without glibc it does nothing. Takes milliseconds, and releases
    the interpreter's lock.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
