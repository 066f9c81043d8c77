"""Decides what may be retried, and when. Pure: an error in, a decision out.

    refusals without any effect (NotOwner, Overloaded, NotServing, never sent)   every operation is retried
    unknown outcome                                                              reads and writes with an etag are retried
    all other errors                                                             the caller gets the error

A conditional write that is retried after an unknown outcome may meet its own first attempt: a mismatch is then as ambiguous as
the first outcome was, and so is any other refusal that ends the retries. All of these become WriteAmbiguous. Only conditions on
an etag are retried. With `if_absent` a retry could apply the write twice: the first attempt was applied, another client deleted
the record, and the key has no record again.
"""

import random
from dataclasses import dataclass
from enum import Enum, auto

import grpc

from dstk.v1 import records_pb2
from dstk_client.operation import Ambiguous, Unsent
from dstk_service import errors
from dstk_service.backoff import Backoff
from dstk_service.status import from_rpc_error, is_ours
from dstk_service.trace import Span

AT_ONCE_PAUSE, SOON_PAUSE = 0.02, 0.04
AT_ONCE_TRIES, SOON_TRIES = 8, 60
LATER = Backoff(first=0.02, longest=0.5)
"""A transferred partition is served again within about 30 ms, and one that has lost its primary within a second. So retries
come at short intervals for 0.1 s, then at longer ones for two seconds, and only then back off. Intervals that double from the
start would in the end be longer than the outage. An overloaded server is left alone from the first refusal on.
"""

LEAST_SECONDS = 0.05
"""The time that an attempt needs. An attempt with less time left would only turn a refusal, which is certain, into a deadline,
which is ambiguous.
"""

_BY_THE_TRANSPORT = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
"""The codes that gRPC itself reports when a connection or a stream breaks. Its text is not stable; never match on it."""


def of_call(error: grpc.aio.AioRpcError) -> Exception:
    """The error of a failed call: Ambiguous for a failure of the transport, since the call may have arrived."""
    if error.code() in _BY_THE_TRANSPORT and not is_ours(error):
        return Ambiguous(f"{error.code().name} {error.details() or ''}".strip())
    return from_rpc_error(error)


def reason_of(error: Exception) -> str:
    """The reason of a failed attempt, for observers."""
    return error.reason if isinstance(error, errors.DstkError) else type(error).__name__.upper()


class Effect(Enum):
    """What a second execution of an operation would change."""

    READ = auto()
    """Nothing."""
    CONDITIONAL = auto()
    """Nothing: its precondition fails the second time, because an etag is never used twice."""
    BLIND = auto()
    """It could overwrite a write of another client in between."""

    @staticmethod
    def of_write(precondition: int) -> "Effect":
        """The effect of a write with this precondition, a number of the proto enum."""
        return Effect.CONDITIONAL if precondition == records_pb2.PRECONDITION_IF_ETAG else Effect.BLIND


@dataclass(slots=True)
class Attempts:
    """The attempts of one operation so far."""

    effect: Effect
    deadline: float
    """When the last attempt must be answered, on the loop's clock."""
    rng: random.Random
    count: int = 0
    """Attempts that have failed."""
    ambiguous: bool = False
    method: str = ""
    """Of a call of its own."""
    span: Span | None = None
    """Of a traced call of its own."""

    def pause_after(self, error: Exception, now: float) -> float:
        """Seconds to wait before the next attempt. Raises the caller's error when there is none."""
        self.count += 1
        if isinstance(error, Ambiguous | errors.WriteAmbiguous):
            self.ambiguous = self.effect is not Effect.READ
            if self.effect is Effect.BLIND:
                raise _ambiguous(error) from error
        elif not isinstance(error, Unsent | errors.NotOwner | errors.Overloaded | errors.NotServing):
            self._surface(error)
        pause = self._pause(error)
        if now + pause + LEAST_SECONDS >= self.deadline:
            raise self._last_word(error) from error
        return pause

    def _pause(self, error: Exception) -> float:
        if isinstance(error, errors.NotOwner) and self.count == 1:
            return 0.0
        asked: float = getattr(error, "retry_after", 0.0)
        return max(asked, self._interval(error)) * self.rng.uniform(0.5, 1.0)

    def _interval(self, error: Exception) -> float:
        if isinstance(error, errors.Overloaded) or self.count > SOON_TRIES:
            return LATER.delay(self.count)
        return AT_ONCE_PAUSE if self.count <= AT_ONCE_TRIES else SOON_PAUSE

    def _surface(self, error: Exception) -> None:
        """Raises WriteAmbiguous if an earlier attempt may have been applied: the last refusal says nothing about it."""
        if self.ambiguous:
            raise errors.WriteAmbiguous(
                f"an earlier attempt may have been applied; the last failed: {error}"
            ) from error
        raise error

    def _last_word(self, error: Exception) -> Exception:
        """The error when time is up: WriteAmbiguous if an attempt may have been applied, else NotServing."""
        if self.ambiguous:
            return _ambiguous(error)
        if isinstance(error, errors.Overloaded | errors.NotServing):
            return error
        return errors.NotServing(f"{error}; gave up after {self.count} attempts", SOON_PAUSE)


def _ambiguous(error: Exception) -> errors.WriteAmbiguous:
    return error if isinstance(error, errors.WriteAmbiguous) else errors.WriteAmbiguous(str(error))
