"""The process of a detached supervisor: `python -m dstk_localcluster.daemon DIRECTORY SPEC`, started by `run_detached`.

Writes one `Report` to standard output, as a line of JSON, and from then on only to its log (standard error).
"""

import asyncio
import contextlib
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter
from pydantic_core import to_json

from dstk_localcluster.changes import ChangeDescriber
from dstk_localcluster.detached import Report
from dstk_localcluster.directory import ClusterDir
from dstk_localcluster.errors import LocalClusterError
from dstk_localcluster.foreground import run_until_signal
from dstk_localcluster.spec import ClusterSpec
from dstk_localcluster.state import ClusterState, Phase


class _Reporter:
    """Logs every change and sends the one report."""

    def __init__(self) -> None:
        self._changes = ChangeDescriber()
        self._reported = False

    def __call__(self, running: ClusterState) -> None:
        for line in self._changes.since_last(running):
            log(line)
        if running.phase in {Phase.SERVING, Phase.DEGRADED}:
            self.report(Report())

    def report(self, report: Report) -> None:
        if self._reported:
            return
        self._reported = True
        with contextlib.suppress(BrokenPipeError):  # the process that started this one has ended
            os.write(sys.stdout.fileno(), to_json(report) + b"\n")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def log(line: str) -> None:
    """Logs one line with the time in front. On a full disk the line is lost: later ones follow."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{now} {line}\n")
        sys.stderr.flush()


def main(root: str, spec: str) -> int:
    """Runs until a signal. Returns the exit code: 0 when a signal stopped it."""
    os.setsid()
    reporter = _Reporter()
    try:
        asked = TypeAdapter(ClusterSpec).validate_json(spec, strict=True)
        asyncio.run(run_until_signal(ClusterDir(Path(root)), asked, reporter))
    except Exception as error:  # noqa: BLE001 - the last place that can report it
        known = _known(error)
        log(known.message)
        reporter.report(Report.of(known))
        return 1
    reporter.report(Report("it was stopped before everything served"))
    return 0


def _known(error: Exception) -> LocalClusterError:
    """The error as one with a message for people."""
    if isinstance(error, ExceptionGroup):
        return _known(error.exceptions[0])
    if isinstance(error, LocalClusterError):
        return error
    if isinstance(error, OSError) and error.filename:
        return LocalClusterError(f"{error.filename!s}: {error.strerror or error}")
    return LocalClusterError(str(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
