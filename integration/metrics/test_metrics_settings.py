"""`python -m dstk_metrics`: wrong settings are told by name, all of them at once; foreign variables do nothing."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping

import pytest

from dstk_metrics.config import MetricsConfig

pytestmark = [pytest.mark.slow]

WRONG = {
    "console_listen": "nowhere",
    "operations_listen": "127.0.0.1:70000",
    "history_bytes": "1",
    "etcd": "127.0.0.1",
    "cluster": "No Such",
    "lease_seconds": "1",
    "feed_seconds": "0.5",
    "shutdown_seconds": "-1",
    "log_level": "loud",
    "trace_ratio": "2",
    "trace_endpoint": "ftp://x",
}


def run(*arguments: str, variables: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-P", "-m", "dstk_metrics", *arguments]
    environment = {**os.environ, **(variables or {})}
    with tempfile.TemporaryDirectory() as here:  # where the data directory is by default
        return subprocess.run(
            command, env=environment, cwd=here, capture_output=True, text=True, timeout=60, check=False
        )


def flag(setting: str) -> str:
    return f"--{setting.replace('_', '-')}"


def test_all_mistakes_are_told_at_once_each_with_its_flag_variable_and_value() -> None:
    done = run(*(f"{flag(setting)}={value}" for setting, value in WRONG.items()))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for setting, value in WRONG.items():
        told = f"{flag(setting)} (or DSTK_{setting.upper()}) is {value!r}"
        assert told in done.stderr, f"{told!r} is not in {done.stderr}"


def test_a_variable_is_refused_as_a_flag_is() -> None:
    done = run(variables={f"DSTK_{setting.upper()}": value for setting, value in WRONG.items()})
    assert done.returncode == 2
    assert done.stderr.count(" is ") >= len(WRONG)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--listen", "nowhere"], "nowhere"),
        (["--advertise", "x"], "--advertise"),
        (["--workers", "2"], "unrecognized arguments: --workers 2"),
        (["--admin-token-file", "/none/token"], "/none/token"),
        (["--data-dir", "/dev/null/x"], "/dev/null/x"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line_by_its_value(arguments: list[str], says: str) -> None:
    done = run(*arguments, "--console-listen", "127.0.0.1:0", "--operations-listen", "off", "--etcd", "127.0.0.1:1")
    assert done.returncode in {1, 2}
    last = done.stderr.strip().splitlines()[-1]
    assert says in last
    assert "Traceback" not in done.stderr


def test_the_settings_that_result_are_printed() -> None:
    done = run("--check-config", "--feed-seconds", "2", variables={"DSTK_FEED_SECONDS": "5", "DSTK_CLUSTER": "shop"})
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["feed_seconds"], found["cluster"]) == (2, "shop")
    assert found.keys() == MetricsConfig.model_fields.keys() - {"check_config"}


def test_variables_of_other_services_do_nothing() -> None:
    foreign = {"DSTK_NODE_ID": "!", "DSTK_BOOTSTRAP_EXPECT": "x", "DSTK_WORKERS": "0", "ETCD_NAME": "x"}
    done = run("--check-config", variables=foreign)
    assert done.returncode == 0, done.stderr
