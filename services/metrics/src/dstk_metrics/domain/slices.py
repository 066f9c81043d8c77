"""What all partitions did in a span of time: what the feeds hand to the history, and what the history keeps."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Slice:
    """The key space cut into ranges, and each figure of each range, from `begin_ms` to `end_ms` (Unix ms).

    `starts`: where the ranges start, ascending strictly, the first one at b""; a range ends where the next one starts, the
    last one has no end. `values`: a row for each figure of HISTORY, in that order, a column for each range. Rates are means
    over the span and sums over the range; amounts are as of its end. NaN: not known.
    """

    begin_ms: int
    end_ms: int
    starts: Sequence[bytes]
    values: Values
