"""Why a process ended: the one line of its log that says it."""

import json

import pytest

from dstk_localcluster import exit_reason

INFO = json.dumps({"level": "info", "ts": "t", "caller": "embed/etcd.go:369", "msg": "closed etcd server"})
IN_USE = "listen tcp 127.0.0.1:1: bind: address already in use"


def etcd(level: str, message: str, **fields: object) -> str:
    return json.dumps({"level": level, "ts": 1.5, "caller": "a.go:1", "msg": message, **fields, "stacktrace": "a\n\tb"})


def python(*lines: str) -> str:
    return "\n".join(("Traceback (most recent call last):", '  File "a.py", line 1, in f', "    f()", *lines))


NEVER_MIND = "Exception ignored in: <function _UnixTransport.__del__>\n" + python("RuntimeError: Event loop is closed")


GROUP = """\
  + Exception Group Traceback (most recent call last):
  |   File "x"
  | ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "x"
    | plyvel._plyvel.IOError: disk
    +------------------------------------"""
PANIC = f"{INFO}\npanic: invalid page type: 0\n\ngoroutine 1 [running]:\nmain.main()\n\t/x.go:75 +0x12b"
USAGE = "flag provided but not defined: -x\nUsage:\n\n  etcd [flags]\n    Start an etcd server."
FULL = "OSError: [Errno 28] No space left on device"
LOGGED = json.dumps(
    {
        "@timestamp": "2026-01-01T00:00:00.000Z",
        "log.level": "error",
        "message": "gave up",
        "ecs.version": "8.17.0",
        "log.logger": "a.b",
        "process.pid": 1,
        "service.name": "storage",
        "error.type": "OSError",
        "error.message": "full",
        "error.stack_trace": python("OSError: full"),
    }
)
PROMETHEUS = {"time": "t", "level": "ERROR", "source": "a.go:1", "msg": "no config", "file": "x", "err": "it is gone"}
JAEGER = {
    "level": "error",
    "ts": "t",
    "msg": "no port",
    "resource": {"a": 1},
    "otelcol.component.id": "x",
    "error": IN_USE,
}
DISCOVERY = etcd("fatal", "discovery failed", error=IN_USE)


@pytest.mark.parametrize(
    ("log", "says"),
    [
        ("", "it logged nothing"),
        ("\n \n", "it logged nothing"),
        ("first\nlast", "last"),
        (f"{etcd('warn', 'failed', error='w')}\n{DISCOVERY}", f"discovery failed: {IN_USE}"),
        (f"{DISCOVERY}\n{INFO}\n{INFO}", f"discovery failed: {IN_USE}"),
        (f"{etcd('fatal', 'limit too low', limit=100)}", "limit too low (limit 100)"),
        (json.dumps(PROMETHEUS), "no config: it is gone (file x)"),
        (json.dumps(JAEGER), f"no port: {IN_USE}"),
        (PANIC, "panic: invalid page type: 0"),
        ("fatal error: out of memory\n\nruntime stack:\nx", "fatal error: out of memory"),
        (USAGE, "flag provided but not defined: -x"),
        (f"{INFO}\n{etcd('warn', 'slow fdatasync', took='2s')}\n{INFO}", "slow fdatasync (took 2s)"),
        ("error: cannot use data directory 'x'", "cannot use data directory 'x'"),
        (f"error: damaged\n{NEVER_MIND}", "damaged"),
        (f"error: first\nerror: second\n{INFO}", "second"),
        (python("ValueError: no"), "ValueError: no"),
        (python("grpc.aio._call.AioRpcError: no"), "grpc.aio._call.AioRpcError: no"),
        (python("KeyError"), "KeyError"),
        (f"{python(FULL)}\n{NEVER_MIND}", FULL),
        (GROUP, "plyvel._plyvel.IOError: disk"),
        (LOGGED, "gave up: OSError: full"),
        ('{"level": "fatal"', '{"level": "fatal"'),
        ('["fatal"]', '["fatal"]'),
        (INFO, "closed etcd server"),
        ('{"level": 3, "msg": "x"}', "x"),
        ('{"level": "info"}', '{"level": "info"}'),
        ("[" * 100_000, f"{'[' * 500}..."),
        ("\x00\ufffd", "\x00\ufffd"),
    ],
)
def test_the_line_that_says_why(log: str, says: str) -> None:
    assert exit_reason.of(log) == says
