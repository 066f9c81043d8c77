"""Reads the pages of a range over streams, one node after another."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Protocol

import grpc

from dstk.v1 import kv_pb2
from dstk_client.locating import Target
from dstk_client.operation import GIVEN_UP, UNREADABLE, Ambiguous
from dstk_client.patience import Patience
from dstk_client.retries import Attempts, Effect
from dstk_client.scan_trace import ScanTrace
from dstk_service.cancellation import Cancellation
from dstk_service.errors import DeadlineExceeded, NotServing


class PageSource(Protocol):
    """What pages need of a client."""

    @property
    def rng(self) -> random.Random:
        """For the jitter of retries."""

    def scan_trace(self) -> ScanTrace:
        """The spans of a scan that begins."""

    def check_usable(self) -> None:
        """Raises where the client is closed, or used in another event loop or process than its own."""

    def locate_scan(self, request: kv_pb2.ScanRequest) -> Target:
        """Where to read the next page. Raises NotServing."""

    def patience(self, call: Any, node: Any, locate: Callable[[], Target]) -> Patience:
        """Gives the call up when its node is not the one to ask any more."""

    async def pause(self, attempts: Attempts, error: Exception) -> None:
        """Waits before the next attempt, or raises the error that it ends with."""


class Pages:
    """Iterate over it for responses in protobuf. It changes the request, which always asks for the rest of the range.

    `seconds`: for each page. A failed page is retried from the end of the last page, as Attempts allows. Raises DstkError.
    """

    def __init__(self, client: PageSource, request: kv_pb2.ScanRequest, seconds: float) -> None:
        self._client = client
        self._request = request
        self._seconds = seconds
        client.check_usable()  # the iteration may run in another context: each read checks again
        self._loop = asyncio.get_running_loop()
        self.more = True
        """Whether part of the range is left; a new iteration continues with it."""
        self._attempts = self._begin()

    async def __aiter__(self) -> AsyncGenerator[kv_pb2.ScanResponse, None]:
        """Page by page."""
        trace = self._client.scan_trace()
        with trace.scan():
            while self.more:
                try:
                    async with aclosing(self._stream(trace)) as pages:
                        async for page in pages:
                            yield page
                except (grpc.aio.AioRpcError, Ambiguous, NotServing) as error:
                    await self._client.pause(self._attempts, error)

    async def _stream(self, trace: ScanTrace) -> AsyncGenerator[kv_pb2.ScanResponse, None]:
        """The pages of the node that has the next ones."""
        self._node, self._request.epoch = self._locate()
        self._node.check_open()
        with trace.stream(self._node.address) as metadata:
            call = self._node.keyvalue.ScanPages(self._request, metadata=metadata)
            try:
                with self._node.in_use():
                    response: kv_pb2.ScanResponse | None = await self._first(call)
                    while response is not None:
                        self.more = advance(self._request, response)
                        yield response
                        self._attempts = self._begin()
                        response = await self._read(call) if self.more else None
            finally:
                call.cancel()

    def _begin(self) -> Attempts:
        return Attempts(Effect.READ, self._loop.time() + self._seconds, self._client.rng)

    def _locate(self) -> Target:
        return self._client.locate_scan(self._request)

    async def _first(self, call: grpc.aio.UnaryStreamCall) -> kv_pb2.ScanResponse:
        """The first page of a stream. Raises NotServing when the server ends the stream before it."""
        response = await self._read(call)
        if response is None:
            raise NotServing("the server ended a scan before its first page", 0.0)
        return response

    async def _read(self, call: grpc.aio.UnaryStreamCall) -> kv_pb2.ScanResponse | None:
        """The next page; None when the node has no more keys of the range."""
        self._client.check_usable()
        cancellation, patience = Cancellation(), self._client.patience(call, self._node, self._locate)
        try:
            with patience:
                async with asyncio.timeout_at(self._attempts.deadline):
                    response = await call.read()
        except TimeoutError:
            raise DeadlineExceeded(f"no page of a scan within {self._seconds:g} s") from None
        except asyncio.CancelledError:
            if cancellation.requested:
                raise
            self._node.check_open()  # how gRPC ends the calls of a channel that is closed
            if not patience.lost:
                raise
            raise Ambiguous(GIVEN_UP) from None
        if response is None:
            raise Ambiguous(UNREADABLE)
        return None if response is grpc.aio.EOF else response


def advance(request: kv_pb2.ScanRequest, response: kv_pb2.ScanResponse) -> bool:
    """Changes the request to ask for the records after `response`; False: the range is read.

    Raises Ambiguous when the answer's resume key does not lead forward within the range: such a scan would not end.
    """
    if not response.HasField("resume_key"):
        return False
    if not _leads_on(request, response.resume_key):
        raise Ambiguous(UNREADABLE)
    if request.total:
        count = len(response.records.keys)
        if count >= request.total:
            return False
        request.total -= count
    if request.reverse:
        request.end = response.resume_key
    else:
        request.start = response.resume_key
    return True


def _leads_on(request: kv_pb2.ScanRequest, resume: bytes) -> bool:
    """Whether `resume` lies after the records that were just read, and within the requested range."""
    if request.reverse:
        return request.start <= resume and (not request.end or resume < request.end)
    return request.start < resume and (not request.end or resume <= request.end)
