"""Expressions name only metrics, labels and values that exist."""

from collections.abc import Callable

import pytest

from dstk_observability.external import ETCD, UP
from dstk_observability.promql import (
    Expr,
    Not,
    absent,
    happened,
    increase,
    now,
    one_of,
    over,
    predicted,
    quantile,
    rate,
    share_above,
    slower,
)
from dstk_telemetry.registry.commit import COMMIT_WRITE, DISK_CAPACITY, DISK_FREE
from dstk_telemetry.registry.engine import REPLACEMENTS
from dstk_telemetry.registry.rpc import EXECUTE_SECONDS, OPERATIONS


@pytest.mark.parametrize(
    "build",
    [
        lambda: rate(OPERATIONS, "5m", outcome="broken"),
        lambda: rate(OPERATIONS, "5m", outcome=one_of("ok", "broken")),
        lambda: rate(OPERATIONS, "5m", outcome=Not("broken")),
        lambda: rate(OPERATIONS, "5m", partition="1"),
        lambda: rate(OPERATIONS, "5 minutes"),
        lambda: rate(OPERATIONS, "5m", job=ETCD),
        lambda: rate(OPERATIONS, "5m", job="nobody"),
        lambda: rate(DISK_FREE, "5m"),
        lambda: increase(COMMIT_WRITE, "5m"),
        lambda: over("max_over_time", OPERATIONS, "5m"),
        lambda: now(COMMIT_WRITE),
        lambda: quantile(0.99, DISK_FREE, "5m"),
        lambda: slower(0.3, COMMIT_WRITE, "5m"),
        lambda: share_above(0.3, EXECUTE_SECONDS, "5m"),
    ],
)
def test_what_does_not_exist_cannot_be_named(build: Callable[[], Expr]) -> None:
    with pytest.raises(AssertionError):
        build()


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (rate(OPERATIONS, "5m", outcome="ok"), 'rate(dstk_operations_total{outcome="ok"}[5m])'),
        (increase(OPERATIONS, "1h").sum_by("job"), "sum by (job) (increase(dstk_operations_total[1h]))"),
        (now(DISK_FREE, "1h"), "dstk_disk_free_bytes offset 1h"),
        ((now(DISK_FREE) / now(DISK_CAPACITY)).below(0.1), "(dstk_disk_free_bytes / dstk_disk_capacity_bytes) < 0.1"),
        (absent(UP, job=ETCD), 'absent(up{job="etcd"})'),
        (predicted(DISK_FREE, "1h", 60), "predict_linear(dstk_disk_free_bytes[1h], 60)"),
        (
            slower(0.512, COMMIT_WRITE, "5m", "instance"),
            "histogram_quantile(0.99, sum by (instance, le) (rate(dstk_commit_write_seconds_bucket[5m]))) > 0.512",
        ),
        (
            now(DISK_FREE).against("<", now(DISK_CAPACITY), "job"),
            "dstk_disk_free_bytes < on (job) group_left () dstk_disk_capacity_bytes",
        ),
    ],
)
def test_the_text_is_promql(expr: Expr, text: str) -> None:
    assert expr.text == text


def test_an_expression_knows_what_it_reads() -> None:
    assert (now(DISK_FREE) / now(DISK_CAPACITY)).families == {DISK_FREE, DISK_CAPACITY}
    assert happened(REPLACEMENTS, "1h").families == {REPLACEMENTS}
