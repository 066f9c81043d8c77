"""What a caller may see, and how it is judged."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from dstk_client import Client
from dstk_service.errors import DeadlineExceeded, DstkError, NotServing, WriteAmbiguous
from rpc.operations import READS, Operation
from rpc.paths import THICK


@dataclass(frozen=True, slots=True)
class Sight:
    """The errors one of which the caller sees; none: it succeeds. `reads`: what a read may see beside them. `far`: what one may
    see through a router beside them, whose own word may come too late for a deadline of its caller.
    """

    errors: tuple[type[DstkError], ...] = ()
    reads: tuple[type[DstkError], ...] = ()
    far: tuple[type[DstkError], ...] = ()

    async def judge(self, operation: Operation, path: str, client: Client) -> None:
        """Does it, and raises AssertionError for what was not to be seen."""
        may = self.errors + (self.reads if operation in READS else ()) + (self.far if path != THICK else ())
        try:
            outcome = await operation.call(client)
        except DstkError as error:
            assert isinstance(error, may), f"wrong error: {error!r}"  # noqa: PT017 - or there is none
        else:
            assert not may, f"no error, but {outcome!r}"
            assert operation.check(outcome), f"wrong outcome: {outcome!r}"


SUCCESS = Sight()
AMBIGUOUS = Sight((WriteAmbiguous,), far=(DeadlineExceeded,))
"""It may have been done. Two errors say so."""
IN_VAIN = Sight((NotServing,), reads=(DeadlineExceeded,), far=(DeadlineExceeded,))
"""Nothing was done, and the caller can be sure of that. A read need not be: it has no effects."""
TOO_LATE = Sight((DeadlineExceeded,))


LONGEST_SECONDS = 120
"""Whoever still waits then has been forgotten."""


async def all_at_once(judge: Callable[[Operation], Awaitable[None]], operations: Sequence[Operation]) -> None:
    """Judges operations next to each other, since what they take is waiting; names those that fail."""
    async with asyncio.timeout(LONGEST_SECONDS):
        found = await asyncio.gather(*map(judge, operations), return_exceptions=True)
    wrong = {each.name: problem for each, problem in zip(operations, found, strict=True) if problem is not None}
    for problem in wrong.values():
        if not isinstance(problem, Exception):
            raise problem  # the test itself is ended
    assert not wrong, wrong
