"""Leases that lapsed although nothing was done to their nodes: a machine was busy with other things for a lease (0.7 s).

Another node takes over then, and writes that were under way have no known outcome.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

ONE_MOMENT_SECONDS = 1.0
"""Some callers try again, within their rights, before they say that they do not know."""


def count_moments(times: Iterable[float]) -> int:
    """Counts times, in seconds. Those that lie close together count once."""
    count, last = 0, -math.inf
    for time in sorted(times):
        count += time - last > ONE_MOMENT_SECONDS
        last = time
    return count


def takeovers(logs: Mapping[str, str]) -> Iterator[float]:
    """When, in seconds of the wall clock, a node took a partition over from one that it thought gone. `logs`: by node."""
    for name, log in logs.items():
        for line in log.splitlines():
            if '"took over"' not in line:
                continue
            entry = json.loads(line)
            if entry["message"] == "took over" and entry["dstk.previous_primary"] != name:
                yield datetime.fromisoformat(entry["@timestamp"]).timestamp()
