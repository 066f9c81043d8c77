"""Asks nodes to measure ranges, over gRPC."""

from functools import partial

from typing_extensions import override

from dstk.v1 import statistics_pb2, statistics_pb2_grpc
from dstk_client.links import Links
from dstk_client.unary_calls import UnaryCalls
from dstk_cluster.model import NodeInfo
from dstk_keytypes import PartitionId
from dstk_metrics.adapters.measure_events import measuring
from dstk_metrics.domain.buckets import Bucket, Run, Table
from dstk_metrics.ports import Measuring
from dstk_service.errors import NotServing
from dstk_service.observe import Observer
from dstk_service.transport.port import Channel, Connector

CALL_SECONDS, BUCKETS_A_SECOND = 5.0, 200.0
"""A node takes less than a second as a rule, and some seconds for thousands of buckets."""


class NodeMeasuring(Measuring):
    """A channel to each node that was asked."""

    def __init__(self, connector: Connector, observer: Observer) -> None:
        self._links, self._observer = Links(connector, _client), observer

    @override
    async def measure(self, node: NodeInfo, partition: PartitionId, run: Run) -> Table:
        request = statistics_pb2.MeasureRangeRequest(
            partition_id=partition, start=run.start, end=run.end, buckets=run.buckets
        )
        link = self._links.to(node.id, node.address)
        seconds = CALL_SECONDS + run.buckets / BUCKETS_A_SECOND
        with measuring(self._observer, node.id, partition) as call:
            answer: statistics_pb2.MeasureRangeResponse = await link.read(
                lambda stub: partial(stub.MeasureRange, metadata=call.metadata), request, seconds
            )
            call.records = answer.examined_records
        return _table(answer, run, node.id)

    async def close(self) -> None:
        """Closes all channels."""
        await self._links.close()


def _client(channel: Channel, node: str) -> UnaryCalls[statistics_pb2_grpc.StatisticsStub]:
    stub = statistics_pb2_grpc.StatisticsStub(channel)
    return UnaryCalls(channel, stub, f"node {node!r}", one_of_many=True)


def _table(answer: statistics_pb2.MeasureRangeResponse, run: Run, node: str) -> Table:
    """Raises NotServing for an answer that does not begin where the run does, or is no table."""
    bounds = [answer.start, *answer.borders, answer.end]
    if answer.start != run.start or not len(bounds) - 1 == len(answer.records) == len(answer.bytes):
        raise NotServing(f"node {node!r} measured something else than the range from {run.start!r} on", 0.0)
    is_final = len(bounds) == 2 and run.buckets > 1  # noqa: PLR2004 - a start and an end
    columns = zip(bounds, bounds[1:], zip(answer.records, answer.bytes, strict=True), strict=False)
    buckets = [Bucket(start, end, amounts, is_final or amounts[0] <= 1) for start, end, amounts in columns]
    return Table(buckets, (answer.records_error, answer.bytes_error))
