"""What the metrics service costs a node: the arithmetic, and one short round on a real node."""

import asyncio
from pathlib import Path

import pytest

from dstk_bench.metrics_cost import CASES, Cost, CostPlan, Turn, cpu_us, measure
from dstk_bench.render import metrics_cost_table


def test_throughput_is_the_median_of_the_rounds_and_processor_time_is_of_an_operation() -> None:
    followed = [Turn(90, 1.0, 0.1), Turn(200, 2.0, 0.2), Turn(50, 1.0, 0.3)]
    alone = [Turn(100, 1.0, 0.1), Turn(100, 1.0, 0.1), Turn(100, 1.0, 0.1)]
    cost = Cost("get", followed, alone)
    assert cost.throughput == pytest.approx(0.9)
    assert cpu_us(alone) == pytest.approx(1000)
    (row,) = metrics_cost_table([cost]).rows
    assert row[:3] == ("get", "3", "0.900")


def test_a_case_without_operations_has_no_ratio() -> None:
    idle = [Turn(0, 1.0, 0.0)]
    assert cpu_us(idle) == 0
    (row,) = metrics_cost_table([Cost("put", [Turn(1, 1.0, 0.0)], [Turn(1, 1.0, 0.0)])]).rows
    assert row[-1] == "-"


@pytest.mark.slow
def test_a_round_measures_each_case_with_the_service_and_without(tmp_path: Path) -> None:
    steps: list[str] = []
    costs = asyncio.run(measure(CostPlan(1, 0.2, watched=True, directory=tmp_path), steps.append))
    assert len(costs) == len(CASES)
    for cost in costs:
        assert len(cost.followed) == len(cost.alone) == 1
        assert all(turn.operations and turn.cpu_seconds >= 0 for turn in (*cost.followed, *cost.alone))
    assert {"round 1 of 1, with the metrics service", "round 1 of 1, without the metrics service"} <= set(steps)
    assert not list(tmp_path.iterdir())
