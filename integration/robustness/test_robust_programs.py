"""Whole programs that use the client: what they print beside their own output, and how they and their children end."""

import subprocess
import sys
from pathlib import Path

import pytest
from kit.process_cluster import ProcessCluster

pytestmark = [pytest.mark.slow]

BEGINNING = """
import asyncio, dstk_client, functools, gc, logging, os, sys, threading, uvloop
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dstk_client import *

connect, connect_sync = (functools.partial(each, timeout=60) for each in (dstk_client.connect, dstk_client.connect_sync))
SEED, K = sys.argv[1], Key.text("k")
# that a step took more than 0.1 s, which a busy machine is the reason of
logging.getLogger("asyncio").addFilter(lambda record: not record.getMessage().startswith("Executing"))

async def use(number=0):
    key = Key.of("program", number)
    async with connect(SEED, mode=("thick", "gateway")[number % 2]) as client:
        await client.put(K, b"v")
        await client.put(key, bytes(100_000))
        async for _ in client.scan(KeyRange.everything()):
            break
        assert len((await client.get(key)).value) == 100_000

def forked(count):
    endings = Counter()
    for _ in range(count):
        child = os.fork()
        if not child:
            gc.collect()
            os._exit(0)
        endings[os.waitpid(child, 0)[1]] += 1
    return dict(endings)
"""

SILENT = {
    "one loop after the other": "for number in range(20): asyncio.run(use(number))",
    "loops of uvloop": "for number in range(10): uvloop.run(use(number))",
    "loops that are closed by hand": """
for number in range(10):
    loop = asyncio.new_event_loop()
    loop.run_until_complete(use(number))
    left = asyncio.all_tasks(loop)  # as asyncio.run does: gRPC may still be hearing of the end of a call
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left))
    loop.close()
gc.collect()
""",
    "a loop in each thread": """
with ThreadPoolExecutor(8) as threads:
    list(threads.map(lambda number: asyncio.run(use(number)), range(24)))
""",
    "several clients without a loop": """
with connect_sync(SEED) as one, connect_sync(SEED, mode="gateway") as other, ThreadPoolExecutor(8) as threads:
    list(threads.map(lambda number: (one, other)[number % 2].put(K, b"v"), range(1000)))
""",
    "forks beside a client": """
with connect_sync(SEED) as client:
    client.put(K, b"v")
    assert forked(60) == {0: 60}
    assert client.get(K).value == b"v"
""",
    "forks within a loop": """
async def main():
    async with connect(SEED) as client:
        await client.put(K, b"v")
        assert forked(60) == {0: 60}
        assert (await client.get(K)).value == b"v"
asyncio.run(main())
""",
}
"""Programs that do everything right."""

INTERRUPTED = """
import random, signal, time
rng, armed, count = random.Random(1), False, 0

def interrupt(*_):
    global armed
    if armed:
        armed = False
        raise KeyboardInterrupt

def storm():
    while count < 60:
        time.sleep(rng.random() * 0.01)
        os.kill(os.getpid(), signal.SIGINT)

calls = [
    lambda client: client.put(K, b"v"),
    lambda client: client.insert_sorted((Key.of("sorted", number), b"") for number in range(3000)),
    lambda client: list(client.scan(KeyRange.tuple_prefix("sorted"), page_size=100)),
    lambda client: client.get_many([K] * 100),
    lambda client: client.delete_range(KeyRange.tuple_prefix("sorted")),
]
signal.signal(signal.SIGINT, interrupt)
with connect_sync(SEED, timeout=60) as client:
    stormy = threading.Thread(target=storm)
    stormy.start()
    while count < 60:
        try:
            armed = True
            while armed:
                calls[count % len(calls)](client)
        except KeyboardInterrupt:
            count += 1
    stormy.join()
    client.put(K, b"after")
    print(client.get(K).value)
"""
"""Ctrl-C again and again, wherever the program is."""

UNCLOSED = {
    "with a loop": "async def main():\n    global client\n    client = await connect(SEED)\nasyncio.run(main())",
    "without a loop": "client = connect_sync(SEED)\nclient.put(K, b'v')",
    "in calls of other threads": """
client = connect_sync(SEED)
def work():
    while True:
        client.get(K)
for _ in range(8):
    threading.Thread(target=work, daemon=True).start()
client.put(K, b"v")
""",
}
"""Programs that end without closing their client."""


def run(cluster: ProcessCluster, tmp_path: Path, program: str, *options: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "program.py").write_text(BEGINNING + program + "\n")
    argv = [sys.executable, *options, str(tmp_path / "program.py"), cluster.address("router")]
    return subprocess.run(argv, check=False, capture_output=True, text=True, timeout=200)


@pytest.mark.parametrize("name", SILENT)
def test_a_program_ends_well_and_silently(small_cluster: ProcessCluster, tmp_path: Path, name: str) -> None:
    done = run(small_cluster, tmp_path, SILENT[name])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", UNCLOSED)
def test_a_program_that_does_not_close_its_client_ends_all_the_same(
    small_cluster: ProcessCluster, tmp_path: Path, name: str
) -> None:
    done = run(small_cluster, tmp_path, UNCLOSED[name])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_warnings_as_errors_find_nothing(small_cluster: ProcessCluster, tmp_path: Path) -> None:
    program = "asyncio.run(use())\nwith connect_sync(SEED) as client:\n    client.get(K)"
    done = run(small_cluster, tmp_path, program, "-X", "dev", "-W", "error")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_client_goes_on_after_any_interrupt(small_cluster: ProcessCluster, tmp_path: Path) -> None:
    done = run(small_cluster, tmp_path, INTERRUPTED)
    assert (done.returncode, done.stdout) == (0, "b'after'\n"), done.stderr
    assert "RuntimeError" not in done.stderr
    assert "Task" not in done.stderr
