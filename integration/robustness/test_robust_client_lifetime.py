"""Programs that end, fork, are interrupted or run behind a proxy with a client open: nobody hangs, and nothing is printed."""

import signal
import subprocess
import sys
import textwrap

import pytest
from kit.process_cluster import ProcessCluster

PREAMBLE = """
import asyncio, dstk_client, functools, gc, logging, os, signal, sys, threading, time
from dstk_client import ClientClosed, DstkError
from dstk_keytypes import Key, KeyRange
ADDRESS, K, EVERYTHING = sys.argv[1], Key.text("k"), KeyRange(b"", None)
connect, connect_sync = (functools.partial(each, timeout=60) for each in (dstk_client.connect, dstk_client.connect_sync))
# that a step took more than 0.1 s, which a busy machine is the reason of
logging.getLogger("asyncio").addFilter(lambda record: not record.getMessage().startswith("Executing"))
"""

PROXIES = ["http_proxy", "https_proxy", "grpc_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]


def begin(cluster: ProcessCluster, program: str, **environment: str) -> subprocess.Popen[str]:
    """Runs the program in a Python that warns of everything."""
    return subprocess.Popen(
        [sys.executable, "-X", "dev", "-c", PREAMBLE + textwrap.dedent(program), cluster.address("storage-1")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": "/usr/bin:/bin", **environment},
    )


def finish(process: subprocess.Popen[str], *, status: int = 0) -> str:
    """What it has printed; on standard error it must print nothing."""
    try:
        output, errors = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(f"it hangs: {process.communicate()}") from None
    assert (errors, process.returncode) == ("", status), (output, errors)
    return output


def test_a_client_that_48_threads_use_is_closed(small_cluster: ProcessCluster) -> None:
    program = """
    ended = []
    def work():
        try:
            while True: client.get(K)
        except ClientClosed: ended.append(1)
    with connect_sync(ADDRESS) as client:
        threads = [threading.Thread(target=work) for _ in range(48)]
        for thread in threads: thread.start()
        time.sleep(0.3)
    for thread in threads: thread.join(60)
    print(len(ended), client is not None)
    """
    assert finish(begin(small_cluster, program)) == "48 True\n"


def test_a_client_that_is_closed_says_so(small_cluster: ProcessCluster) -> None:
    program = """
    with connect_sync(ADDRESS) as client: client.put(K, b"v")
    for call in (lambda: client.get(K), lambda: client.put(K, b"v"), lambda: list(client.scan(EVERYTHING))):
        try: call()
        except ClientClosed: print("closed")
    async def main():
        async with connect(ADDRESS) as client: await client.get(K)
        try: await client.get(K)
        except ClientClosed: print("closed")
    asyncio.run(main())
    """
    assert finish(begin(small_cluster, program)) == "closed\n" * 4


def test_a_forked_child_is_refused_at_once_and_ends_in_order(small_cluster: ProcessCluster) -> None:
    program = """
    def child():
        begun = time.monotonic()
        for call in (lambda: client.get(K), lambda: list(client.scan(EVERYTHING)), client.close, connect_again):
            try: call()
            except DstkError as error: print(type(error).__name__, "forked" in str(error))
        gc.collect()
        print(time.monotonic() - begun < 30)  # half the time that one call has
        sys.exit(0)
    def connect_again():
        with connect_sync(ADDRESS) as other: other.get(K)
    with connect_sync(ADDRESS) as client:
        client.put(K, b"v")
        sys.stdout.flush()
        pid = os.fork()
        if not pid: child()
        assert os.waitpid(pid, 0)[1] == 0
        assert client.get(K).value == b"v"
    """
    assert finish(begin(small_cluster, program)) == "WrongContext True\n" * 3 + "True\n"


def test_a_pool_of_forked_workers_hears_of_it(small_cluster: ProcessCluster) -> None:
    program = """
    import multiprocessing
    def work(number): return client.get(K)
    with connect_sync(ADDRESS) as client:
        client.put(K, b"v")
        with multiprocessing.get_context("fork").Pool(2) as pool:
            try: pool.map(work, range(4))
            except DstkError as error: print(type(error).__name__)
    """
    assert finish(begin(small_cluster, program)) == "WrongContext\n"


@pytest.mark.parametrize(
    "body",
    [
        "with connect_sync(ADDRESS) as client:\n    print('ready', flush=True)\n    while True: client.put(K, b'v')",
        "with connect_sync(ADDRESS) as client:\n    print('ready', flush=True)\n    time.sleep(30)",
        "with connect_sync(ADDRESS) as client:\n    print('ready', flush=True)\n    while True: list(client.scan(EVERYTHING))",
        "print('ready', flush=True)\nwith connect_sync('127.0.0.1:1', timeout=60): pass",
    ],
    ids=["in a call", "between calls", "in a scan", "while connecting"],
)
def test_ctrl_c_ends_a_program_in_silence(small_cluster: ProcessCluster, body: str) -> None:
    program = f"try:\n{textwrap.indent(body, '    ')}\nexcept KeyboardInterrupt: print('interrupted')"
    process = begin(small_cluster, program)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert finish(process) == "interrupted\n"


def test_ctrl_c_ends_an_event_loop_in_silence(small_cluster: ProcessCluster) -> None:
    program = """
    async def main():
        async with connect(ADDRESS) as client:
            async def work():
                while True: await client.put(K, b"v")
            print("ready", flush=True)
            await asyncio.gather(*(work() for _ in range(16)))
    try: asyncio.run(main())
    except KeyboardInterrupt: print("interrupted")
    """
    process = begin(small_cluster, program)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert finish(process) == "interrupted\n"


def test_an_interrupt_in_the_midst_of_a_lane_leaves_the_client_usable(small_cluster: ProcessCluster) -> None:
    """As when a debugger's loop goes on after Ctrl-C: the signal meets whatever runs, here the lane's own writer."""
    program = """
    from dstk_client.lane import Lane
    async def opened(): return await connect(ADDRESS)
    loop = asyncio.new_event_loop()
    client = loop.run_until_complete(opened())
    gather = Lane._gather
    def interrupted(self, *arguments):
        Lane._gather = gather
        raise KeyboardInterrupt
    loop.run_until_complete(client.get(K))
    Lane._gather = interrupted
    reading = loop.create_task(client.get(K))
    try: loop.run_until_complete(reading)
    except KeyboardInterrupt: print("interrupted")
    loop.run_until_complete(reading)
    print(loop.run_until_complete(client.put(K, b"v")) > 0)
    loop.run_until_complete(client.close())
    loop.close()
    """
    assert finish(begin(small_cluster, program)) == "interrupted\nTrue\n"


@pytest.mark.parametrize("variable", PROXIES)
def test_a_proxy_of_the_environment_is_passed_by(small_cluster: ProcessCluster, variable: str) -> None:
    program = """
    for mode in ("thick", "gateway"):
        with connect_sync(ADDRESS, mode=mode) as client: client.put(K, b"v")
    print("served")
    """
    process = begin(small_cluster, program, **{variable: "http://127.0.0.1:9", "no_proxy": ""})
    assert finish(process) == "served\n"


@pytest.mark.parametrize("address", ["", "localhost", "http://127.0.0.1:7000", "::1:7000", "127.0.0.1:0", "a b:1"])
def test_an_address_that_is_none_is_refused_at_once_and_alone(small_cluster: ProcessCluster, address: str) -> None:
    program = f"""
    begun = time.monotonic()
    for mode in ("thick", "gateway"):
        try: connect_sync({address!r}, mode=mode)
        except DstkError as error: print(type(error).__name__, repr({address!r}) in str(error))
    print(time.monotonic() - begun < 30)  # half the time that one call has
    """
    assert finish(begin(small_cluster, program)) == "InvalidArgument True\n" * 2 + "True\n"


def test_nothing_that_listens_is_no_reason_for_grpc_to_print(small_cluster: ProcessCluster) -> None:
    program = """
    for address in ("127.0.0.1:1", "nobody.invalid:7000"):
        try: connect_sync(address, timeout=0.5)
        except DstkError as error: print(address in str(error))
    """
    assert finish(begin(small_cluster, program)) == "True\nTrue\n"
