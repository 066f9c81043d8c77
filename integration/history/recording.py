"""Runs a suite and makes a result of what it found."""

import platform
import subprocess
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import ParseError

import psutil

from dstk_bench.machine import cpu_model
from history import junit
from history.model import Machine, Result
from history.suites import JUNIT, Suite


class Commit(NamedTuple):
    """What is checked out. `dirty`: files differ from it, but for the history itself."""

    id: str
    dirty: bool


def commit(root: Path, history: Path) -> Commit:
    """Of the tree at `root`. Raises CalledProcessError outside of git."""
    changed = _git(root, "status", "--porcelain", "--", ".", f":(exclude){history.relative_to(root)}")
    return Commit(_git(root, "rev-parse", "--short=12", "HEAD").strip(), bool(changed.strip()))


def machine() -> Machine:
    """This one, without its name."""
    return Machine(
        cores=psutil.cpu_count() or 1,
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        cpu=cpu_model(),
        kernel=f"{platform.system()} {platform.release()}",
    )


def run(suite: Suite, at: Commit, root: Path) -> Result:
    """Runs a suite to its end, its output as it comes; one that cannot run here says so in the result."""
    result = Result(
        date=datetime.now(UTC).replace(microsecond=0),
        commit=at.id,
        dirty=at.dirty,
        machine=machine(),
        suite=suite.name,
        not_run=suite.lacking(),
    )
    if result.not_run:
        return result
    with tempfile.TemporaryDirectory(prefix="dstk-record-") as directory:
        report = Path(directory) / "junit.xml"
        begun = time.monotonic()
        code = subprocess.run(_command(suite, report), cwd=root, check=False).returncode
        seconds = round(time.monotonic() - begun, 1)
        found = _found(suite, report, code)
    return result.model_copy(update={"seconds": seconds, "exit_code": code, **found._asdict()})


def _command(suite: Suite, report: Path) -> Sequence[str]:
    return [part.replace(JUNIT, str(report)) for part in suite.command]


def _found(suite: Suite, report: Path, code: int) -> junit.Found:
    """What the report says; a suite without one counts as one test. One that ended badly though its report shows no failure has
    failed as a whole: a failure is never lost.
    """
    if not report.exists():
        return junit.Found(int(code == 0), int(code != 0), 0)
    try:
        found = junit.read(report)
    except ParseError:
        return junit.Found(0, 1, 0)
    return found._replace(failed=found.failed or int(code != 0))


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout
