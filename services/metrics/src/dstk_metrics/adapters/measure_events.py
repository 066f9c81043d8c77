"""Tells observers about each range that a node was asked to measure."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dstk_keytypes import NodeId, PartitionId
from dstk_metrics.events import RangeMeasured
from dstk_service.observe import Observer
from dstk_service.trace import begin, outgoing, within
from dstk_service.transport.credentials import Metadata


@dataclass(slots=True)
class MeasureCall:
    """A call in progress. `metadata`: to be sent with it. `records`: that the node has read, set when it has answered."""

    metadata: Metadata
    records: int = 0


@contextmanager
def measuring(observer: Observer, node: NodeId, partition: PartitionId) -> Iterator[MeasureCall]:
    """The block has a node measure a range of a partition."""
    begun, span, failure = time.monotonic(), begin(), ""
    measure = MeasureCall(())
    try:
        with within(span.context if span else None):
            measure.metadata = outgoing() if span else ()
            yield measure
    except BaseException as error:
        failure = type(error).__name__
        raise
    finally:
        seconds = time.monotonic() - begun
        observer.observe(RangeMeasured(node, partition, seconds, measure.records, failure, span))
