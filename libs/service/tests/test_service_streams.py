"""A connection may have so many streams open, and no more; others are not counted with it."""

from contextlib import ExitStack

import pytest

from dstk_service.errors import Overloaded
from dstk_service.streams import OpenStreams


def test_one_stream_too_many_is_refused_until_another_one_has_ended() -> None:
    streams = OpenStreams(2)
    with ExitStack() as stack:
        stack.enter_context(streams.one("a"))
        with streams.one("a"), pytest.raises(Overloaded, match="2 streams of this connection"), streams.one("a"):
            pass
        with streams.one("a"), streams.one("b"):
            pass
    assert not streams._open, "connections that have ended are forgotten"


def test_a_stream_that_fails_has_ended_too() -> None:
    streams = OpenStreams(1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), streams.one("a"):
            raise ZeroDivisionError
