import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import RidgeClassifier
from sklearn.preprocessing import StandardScaler
from training_cases import (
    CHANNELS,
    PROTOCOLS,
    SOURCE,
    TABLES_OF,
    TARGET,
    TRANSFER,
    Interruption,
    MemoryReporter,
    assert_same,
    experiment,
    tables_with,
    with_columns,
)

from scmmlab.evaluation import make_folds
from scmmlab.training import Reporter, StageFailure, StageOutput, SweepRequest
from scmmlab.training.probe import RIDGE, ridge_predictions
from scmmlab.training.stages import run_sweep_stage


def sweep_request(report_every=2, **changes):
    return SweepRequest("s", experiment(**changes), 0, TRANSFER, CHANNELS, report_every)


def run(request, tables=TABLES_OF, reporter=None, **options):
    return run_sweep_stage(request, tables, reporter or Reporter(), **options)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16), classes=st.integers(2, 4))
def test_classifier_is_scikit_learns_ridge_with_balanced_classes(seed, classes):
    rng = np.random.default_rng(seed)
    label = np.concatenate([np.arange(classes), rng.integers(0, classes, 40)])
    x, new_x = rng.normal(size=(len(label), 12)) + 0.3 * label[:, None], rng.normal(size=(30, 12)) + 0.5
    x[:, 3] = 2.0
    scaler = StandardScaler().fit(x)
    weight = 1 / (classes * np.bincount(label)[label])
    theirs = RidgeClassifier(alpha=RIDGE, solver="cholesky").fit(scaler.transform(x), label, sample_weight=weight)
    ours = ridge_predictions(torch.from_numpy(x), torch.from_numpy(label), classes, torch.from_numpy(new_x))
    # scikit-learn's two-class targets are one column of ±1, the same decision
    assert (ours.numpy() == theirs.predict(scaler.transform(new_x))).all()


def test_probe_comes_at_its_epochs_and_at_the_last():
    reporter = MemoryReporter()
    output = run(sweep_request(3, pretrain={"epochs": 7}), reporter=reporter)
    assert [event[:4] for event in reporter.events] == [("s", "probe", epoch, 7) for epoch in (3, 6, 7)]
    assert output.record["probes"] == [{"epoch": e, "probe": m["probe"]} for _, _, e, _, m in reporter.events]
    assert output.record["probe"] == output.record["probes"][-1]["probe"]
    assert output.record["state"] == "finished"
    assert all(0 <= row["probe"] <= 1 for row in output.record["probes"])


def test_setting_that_is_stopped_says_so():
    output = run(sweep_request(1), reporter=MemoryReporter(stop=lambda key, epoch: epoch == 2))
    assert (output.record["state"], output.record["epochs"], len(output.record["probes"])) == ("stopped", 2, 2)


@settings(max_examples=4, deadline=None)
@given(interrupt_at=st.integers(0, 3), every=st.integers(1, 3))
def test_interrupted_sweep_goes_on_to_the_same_probes(interrupt_at, every):
    request = sweep_request(1)
    reporter = MemoryReporter(interrupt_at)
    with pytest.raises(Interruption):
        run(request, reporter=reporter, checkpoint_every=every)
    assert_same(run(request), run(request, reporter=reporter, checkpoint_every=every))


@pytest.mark.parametrize("protocol", ["honest", "zero_shot"])
def test_no_test_window_and_no_test_label_reaches_the_probe(protocol):
    request = sweep_request(protocol=PROTOCOLS[protocol])
    tested = np.concatenate([fold.test for fold in make_folds(request.experiment.protocol, SOURCE, TARGET)])
    features, label = TARGET.features.copy(), TARGET.label.copy()
    features[tested] = 1e6
    label[tested] = 1 - label[tested]
    changed = with_columns(TARGET, features=features, label=label)
    before, after = run(request), run(request, tables_with(target=changed))
    assert isinstance(before, StageOutput), before
    assert before.record["probes"] == after.record["probes"]


def test_protocol_without_a_validation_part_is_refused():
    outcome = run(sweep_request(protocol=PROTOCOLS["released"]))
    assert isinstance(outcome, StageFailure)
    assert "'protocol.kind' is 'released', which has none" in outcome.error


def test_setting_that_diverges_is_a_failure():
    outcome = run(sweep_request(contrast={"temperature": 1e-38}))
    assert isinstance(outcome, StageFailure)
    assert (outcome.kind, "diverged in epoch 1" in outcome.error) == ("sweep", True)


def test_setting_without_pretraining_is_probed_once():
    reporter = MemoryReporter()
    output = run(sweep_request(pretrain={"enabled": False}), reporter=reporter)
    assert len(reporter.events) == 1
    assert output.record["probe"] == reporter.events[0][-1]["probe"]


def test_probe_sees_more_in_classes_that_are_further_apart():
    apart = with_columns(TARGET, features=TARGET.features + 5 * TARGET.label[:, None, None].astype(np.float32))
    assert run(sweep_request(), tables_with(target=apart)).record["probe"] == 1.0
    assert run(sweep_request()).record["probe"] < 1.0
