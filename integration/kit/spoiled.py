"""Attempts that a busy machine can spoil: one that holds is enough, and none does where the code is wrong."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from dstk_service.errors import DstkError

T = TypeVar("T")


async def holds_once(attempt: Callable[[T], Awaitable[None]], trials: Iterable[T]) -> None:
    """Makes an attempt with each trial in its order until one raises no AssertionError. Raises an ExceptionGroup if all do.

    Only for what a pause of the whole machine changes legitimately: a figure in seconds, or what a process decides after
    seconds of silence.
    """
    failures: list[AssertionError] = []
    for trial in trials:
        try:
            await attempt(trial)
        except AssertionError as failure:
            failures.append(failure)
        else:
            return
    raise ExceptionGroup("no attempt holds", failures)


async def sees(kind: type[Exception], call: Awaitable[object], saying: str = "") -> None:
    """Awaits a call that must raise such an error with such a text. Every other outcome is an AssertionError."""
    try:
        outcome = await call
    except DstkError as error:
        if not isinstance(error, kind) or saying not in str(error):
            raise AssertionError(repr(error)) from error
    else:
        raise AssertionError(f"no {kind.__name__}, but {outcome!r}")
