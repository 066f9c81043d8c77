"""Spans: what the registry allows, which calls begin a trace, and which spans are kept."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from dstk_service.trace import Span, TraceContext
from dstk_telemetry.registry import spans
from dstk_telemetry.registry.span_table import span_table
from dstk_telemetry.registry.spans import SPANS, SpanKind, SpanType
from dstk_telemetry.tracing import recorder as recording
from dstk_telemetry.tracing.finished import FinishedSpan
from dstk_telemetry.tracing.recorder import SpanRecorder
from dstk_telemetry.tracing.sampler import RatioSampler

SAMPLED = Span(TraceContext(b"t" * 16, b"s" * 8, sampled=True), None, 5.0)
UNSAMPLED = SAMPLED._replace(context=SAMPLED.context._replace(sampled=False))


class Kept:
    """The spans that a recorder keeps, on a clock that the test moves."""

    def __init__(self, most: int = 1000) -> None:
        self.now = 100.0
        self.spans: list[FinishedSpan] = []
        self.recorder = SpanRecorder(self.spans.append, 1.0, lambda: self.now, most)

    def record(self, span: Span | None, seconds: float = 0.1, *, is_error: bool = False) -> None:
        self.recorder.record(spans.SERVER_CALL, span, seconds, {}, is_error=is_error)

    @property
    def ids(self) -> Sequence[bytes]:
        return [each.span.context.span_id for each in self.spans]


def of_trace(trace: bytes, span: bytes) -> Span:
    return Span(TraceContext(trace * 16, span * 8, sampled=False), b"p" * 8, 5.0)


def test_names_of_spans_and_of_attributes_are_told_apart() -> None:
    attributes = {each for span in SPANS.values() for each in span.attributes}
    assert len({each.name for each in attributes}) == len(attributes)
    assert len(SPANS) == 15


def test_no_attribute_shows_what_users_wrote() -> None:
    names = [each.name for span in SPANS.values() for each in span.attributes]
    assert not [name for name in names if "key" in name or "value" in name or "client.address" in name]


@pytest.mark.parametrize(("name", "text"), [("storage.batch", "It is."), ("dstk.batch", "it is")])
def test_a_span_needs_a_name_and_a_sentence(name: str, text: str) -> None:
    with pytest.raises(AssertionError):
        SpanType(name, SpanKind.INTERNAL, text, ())


@pytest.mark.parametrize(("ratio", "picked"), [(0.0, 0), (1.0, 20_000), (0.1, 2000)])
def test_a_ratio_of_calls_begins_a_trace(ratio: float, picked: int) -> None:
    sampler = RatioSampler(ratio, random.Random(7), lambda: 0.0, most=10**9)
    found = sum(sampler.pick() is not None for _ in range(20_000))
    assert found == pytest.approx(picked, rel=0.1)


def test_of_the_calls_of_a_message_each_is_as_likely() -> None:
    sampler = RatioSampler(0.001, random.Random(7), lambda: 0.0, most=10**9)
    places = [at for _ in range(50_000) if (at := sampler.pick(10)) is not None]
    assert len(places) == pytest.approx(500, rel=0.15)
    assert {*places} == {*range(10)}


def test_the_sampler_begins_so_many_traces_a_second() -> None:
    now = [0.0]
    sampler = RatioSampler(1.0, monotonic=lambda: now[0], most=50)
    assert sum(sampler.pick() is not None for _ in range(1000)) == 50
    now[0] = 1.0
    assert sum(sampler.pick() is not None for _ in range(1000)) == 50


def test_sampled_spans_are_kept() -> None:
    kept = Kept()
    kept.record(SAMPLED)
    assert [each.span for each in kept.spans] == [SAMPLED]


def test_a_span_links_to_others_than_its_parent() -> None:
    kept = Kept()
    span, other = Span.under(SAMPLED.context, 5.0), UNSAMPLED.context._replace(span_id=b"o" * 8)
    kept.recorder.record(spans.BATCH, span, 0.1, {}, [SAMPLED.context, other])
    assert kept.spans[0].links == [other]


def test_untraced_work_is_kept_if_it_is_notable() -> None:
    kept = Kept()
    kept.record(None)
    assert not kept.spans
    kept.record(None, 1.0)
    kept.record(None, is_error=True)
    slow, failed = kept.spans
    assert (slow.span.parent, slow.span.begun, slow.span.context.sampled) == (None, 99.0, True)
    assert failed.is_error
    assert slow.span.context.trace_id != failed.span.context.trace_id


def test_what_nobody_waits_for_is_never_slow() -> None:
    kept = Kept()
    kept.recorder.record(spans.CLIENT_SCAN, None, 1000.0, {})
    assert not kept.spans


def test_an_error_brings_the_other_spans_of_its_unsampled_trace_with_it() -> None:
    kept = Kept()
    kept.record(of_trace(b"a", b"1"))
    kept.record(of_trace(b"b", b"2"))
    assert not kept.spans
    kept.record(of_trace(b"a", b"3"), is_error=True)
    kept.record(of_trace(b"a", b"4"))
    assert kept.ids == [b"1" * 8, b"3" * 8, b"4" * 8]


def test_spans_of_an_unsampled_trace_wait_for_a_while_only() -> None:
    kept = Kept()
    kept.record(of_trace(b"a", b"1"))
    kept.now += recording.WAIT_SECONDS + 1
    kept.record(of_trace(b"b", b"2"))
    kept.record(of_trace(b"a", b"3"), is_error=True)
    assert kept.ids == [b"3" * 8]


def test_what_waits_is_bounded() -> None:
    kept = Kept()
    for number in range(10_000):
        kept.record(Span(TraceContext(number.to_bytes(16), b"s" * 8, sampled=False), None, 5.0))
    for _ in range(1000):
        kept.record(UNSAMPLED)
    waiting = kept.recorder._waiting
    assert len(waiting) == recording.MOST_WAITING
    assert max(len(each.spans) for each in waiting.values()) == recording.MOST_SPANS_OF_ONE
    for number in range(10_000):
        kept.record(Span(TraceContext(number.to_bytes(16), b"s" * 8, sampled=False), None, 5.0), is_error=True)
    assert len(kept.recorder._kept) == recording.MOST_KEPT


def test_an_outage_does_not_become_one_of_the_processor() -> None:
    kept = Kept(most=100)
    for _ in range(5000):
        kept.record(None, is_error=True)
    assert len(kept.spans) == 100
    assert kept.recorder.dropped == 4900
    kept.now += 1
    kept.record(SAMPLED)
    assert len(kept.spans) == 101


def test_the_page_has_the_table_of_the_registry() -> None:
    page = (Path(__file__).parents[3] / "docs" / "tracing.md").read_text()
    assert page.endswith(f"## All spans\n{span_table()}"), "python -m dstk_telemetry.registry.span_table prints it"
