"""Nothing that trains or chooses depends on a test label, nor on more of the test windows than the protocol says."""

import functools
import gc
import types
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_cases import (
    PROTOCOLS,
    SOURCE,
    TABLES_OF,
    TARGET,
    assert_same,
    cell_request,
    tables_with,
    with_columns,
)

import scmmlab
from scmmlab.evaluation import make_folds
from scmmlab.methods.scmm.spec import ScmmSpec
from scmmlab.methods.scmm.trainer import ScmmTrainer
from scmmlab.training import Reporter, StageOutput, SweepRequest, evaluate
from scmmlab.training import data as training_data
from scmmlab.training.stages import run_cell_stage, run_evaluate_stage, run_sweep_stage

EVERY_PROTOCOL = sorted(PROTOCOLS)


def with_shuffled_labels(given, seed):
    return [replace(part, label=shuffled(part.label, seed)) for part in training_data.sealed_parts(*given)]


@functools.cache
def before_any_change(protocol):
    return finetune(cell_request(protocol=PROTOCOLS[protocol]))


def finetune(request, tables=TABLES_OF):
    (output,) = run_cell_stage([request], tables, Reporter())
    return output


def shuffled(label, seed):
    return np.random.default_rng(seed).permutation(label)


@settings(max_examples=10, deadline=None)
@given(
    protocol=st.sampled_from(["honest", "honest_best", "zero_shot", "uda_inductive", "uda_transductive", "released"]),
    seed=st.integers(0, 2**16),
)
def test_table_whose_test_trials_have_shuffled_labels_gives_the_same_models(protocol, seed):
    # under these protocols no test window of one fold is trained on in another, so the table itself can be changed
    request = cell_request(protocol=PROTOCOLS[protocol])
    label = TARGET.label.copy()
    for fold in make_folds(request.experiment.protocol, SOURCE, TARGET):
        # trial by trial, for a trial has one label
        trials = np.unique(TARGET.trial[fold.test])
        flipped = dict(zip(trials, shuffled(trials % 2, seed), strict=True))
        label[fold.test] = [flipped[trial] for trial in TARGET.trial[fold.test]]
    assert_same(before_any_change(protocol), finetune(request, tables_with(target=with_columns(TARGET, label=label))))


@pytest.mark.parametrize("protocol", ["loso", "loso_best", "released_loso"])
def test_labels_of_subjects_left_out_do_not_reach_their_fold(protocol):
    request = cell_request(protocol=PROTOCOLS[protocol])
    before = before_any_change(protocol)
    for number, fold in enumerate(make_folds(request.experiment.protocol, SOURCE, TARGET)):
        label = TARGET.label.copy()
        label[fold.test] = 1 - label[fold.test]
        after = finetune(request, tables_with(target=with_columns(TARGET, label=label)))
        assert before.record["folds"][number] == after.record["folds"][number]
        name = f"test_logits.{number}"
        np.testing.assert_array_equal(before.tensors[name], after.tensors[name])


@settings(max_examples=12, deadline=None)
@given(
    protocol=st.sampled_from(EVERY_PROTOCOL), fold_number=st.integers(0, 1), factor=st.sampled_from([0.0, -3.0, 1e3])
)
def test_test_windows_change_no_model_and_no_validation_figure(protocol, fold_number, factor):
    request = cell_request(protocol=PROTOCOLS[protocol])
    before = before_any_change(protocol)
    fold = make_folds(request.experiment.protocol, SOURCE, TARGET)[fold_number]
    features = TARGET.features.copy()
    features[fold.test] *= factor
    after = finetune(request, tables_with(target=with_columns(TARGET, features=features)))
    assert before.record["folds"][fold_number] == after.record["folds"][fold_number]
    for name in before.tensors.keys() & {f"validation_logits.{fold_number}"}:
        np.testing.assert_array_equal(before.tensors[name], after.tensors[name])


@pytest.mark.parametrize("protocol", EVERY_PROTOCOL)
def test_scaler_is_fitted_on_the_finetune_part_alone(protocol):
    request = cell_request(protocol=PROTOCOLS[protocol])
    data = training_data.cell_data(request, training_data.Selections(TABLES_OF))
    for fold in data.folds:
        seen = fold.seen_features[fold.fold.finetune]
        np.testing.assert_array_equal(fold.scaler.offset, seen.min(axis=0))
        tested = fold.test_features[fold.fold.test] if request.experiment.protocol.kind == "released" else seen
        np.testing.assert_array_equal(fold.test_scaler.offset, tested.min(axis=0))


@pytest.mark.parametrize("protocol", ["honest", "loso", "zero_shot"])
def test_validation_windows_change_no_model_when_the_last_epoch_counts(protocol):
    request = cell_request(protocol=PROTOCOLS[protocol])
    before = before_any_change(protocol)
    fold = make_folds(request.experiment.protocol, SOURCE, TARGET)[0]
    table = SOURCE if fold.trained_on == "source" else TARGET
    features = table.features.copy()
    features[fold.validation] *= -2.0
    after = finetune(request, tables_with(**{table.manifest.corpus: with_columns(table, features=features)}))
    assert before.record["folds"][0]["model"] == after.record["folds"][0]["model"]
    np.testing.assert_array_equal(before.tensors["test_logits.0"], after.tensors["test_logits.0"])


def test_evaluate_stage_alone_opens_the_labels(monkeypatch):
    opened = []
    original = evaluate.sealed_parts
    monkeypatch.setattr(evaluate, "sealed_parts", lambda *given: opened.extend(found := original(*given)) or found)
    request = cell_request(protocol=PROTOCOLS["released"])
    output = finetune(request)
    probed = SweepRequest("s", cell_request().experiment, 0, request.transfer, request.channels, 2)
    assert isinstance(run_sweep_stage(probed, TABLES_OF, Reporter()), StageOutput)
    assert opened == []
    run_evaluate_stage(request, output, TABLES_OF)
    assert len(opened) == len(output.record["folds"])


def test_no_other_module_speaks_of_sealed_labels():
    package = Path(scmmlab.__file__).parent
    speakers = {path.name for path in package.rglob("*.py") if "sealed_parts" in path.read_text(encoding="utf-8")}
    assert speakers == {"data.py", "evaluate.py"}


def reachable(*things: object) -> Iterator[object]:
    """Whatever can be got at from these, through attributes, containers, closures and the bases of views."""
    seen: dict[int, object] = {}
    waiting = list(things)
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, type | types.ModuleType | types.FunctionType):
            continue
        seen[id(one)] = one
        yield one
        waiting += gc.get_referents(one)
        if isinstance(one, np.ndarray):
            waiting.append(one.base)


@pytest.mark.parametrize("protocol", EVERY_PROTOCOL)
def test_nothing_that_a_trainer_is_handed_leads_to_a_test_label(protocol, monkeypatch):
    handed = []
    kept = ScmmTrainer.finetune_pack
    monkeypatch.setattr(
        ScmmTrainer, "finetune_pack", lambda self, runs, pool: handed.append((runs, pool)) or kept(self, runs, pool)
    )
    request = cell_request(protocol=PROTOCOLS[protocol])
    finetune(request)
    folds = make_folds(request.experiment.protocol, SOURCE, TARGET)
    assert sum(len(runs) for runs, _ in handed) == len(folds)
    for runs, pool in handed:
        for run in runs:
            fold = folds[run.number]
            seen = SOURCE if fold.trained_on == "source" else TARGET
            allowed = [seen.label[fold.finetune], seen.label[fold.validation]]
            arrays = [np.asarray(one) for one in reachable(run, pool) if isinstance(one, np.ndarray | torch.Tensor)]
            labels = [one.ravel() for one in arrays if one.size and set(np.unique(one)) <= {0, 1}]
            assert labels
            for found in labels:
                assert any(np.array_equal(found, known) for known in allowed)


def test_released_protocol_reports_another_epoch_for_other_test_labels_but_the_same_models():
    request = cell_request(
        protocol=PROTOCOLS["released"], finetune={"epochs": 10, "optimizer": {"learning_rate": 0.01}}
    )
    output = finetune(request)
    chosen = set()
    for seed in range(5):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(evaluate, "sealed_parts", lambda *given, seed=seed: with_shuffled_labels(given, seed))
            record = run_evaluate_stage(request, output, TABLES_OF).record
        chosen.add(tuple(fold["epoch"] for fold in record["folds"]))
    assert len(chosen) > 1


def test_every_protocol_of_the_specs_is_tested_here():
    kinds = {ScmmSpec.model_validate({"protocol": protocol}).protocol.kind for protocol in PROTOCOLS.values()}
    assert kinds == {"honest", "loso", "zero_shot", "uda_inductive", "uda_transductive", "released"}
