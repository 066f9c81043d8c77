"""What the console counts of itself."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class ConsoleFigures:
    """Counters since the process started. `requests`: by route and HTTP status. `events_dropped`: messages of a stream that a
    slow listener did not see, since a newer one had taken their place.
    """

    requests: Counter[tuple[str, int]] = field(default_factory=Counter)
    events_sent: int = 0
    events_dropped: int = 0
