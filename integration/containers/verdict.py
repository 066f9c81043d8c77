"""What planned changes may cost those who call meanwhile."""

import math
from collections.abc import Iterator, Sequence

from faults.attempts import Attempt, failures, summary
from faults.stage import HITCH_SECONDS, TAKEOVER_SECONDS, Stage

from containers.cluster import ContainerCluster
from dstk_service.errors import WriteAmbiguous

ONE_MOMENT_SECONDS = 1.0
"""Some callers try again, within their rights, before they say that they do not know."""


def planned(stage: Stage[ContainerCluster]) -> None:
    """Raises AssertionError for a call that need not have failed, and for a pause that need not have been so long.

    A follower that did not answer for a lease (0.7 s) although nothing was done to it tells of a machine that was busy with
    other things: then the outcome of writes that all came at that moment may be unknown.
    """
    failed = failures(stage.load.attempts)
    silent = silences(stage)
    assert all(isinstance(attempt.error, WriteAmbiguous) for attempt in failed), summary(failed)
    assert len(list(moments(failed))) <= silent, f"{summary(failed)}; {silent} fell silent"
    stage.no_pause_above(TAKEOVER_SECONDS if silent else HITCH_SECONDS)


def moments(failed: Sequence[Attempt]) -> Iterator[float]:
    """When calls failed."""
    last = -math.inf
    for attempt in sorted(failed, key=lambda each: each.returned):
        if attempt.returned - last > ONE_MOMENT_SECONDS:
            yield attempt.returned
        last = attempt.returned


def silences(stage: Stage[ContainerCluster]) -> int:
    """How often a primary took a follower for gone since the scenario began."""
    since = (stage.cluster.log(name)[stage.logged[name] :] for name in stage.cluster.names)
    return sum(log.count('"message": "out of sync"') for log in since)
