"""The suites that are recorded, and how each says what it found."""

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

JUNIT = "{junit}"
"""In a command: where it is to write its JUnit XML. A suite that writes none counts as one test."""


@dataclass(frozen=True, slots=True)
class Suite:
    """A name, a command that is run at the root of the tree, and what it needs that a machine may lack."""

    name: str
    command: Sequence[str]
    lacking: Callable[[], str] = lambda: ""
    """Why it cannot run here; empty: it can."""


def without_docker() -> str:
    """Why suites on containers cannot run here."""
    if shutil.which("docker") is None:
        return "there is no docker command"
    try:
        asked = subprocess.run(["docker", "info"], capture_output=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return "the Docker daemon did not answer within 20 s"
    return "" if asked.returncode == 0 else "no Docker daemon answers"


def without_containers() -> str:
    """Why the container suite cannot run here."""
    if not (ROOT / "integration" / "containers").is_dir():
        return "this commit has no container suite"
    return without_docker()


def without_servers() -> str:
    """Why the suite on real Prometheus, Alertmanager and OpenSearch cannot run here."""
    if not (ROOT / "observability").is_dir():
        return "this commit has no observability"
    missing = [program for program in ("go", "javac", "mvn") if shutil.which(program) is None]
    return f"there is no {missing[0]} command" if missing else ""


REPORT = f"JUNIT={JUNIT}"
SUITES = (
    Suite("test", ("make", "test", REPORT)),
    Suite("scenarios", ("make", "scenarios", REPORT)),
    Suite("simulation", ("make", "simulate", "SEEDS=500")),
    Suite("containers", ("make", "integration", REPORT), without_containers),
    Suite("observe", ("make", "observe", REPORT), without_servers),
)
