"""Trace contexts: both forms, what is refused, and the current one."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstk_service import trace
from dstk_service.testing import EverySampler
from dstk_service.trace import Following, Span, TraceContext

TEXT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
"""The example of the W3C recommendation."""

CONTEXT = TraceContext(bytes.fromhex(TEXT[3:35]), bytes.fromhex(TEXT[36:52]), sampled=True)

contexts = st.builds(
    TraceContext,
    st.binary(min_size=16, max_size=16).filter(any),
    st.binary(min_size=8, max_size=8).filter(any),
    st.booleans(),
)


def test_the_text_is_that_of_the_recommendation() -> None:
    assert CONTEXT.traceparent == TEXT
    assert trace.parsed(TEXT) == CONTEXT


@given(contexts)
def test_both_forms_keep_a_context(context: TraceContext) -> None:
    assert trace.parsed(context.traceparent) == context
    assert trace.decoded(context.encoded()) == context
    assert len(context.encoded()) == trace.CONTEXT_BYTES


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT.upper(),
        TEXT[:-1],
        TEXT + "0",
        TEXT + "-more",
        "ff" + TEXT[2:],
        "00-" + "0" * 32 + TEXT[35:],
        TEXT[:36] + "0" * 16 + "-01",
        TEXT.replace("4", "g"),
        " " + TEXT,
    ],
)
def test_other_texts_are_ignored(text: str) -> None:
    assert trace.parsed(text) is None


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    assert trace.parsed("01" + TEXT[2:] + "-what-the-future-brings") == CONTEXT
    assert trace.parsed(TEXT[:-2] + "ff") == CONTEXT
    assert trace.parsed(TEXT[:-2] + "02") == CONTEXT._replace(sampled=False)


@given(st.binary(max_size=40).filter(lambda data: len(data) != trace.CONTEXT_BYTES))
def test_bytes_of_another_length_are_ignored(data: bytes) -> None:
    assert trace.decoded(data) is None


def test_ids_of_zeros_are_ignored() -> None:
    assert trace.decoded(bytes(25)) is None
    assert trace.decoded(CONTEXT.trace_id + bytes(9)) is None


def test_derived_ids_differ_by_what_they_name() -> None:
    assert trace.derived_id(8, "n1", 5) == trace.derived_id(8, "n1", 5)
    assert len({trace.derived_id(8, *parts) for parts in [("n1", 5), ("n1", 6), ("n", 15), ("n15",)]}) == 4


def test_without_a_context_and_a_sampler_nothing_is_traced() -> None:
    assert trace.begin() is None
    assert trace.outgoing() == ()
    assert trace.current_trace() is None


def test_a_sampler_begins_a_trace() -> None:
    span = trace.begin(EverySampler(), 5.0)
    assert span is not None
    assert (span.parent, span.begun, span.context.sampled) == (None, 5.0, True)
    assert trace.begin(EverySampler()) != span


def test_a_context_is_followed_whatever_the_sampler_says() -> None:
    with trace.within(CONTEXT):
        span = trace.begin(begun=5.0)
        assert trace.outgoing() == (("traceparent", TEXT),)
    assert span == Span(CONTEXT.child(span.context.span_id), CONTEXT.span_id, 5.0)
    assert trace.current_trace() is None


def test_metadata_brings_a_context() -> None:
    assert trace.incoming({"traceparent": TEXT}) == CONTEXT
    assert trace.incoming({"traceparent": TEXT.encode()}) is None
    assert trace.incoming({}) is None


def test_so_many_contexts_are_followed_in_a_second() -> None:
    now = [5.0]
    following = Following(lambda: now[0], most=10)
    assert sum(following.admits(CONTEXT) for _ in range(100)) == 10
    assert sum(following.admits(CONTEXT._replace(sampled=False)) for _ in range(100)) == 10
    now[0] = 6.0
    assert following.admits(CONTEXT)


async def test_tasks_inherit_the_context_and_do_not_change_that_of_others() -> None:
    async def child() -> TraceContext | None:
        inherited = trace.current_trace()
        with trace.within(CONTEXT.child(b"12345678")):
            await asyncio.sleep(0)
        return inherited

    with trace.within(CONTEXT), trace.within(None):
        assert await asyncio.gather(child(), child()) == [CONTEXT, CONTEXT]
        assert trace.current_trace() == CONTEXT
