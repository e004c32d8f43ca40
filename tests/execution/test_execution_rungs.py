"""Who is stopped at a rung."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scmmlab.config import AshaSpec
from scmmlab.execution.rungs import RungDecision, Rungs

ASHA = AshaSpec(grace_epochs=2, reduction_factor=2)


def test_nobody_is_stopped_before_the_grace_or_without_asha():
    rungs = Rungs(ASHA, 8)
    assert rungs.report(0, 2, 0.9) is RungDecision.GO_ON
    assert rungs.report(1, 1, 0.1) is RungDecision.GO_ON
    assert Rungs(None, 8).report(1, 8, 0.0) is RungDecision.GO_ON


def test_setting_below_the_quantile_of_those_before_it_is_stopped():
    rungs = Rungs(ASHA, 8)
    assert rungs.report(0, 2, 0.4) is RungDecision.GO_ON
    assert rungs.report(1, 2, 0.8) is RungDecision.GO_ON
    assert rungs.report(2, 2, 0.5) is RungDecision.STOP  # the median of 0.4 and 0.8 is 0.6
    assert rungs.report(3, 2, 0.7) is RungDecision.GO_ON


def test_each_rung_is_passed_once():
    rungs = Rungs(ASHA, 8)
    rungs.report(0, 2, 0.9)
    assert rungs.report(1, 3, 0.1) is RungDecision.STOP
    assert rungs.report(1, 3, 0.1) is RungDecision.GO_ON


reports = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 8), st.floats(0, 1)), max_size=40)


@given(reports)
def test_restored_rungs_decide_as_those_that_were_there(stream):
    whole, restored = Rungs(ASHA, 8), Rungs(ASHA, 8)
    middle = len(stream) // 2
    for number, epoch, value in stream[:middle]:
        whole.report(number, epoch, value)
        restored.restore(number, [(epoch, value)])
    for number, epoch, value in stream[middle:]:
        assert restored.report(number, epoch, value) is whole.report(number, epoch, value)
