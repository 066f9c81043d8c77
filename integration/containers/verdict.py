"""What planned changes may cost those who call meanwhile."""

import json
import math
from collections.abc import Iterable, Iterator
from datetime import datetime

from faults.attempts import failures, summary
from faults.scenario import FAILOVER_SECONDS, RECONFIGURATION_SECONDS, Scenario

from containers.cluster import ContainerCluster
from dstk_service.errors import WriteAmbiguous

ONE_MOMENT_SECONDS = 1.0
"""Some callers try again, within their rights, before they say that they do not know."""


def planned(scenario: Scenario[ContainerCluster]) -> None:
    """Raises AssertionError for a call that need not have failed, and for a pause that need not have been so long.

    A primary that was not heard for a lease (0.7 s) although nothing was done to it tells of a machine that was busy with other
    things. Another node takes over, and writes may have no known outcome at as many moments as that happened; nothing else may
    fail.
    """
    failed = failures(scenario.load.attempts)
    lapses = count_moments(takeovers(scenario))
    assert all(isinstance(attempt.error, WriteAmbiguous) for attempt in failed), summary(failed)
    assert count_moments(attempt.returned for attempt in failed) <= lapses, f"{summary(failed)}; {lapses} took over"
    scenario.no_pause_above(FAILOVER_SECONDS if lapses else RECONFIGURATION_SECONDS)


def count_moments(times: Iterable[float]) -> int:
    """Of times in seconds that lie close together only one counts."""
    count, last = 0, -math.inf
    for time in sorted(times):
        count += time - last > ONE_MOMENT_SECONDS
        last = time
    return count


def takeovers(scenario: Scenario[ContainerCluster]) -> Iterator[float]:
    """When, since the scenario began, a node took a partition over from another one that it thought gone."""
    for name in scenario.cluster.names:
        for line in scenario.cluster.log(name)[scenario.logged[name] :].splitlines():
            entry = json.loads(line)
            if entry["message"] == "took over" and entry["from"] != name:
                yield datetime.fromisoformat(entry["timestamp"]).timestamp()
