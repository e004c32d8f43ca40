"""Who is stopped at a rung."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scmmlab.config import AshaSpec
from scmmlab.execution.sweep.rungs import RungDecision, Rungs

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


@given(st.integers(1, 5), st.integers(2, 3), st.sets(st.integers(1, 30), min_size=1), st.data())
def test_reports_that_decide_nothing_make_no_difference(grace, factor, epochs, data):
    asha, reports = AshaSpec(grace_epochs=grace, reduction_factor=factor), sorted(epochs)
    deciding = Rungs(asha, 30).decisions(reports)
    every, few = Rungs(asha, 30), Rungs(asha, 30)
    for number in range(4):
        for epoch in reports:
            value = data.draw(st.floats(0, 1))
            decision = every.report(number, epoch, value)
            assert decision is (few.report(number, epoch, value) if epoch in deciding else RungDecision.GO_ON)
