"""The process of a detached supervisor: `python -m dstk_cli.local.daemon DIR REQUEST`, from `dstk local up --detach`.

Reports once on standard output, as one JSON line, that everything serves or why it does not, and from then on only to
its log (standard error).
"""

import asyncio
import contextlib
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from dstk_cli.errors import explain
from dstk_cli.local.events import Events
from dstk_cli.local.layout import ClusterDir
from dstk_cli.local.plan import Request
from dstk_cli.local.runs import run_here
from dstk_cli.local.state import Phase, RunState


class _Reporter:
    """Logs what happens and sends the one report."""

    def __init__(self) -> None:
        self._events = Events()
        self._reported = False

    def __call__(self, running: RunState) -> None:
        for line in self._events.between(running):
            with contextlib.suppress(OSError):  # a full disk: there will be other lines
                log(line)
        if running.phase in {Phase.SERVING, Phase.DEGRADED}:
            self.report("", "")

    def report(self, error: str, hint: str) -> None:
        if self._reported:
            return
        self._reported = True
        with contextlib.suppress(BrokenPipeError):  # whoever started this has gone
            os.write(sys.stdout.fileno(), json.dumps({"error": error, "hint": hint}).encode() + b"\n")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def log(line: str) -> None:
    """One line with the time in front."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    print(f"{now} {line}", file=sys.stderr, flush=True)


def main(root: str, request: str) -> int:
    """Runs until a signal; 0 when it stopped as it was told."""
    os.setsid()
    reporter = _Reporter()
    fields = json.loads(request)
    fields["splits"] = tuple(fields["splits"])
    try:
        asyncio.run(run_here(ClusterDir(Path(root)), Request(**fields), reporter))
    except Exception as error:  # noqa: BLE001 - the last place where it can be told
        first = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
        known = explain(first)
        message, hint = (known.message, known.hint) if known else (f"{type(first).__name__}: {first}", "")
        with contextlib.suppress(OSError):  # a full disk
            log(message)
        reporter.report(message, hint)
        return 1
    reporter.report("it was stopped before everything served", "")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
