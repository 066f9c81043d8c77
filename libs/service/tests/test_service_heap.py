"""Memory of a service's process."""

import subprocess
import sys

import pytest

COUNT = """
import ctypes, sys, threading
from dstk_service import heap, lifecycle

async def serve(stop):
    libc, barrier = ctypes.CDLL(None), threading.Barrier(17)
    if not hasattr(libc, "malloc_info"):
        print("no glibc", file=sys.stderr)
        return
    libc.malloc.restype = libc.fdopen.restype = ctypes.c_void_p

    def allocates():
        libc.malloc(100_000)
        barrier.wait()
        barrier.wait()

    threads = [threading.Thread(target=allocates) for _ in range(16)]
    for thread in threads:
        thread.start()
    barrier.wait()
    out = libc.fdopen(1, b"w")
    libc.malloc_info(0, ctypes.c_void_p(out))
    libc.fflush(ctypes.c_void_p(out))
    barrier.wait()

lifecycle.run(serve)
"""


def test_the_threads_of_a_service_share_two_heaps() -> None:
    done = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True, check=True, timeout=120)
    if "no glibc" in done.stderr:
        pytest.skip("not on glibc")
    assert 1 <= done.stdout.count("<heap nr=") <= 2
