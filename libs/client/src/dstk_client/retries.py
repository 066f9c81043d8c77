"""What may be tried again, and when. Pure: an error in, a decision out.

    refusals that say nothing was done (NotOwner, Overloaded, NotServing, never sent)   again, whatever the operation
    the outcome is not known                                                            reads and writes with an etag again
    everything else                                                                     the caller's business

A conditional write that is repeated after an unknown outcome may meet its own first try: a mismatch is then as ambiguous as
the first outcome was, and so is any other refusal that ends the tries. All surface as WriteAmbiguous. That holds for conditions
on an etag alone. A key that had no record may have none again: the first try was applied, somebody has deleted its record, and
a second try would be applied too.
"""

import random
from dataclasses import dataclass
from enum import Enum, auto

import grpc

from dstk.v1 import records_pb2
from dstk_client.operation import Ambiguous, Unsent
from dstk_service import errors
from dstk_service.status import from_rpc_error, is_ours

FIRST_PAUSE = 0.01
LONGEST_PAUSE = 0.5

AT_ONCE_PAUSE, SOON_PAUSE = 0.02, 0.04
AT_ONCE_TRIES, SOON_TRIES = 8, 60
"""A partition that is handed over is served again within some 30 ms, and one whose primary is lost within a second. So it is
asked for at short intervals for 0.1 s, and at longer ones for two seconds: intervals that went on doubling would be longer in
the end than what they wait for.
"""

LEAST_SECONDS = 0.05
"""What a try needs to be answered. One that begins with less time left would only turn a refusal, of which the caller can be
certain, into a deadline, of which nobody can.
"""

_BY_THE_TRANSPORT = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
"""The codes that gRPC makes up when a connection or a stream breaks, by how it broke; nobody is to go by its text."""


def of_call(error: grpc.aio.AioRpcError) -> Exception:
    """What a failed call says of its outcome. The connection stood when it began, so a failure of the transport leaves open
    whether it arrived.
    """
    if error.code() in _BY_THE_TRANSPORT and not is_ours(error):
        return Ambiguous(f"{error.code().name} {error.details() or ''}".strip())
    return from_rpc_error(error)


class Effect(Enum):
    """What doing an operation twice would change."""

    READ = auto()
    """Nothing."""
    CONDITIONAL = auto()
    """Nothing: its precondition fails the second time, for no record is given an etag again."""
    BLIND = auto()
    """It could undo what others wrote in between."""

    @staticmethod
    def of_write(precondition: int) -> "Effect":
        """By the precondition's number on the wire."""
        return Effect.CONDITIONAL if precondition == records_pb2.PRECONDITION_IF_ETAG else Effect.BLIND


@dataclass(slots=True)
class Attempts:
    """The tries of one operation so far."""

    effect: Effect
    deadline: float
    """By when the last try must be answered, on the loop's clock."""
    rng: random.Random
    count: int = 0
    ambiguous: bool = False

    def pause_after(self, error: Exception, now: float) -> float:
        """Seconds to wait before the next try. Raises what the caller must see when there is none."""
        if isinstance(error, Ambiguous | errors.WriteAmbiguous):
            self.ambiguous = self.effect is not Effect.READ
            if self.effect is Effect.BLIND:
                raise _ambiguous(error) from error
        elif not isinstance(error, Unsent | errors.NotOwner | errors.Overloaded | errors.NotServing):
            self._surface(error)
        pause = self._backoff(error)
        if now + pause + LEAST_SECONDS >= self.deadline:
            raise self._last_word(error) from error
        return pause

    def _backoff(self, error: Exception) -> float:
        self.count += 1
        if isinstance(error, errors.NotOwner) and self.count == 1:
            return 0.0
        longest: float = min(self._longest(error), FIRST_PAUSE * 2 ** min(self.count, 10))
        asked: float = getattr(error, "retry_after", 0.0)
        return max(asked, longest) * self.rng.uniform(0.5, 1.0)

    def _longest(self, error: Exception) -> float:
        if isinstance(error, errors.Overloaded) or self.count > SOON_TRIES:
            return LONGEST_PAUSE
        return AT_ONCE_PAUSE if self.count <= AT_ONCE_TRIES else SOON_PAUSE

    def _surface(self, error: Exception) -> None:
        """No refusal of the last try, a full disk for one, says anything of an earlier one."""
        if self.ambiguous:
            raise errors.WriteAmbiguous(f"an earlier try may have been applied; the last one met: {error}") from error
        raise error

    def _last_word(self, error: Exception) -> Exception:
        """What to say when time is up: that nothing was done, if that is sure."""
        if self.ambiguous:
            return _ambiguous(error)
        if isinstance(error, errors.Overloaded | errors.NotServing):
            return error
        return errors.NotServing(f"{error}; gave up after {self.count} tries", SOON_PAUSE)


def _ambiguous(error: Exception) -> errors.WriteAmbiguous:
    return error if isinstance(error, errors.WriteAmbiguous) else errors.WriteAmbiguous(str(error))
