from __future__ import annotations

import pytest

from orderctl.errors import OrderctlError
from orderctl.pipeline.tuning import Tuner
from support.pipeline import PipelineUnderTest


def tuner(pipeline: PipelineUnderTest, function: str) -> Tuner:
    return Tuner(pipeline, function, settled_seconds=1)


def memory(pipeline: PipelineUnderTest, function: str) -> int:
    functions = pipeline.session.client("lambda")
    return functions.get_function_configuration(FunctionName=function)["MemorySize"]


@pytest.mark.long
def test_tries_a_memory_size_on_real_orders_and_puts_it_back(pipeline: PipelineUnderTest) -> None:
    before = memory(pipeline, "order-tracker")
    tried = tuner(pipeline, "order-tracker")
    with tried.restored():
        trial = tried.trial(640, 3)
        assert memory(pipeline, "order-tracker") == 640
    assert memory(pipeline, "order-tracker") == before
    assert 0 < trial.invocations <= 6, "each order has two outcomes"
    assert 0 < trial.median_ms <= trial.slowest_ms
    assert trial.dollars_per_million > 0


def test_says_so_when_there_is_no_such_function(pipeline: PipelineUnderTest) -> None:
    tried = tuner(pipeline, "nobody")
    with pytest.raises(OrderctlError, match="no function nobody"), tried.restored():
        pass
