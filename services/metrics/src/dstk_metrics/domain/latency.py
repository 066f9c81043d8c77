"""Percentiles from histograms: interpolated within a bucket, as Prometheus' histogram_quantile does."""

from collections.abc import Sequence

import numpy as np

from dstk_metrics.domain.report import Floats

MEDIAN, TAIL = 0.5, 0.99


def percentile(counts: Floats, bounds: Sequence[float], fraction: float) -> Floats:
    """The value in seconds below which `fraction` of each histogram lies; 0 for an empty one.

    `counts`: (n, buckets), not cumulative. `bounds`: the upper bound of each bucket but the last; what lies in the last bucket
    counts as its lower bound.
    """
    edges = np.array([0.0, *bounds, bounds[-1]])
    below = np.cumsum(counts, axis=1)
    wanted = fraction * below[:, -1]
    bucket = np.minimum((below < wanted[:, None]).sum(axis=1), counts.shape[1] - 1)
    row = np.arange(len(counts))
    inside = counts[row, bucket]
    before = below[row, bucket] - inside
    part = np.divide(wanted - before, inside, out=np.zeros(len(counts)), where=inside > 0)
    low, high = edges[bucket], edges[bucket + 1]
    return np.where(below[:, -1] > 0, low + (high - low) * part, 0.0)


def merged(histograms: Sequence[tuple[Sequence[float], Floats]]) -> tuple[tuple[float, ...], Floats]:
    """One histogram of several, each given by its bounds and its counts (one more). Where their bounds differ, a bucket is
    spread evenly over its parts.
    """
    bounds = tuple(sorted({bound for own, _ in histograms for bound in own}))
    below = np.zeros(len(bounds) + 1)
    for own, counts in histograms:
        total = np.cumsum(counts)
        inside = np.interp(bounds, [0.0, *own], [0.0, *total[:-1]]) if own else np.zeros(len(bounds))
        below += np.append(inside, total[-1])
    return bounds, np.diff(below, prepend=0.0)
