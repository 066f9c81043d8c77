"""Operations of callers that end in a class other than OK, told to the observer with the partition that they were for."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Protocol, TypeVar

import grpc

from dstk.v1 import kv_pb2
from dstk_service.errors import DstkError
from dstk_service.observe import Observer
from dstk_service.outcomes import OutcomeClass, outcome_of
from dstk_service.rpc_events import OperationFailed, OperationKind
from dstk_storage.domain.store import Store

T = TypeVar("T")


class Failures:
    """Tells the observer of failures. Operations that go well cost nothing here."""

    def __init__(self, store: Store, observer: Observer) -> None:
        self._store, self._observer = store, observer

    def note(self, kind: OperationKind, key: bytes | None, error: Exception, *, below: bool = False) -> OutcomeClass:
        """Notes what an operation raised, and returns its class. Errors that are not DSTK's are defects. `below`: the operation
        is for the keys just below `key`; None: for the last keys.
        """
        outcome = outcome_of(error) if isinstance(error, DstkError) else OutcomeClass.SERVER
        if outcome is not OutcomeClass.OK:
            table = self._store.table
            holder = table.holder_below(key) if below else table.holder(key or b"")
            self._observer.observe(OperationFailed(None if holder is None else holder.id, kind, outcome))
        return outcome


class Noting(Protocol):
    """A servicer that has Failures."""

    failures: Failures


def noted(kind: OperationKind) -> Callable[[Callable[..., Awaitable[T]]], Callable[..., Awaitable[T]]]:
    """Decorates the method of a servicer whose call is one operation of this kind."""

    def decorate(method: Callable[..., Awaitable[T]]) -> Callable[..., Awaitable[T]]:
        @wraps(method)
        async def call(self: Noting, request: Any, context: grpc.aio.ServicerContext) -> T:
            try:
                return await method(self, request, context)
            except grpc.aio.BaseError:
                raise  # gRPC's own: the caller has gone
            except Exception as error:
                key, below = _place(request)
                self.failures.note(kind, key, error, below=below)
                raise

        return call

    return decorate


def _place(request: Any) -> tuple[bytes | None, bool]:
    """The key that a call is for, and whether the keys just below it are meant. The request of a stream of pages is for the
    page that failed (scans.py).
    """
    match request:
        case kv_pb2.ScanRequest(reverse=True):
            return request.end or None, True
        case kv_pb2.ScanRequest():
            return request.start, False
        case kv_pb2.BulkInsertRequest():
            return (request.keys[0] if request.keys else b""), False
    key: bytes = request.key
    return key, False
