"""The calls of a load, and what follows from them: pauses, failures, when a key was first served again. Pure."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate, groupby

from model.register import Kind, Operation


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call as its caller saw it; times on one monotonic clock."""

    key: bytes
    kind: Kind
    called: float
    returned: float
    error: Exception | None
    """None: the call was answered, possibly with a failed precondition."""
    operation: Operation | None
    """For the checker; None: the call certainly had no effect and returned no value."""

    @property
    def is_write(self) -> bool:
        """Whether the call needs more than a living primary."""
        return self.kind is not Kind.GET


@dataclass(frozen=True, slots=True, order=True)
class Pause:
    """A time in which no call on a key was answered although a caller waited. Time without callers is no pause."""

    seconds: float
    began: float
    key: bytes
    writes: bool
    """Whether it is writes that were not answered, or reads."""

    def __str__(self) -> str:
        """For people."""
        what = "writes" if self.writes else "reads"
        return f"{self.seconds * 1000:.0f} ms without {what} of {self.key!r} from {wall_time(self.began)} on"


def wall_time(moment: float) -> str:
    """A monotonic moment as the logs give it: hours, minutes, seconds."""
    return datetime.fromtimestamp(time.time() - time.monotonic() + moment, tz=UTC).strftime("%H:%M:%S.%f")[:-3]


def longest_pause(attempts: Iterable[Attempt], since: float = -math.inf) -> Pause:
    """The longest pause of any key, reads and writes separate, from `since` on. Raises ValueError without attempts."""
    return max(_pauses([each for each in attempts if each.returned >= since]))


def _pauses(attempts: Iterable[Attempt]) -> Iterator[Pause]:
    def lane(attempt: Attempt) -> tuple[bytes, bool]:
        return attempt.key, attempt.is_write

    for (key, writes), group in groupby(sorted(attempts, key=lambda each: (*lane(each), each.returned)), lane):
        mine = list(group)
        waited = [*accumulate((attempt.called for attempt in reversed(mine)), min)][::-1]
        began = waited[0]
        for attempt, waiting_since in zip(mine, [*waited[1:], math.inf], strict=True):
            if attempt.error is None or waiting_since is math.inf:
                yield Pause(attempt.returned - began, began, key, writes)
                began = max(attempt.returned, waiting_since)


def first_answer(attempts: Iterable[Attempt], after: float, wanted: Callable[[Attempt], bool]) -> float:
    """Seconds from `after` until the first answer to a wanted call that was made later; infinity: there was none."""
    found = (each.returned for each in attempts if each.called >= after and each.error is None and wanted(each))
    return min(found, default=math.inf) - after


def failures(attempts: Iterable[Attempt]) -> list[Attempt]:
    """The calls that failed."""
    return [attempt for attempt in attempts if attempt.error is not None]


def summary(failed: Iterable[Attempt]) -> str:
    """How many of which kind, with one message each."""
    seen: dict[str, Exception] = {}
    counts: Counter[str] = Counter()
    for attempt in failed:
        name = f"{attempt.kind.name} {type(attempt.error).__name__}"
        counts[name] += 1
        seen.setdefault(name, attempt.error or Exception())
    return "; ".join(f"{count} x {name} ({seen[name]})" for name, count in counts.most_common())
