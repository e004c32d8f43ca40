import functools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_cases import (
    PROTOCOLS,
    TABLES_OF,
    TARGET,
    Interruption,
    MemoryReporter,
    assert_same,
    cell_request,
    cell_run_of,
    tables_with,
    with_columns,
)

from scmmlab.evaluation import scores
from scmmlab.methods.scmm.finetune_pack import FinetunePack
from scmmlab.replica.windows import WindowPool
from scmmlab.training import Reporter, StageFailure, StageOutput
from scmmlab.training.finetune_stage import pack_folds
from scmmlab.training.predictions import probabilities
from scmmlab.training.stages import run_cell_stage

pytestmark = pytest.mark.slow


def run(*requests, tables=TABLES_OF, reporter=None, **options):
    return run_cell_stage(list(requests), tables, reporter or Reporter(), **options)


def pack_of(request, dtype=torch.float32):
    cell = cell_run_of(request)
    folds = cell.data.folds
    pool = WindowPool([array for fold in folds for array in (fold.seen_features, fold.test_features)], "cpu", dtype)
    return FinetunePack(cell.runs, pool)


UNVALIDATED = {"kind": "released", "epoch_selection": "last", "zero_grad": True, "reload_best_training": False}


def several_cells():
    return [
        cell_request("honest"),
        cell_request("seed", seed=1),
        cell_request("best", protocol=PROTOCOLS["honest_best"]),
        cell_request("loso", protocol=PROTOCOLS["loso"]),
        cell_request("zero_shot", protocol=PROTOCOLS["zero_shot"]),
        cell_request("frozen", finetune={"freeze_encoder": True}),
        cell_request("from_scratch", pretrain={"enabled": False}),
        cell_request("rate", finetune={"optimizer": {"learning_rate": 5e-3}}),
        cell_request("long", finetune={"epochs": 6}),
        # the mode of "honest", but no validation part
        cell_request("unvalidated", protocol=UNVALIDATED),
        cell_request("released", protocol=PROTOCOLS["released"]),
        cell_request("released_loso", protocol=PROTOCOLS["released_loso"]),
    ]


def test_cell_among_others_gives_what_it_gives_alone_and_in_any_pack():
    together = run(*several_cells(), pack_size=64)
    for request, packed in zip(several_cells(), together, strict=True):
        assert_same(packed, run(request)[0])
        assert_same(packed, run(request, pack_size=1)[0])


def test_fold_with_more_windows_does_not_change_its_neighbours():
    # subjects with unequal numbers of windows: the shorter folds idle in the last steps
    keep = ~((TARGET.subject == 1) & (TARGET.window > 0))
    short = {
        name: getattr(TARGET, name)[keep] for name in ("subject", "session", "trial", "window", "label", "features")
    }
    tables = tables_with(target=with_columns(TARGET, **short))
    request = cell_request()
    (packed,) = run(request, tables=tables)
    (apart,) = run(request, tables=tables, pack_size=1)
    assert_same(packed, apart)
    assert len({fold["windows"]["finetune"] for fold in packed.record["folds"]}) == 2


@functools.cache
def never_stopped(protocol, frozen):
    requests = [
        cell_request(f"c{seed}", seed, protocol=PROTOCOLS[protocol], finetune={"freeze_encoder": frozen, "epochs": 3})
        for seed in range(2)
    ]
    return requests, run(*requests)


@settings(max_examples=10, deadline=None)
@given(
    interrupt_at=st.integers(0, 5),
    every=st.integers(1, 3),
    protocol=st.sampled_from(["honest_best", "released", "released_loso"]),
    frozen=st.booleans(),
)
def test_interrupted_at_any_report_and_resumed_equals_never_stopped(interrupt_at, every, protocol, frozen):
    requests, whole = never_stopped(protocol, frozen)
    reporter = MemoryReporter(interrupt_at)
    with pytest.raises(Interruption):
        run(*requests, reporter=reporter, checkpoint_every=every)
    # folds may go on from different epochs, in other packs
    resumed = run(*requests[::-1], reporter=reporter, checkpoint_every=every, pack_size=3)
    for one, other in zip(whole, resumed[::-1], strict=True):
        assert_same(one, other)


def test_frozen_encoder_stays_to_the_last_bit_and_a_free_one_does_not():
    for frozen in (True, False):
        request = cell_request(finetune={"freeze_encoder": frozen})
        pack = pack_of(request)
        before = pack.encoder.replica_state(0), pack.classifier.replica_state(0)
        pack.train_epoch()
        after = pack.encoder.replica_state(0), pack.classifier.replica_state(0)
        same = [torch.equal(before[0][name], after[0][name]) for name in before[0]]
        assert all(same) if frozen else not any(same)
        assert not any(torch.equal(before[1][name], after[1][name]) for name in before[1])


def test_training_accuracy_rises():
    spec = {"epochs": 40, "optimizer": {"learning_rate": 0.02}}
    (output,) = run(cell_request(finetune=spec))
    curve = output.record["curves"]["finetune"]
    assert curve[-1]["train_accuracy"] > 0.9 > curve[0]["train_accuracy"]
    assert curve[-1]["loss"] < curve[0]["loss"]


def test_validation_figures_are_those_of_the_predictions_that_are_kept():
    (output,) = run(cell_request(protocol=PROTOCOLS["honest_best"]))
    cell = cell_run_of(cell_request(protocol=PROTOCOLS["honest_best"]))
    for number, (fold, data) in enumerate(zip(output.record["folds"], cell.data.folds, strict=True)):
        logits = output.tensors[f"validation_logits.{number}"]
        expected = scores(data.validation_label, probabilities(logits))
        assert fold["validation"] == pytest.approx(expected, nan_ok=True)
        # ... and those that were seen while training
        row = fold["curve"][fold["epoch"] - 1]
        assert row["validation_balanced_accuracy"] == pytest.approx(expected["balanced_accuracy"])
        assert row["validation_accuracy"] == pytest.approx(expected["accuracy"])


def test_best_validation_is_the_earliest_of_the_best_epochs():
    (output,) = run(cell_request(protocol=PROTOCOLS["honest_best"], finetune={"epochs": 12}))
    for fold in output.record["folds"]:
        figures = [row["validation_balanced_accuracy"] for row in fold["curve"]]
        assert fold["epoch"] == figures.index(max(figures)) + 1


def test_best_validation_epoch_counts_as_if_training_had_ended_there():
    constant = {"schedule": "constant", "learning_rate": 2e-3}
    (best,) = run(cell_request(protocol=PROTOCOLS["honest_best"], finetune={"epochs": 8, "optimizer": constant}))
    for number, fold in enumerate(best.record["folds"]):
        spec = {"epochs": fold["epoch"], "optimizer": constant}
        (cut,) = run(cell_request(finetune=spec))
        assert cut.record["folds"][number]["model"] == fold["model"]
        np.testing.assert_array_equal(
            cut.tensors[f"test_logits.{number}"], best.tensors[f"test_logits.{number}"], strict=True
        )


def test_test_windows_are_predicted_once_unless_the_protocol_chooses_by_them(monkeypatch):
    predicted = []
    predict = FinetunePack._predict

    def spy(self, rows, scaling):
        if rows is self.test_rows_RN:
            predicted.append(self.runs[0].epoch)
        return predict(self, rows, scaling)

    monkeypatch.setattr(FinetunePack, "_predict", spy)
    run(cell_request(), pack_size=64)
    assert predicted == [4]
    run(cell_request(protocol=PROTOCOLS["honest_best"]), pack_size=64)
    assert predicted == [4, 4]
    (released,) = run(cell_request(protocol=PROTOCOLS["released"]), pack_size=64)
    assert predicted[2:] == [1, 2, 3, 4]
    assert released.tensors["test_logits.0"].shape[0] == 4
    assert released.record["folds"][0]["epoch"] is None


def test_gradients_that_are_never_zeroed_add_up():
    def quirks(zero_grad):
        return {
            "kind": "released",
            "pretrain_batches": None,
            "overwrite_originals": False,
            "scale_each_part": False,
            "reload_best_training": False,
            "constant_learning_rate": False,
            "epoch_selection": "last",
            "zero_grad": zero_grad,
        }

    seen, steps = [], []
    pack = pack_of(cell_request(protocol=quirks(False)))
    learner = pack.learners["classifier"]
    step, adam_step = learner.step, learner.adam.step
    learner.step = lambda gradient, *rest: (seen.append(gradient.clone()), step(gradient, *rest))
    learner.adam.step = lambda values, gradient, *rest: (
        steps.append(gradient.clone()),
        adam_step(values, gradient, *rest),
    )
    pack.train_epoch()
    pack.train_epoch()
    torch.testing.assert_close(torch.stack(steps), torch.stack(seen).cumsum(0))
    # without its quirks, the released protocol's model is the honest one's on the same windows
    (zeroed,) = run(cell_request(protocol=quirks(True)))
    (summed,) = run(cell_request(protocol=quirks(False)))
    assert zeroed.record["folds"][0]["model"] != summed.record["folds"][0]["model"]


def test_reloading_starts_each_epoch_from_the_best_training_weights_so_far():
    quirks = {**PROTOCOLS["released"], "zero_grad": True, "pretrain_batches": None, "overwrite_originals": False}
    spec = {"epochs": 12, "optimizer": {"learning_rate": 0.03}}
    pack = pack_of(cell_request(protocol=quirks, finetune=spec))
    began, ended = [], []
    reload = pack._reload_best

    def spy(which):
        reload(which)
        began.append(pack.classifier.values.clone())

    pack._reload_best = spy
    for _ in range(12):
        pack.train_epoch()
        ended.append(pack.classifier.values.clone())
    fell_back = 0
    for replica, fold in enumerate(pack.runs):
        accuracies = [row["train_accuracy"] for row in fold.curve]
        for epoch in range(1, 12):
            best = accuracies.index(max(accuracies[:epoch]))
            fell_back += best < epoch - 1
            torch.testing.assert_close(began[epoch][replica], ended[best][replica], rtol=0, atol=0)
    assert fell_back, "the case must have an epoch that is not the best so far"


def test_released_protocol_keeps_its_learning_rate(monkeypatch):
    rates = []
    pack = pack_of(cell_request(protocol=PROTOCOLS["released"]))
    step = pack.learners["encoder"].step
    pack.learners["encoder"].step = lambda gradient, rate, active: (rates.append(rate), step(gradient, rate, active))
    for _ in range(4):
        pack.train_epoch()
    assert torch.stack(rates).unique().tolist() == pytest.approx([5e-4])


def test_fold_that_diverges_fails_its_cell_and_no_other():
    bad = cell_request("bad", finetune={"optimizer": {"weight_decay": 1e39}})
    outcomes = run(cell_request("a"), bad, cell_request("b", seed=1), pack_size=64)
    assert [type(outcome) for outcome in outcomes] == [StageOutput, StageFailure, StageOutput]
    assert "Fine-tuning of bad diverged on 'subject 0' in epoch 1 of 4" in outcomes[1].error
    assert_same(outcomes[0], run(cell_request("a"))[0])
    assert_same(outcomes[2], run(cell_request("b", seed=1))[0])


def test_cell_that_is_stopped_fails_and_its_neighbours_go_on():
    reporter = MemoryReporter(stop=lambda key, epoch: key == "a" and epoch == 2)
    stopped, other = run(cell_request("a"), cell_request("b", 1), reporter=reporter, pack_size=64)
    assert isinstance(stopped, StageFailure)
    assert "stopped after epoch 2 of 4" in stopped.error
    assert_same(other, run(cell_request("b", 1))[0])


def test_cell_without_the_encoder_it_needs_fails_alone():
    request = cell_request("bare")
    bare = type(request)("bare", request.experiment, 0, request.transfer, request.channels, None)
    failed, good = run(bare, cell_request("good"))
    assert isinstance(failed, StageFailure)
    assert "no encoder" in failed.error
    assert isinstance(good, StageOutput)


def test_encoder_of_another_shape_fails_its_cell_alone():
    request = cell_request("other")
    encoder = {**request.encoder, "encoder.0.weight": request.encoder["encoder.0.weight"][:, :2]}
    wrong = type(request)("other", request.experiment, 0, request.transfer, request.channels, encoder)
    failed, good = run(wrong, cell_request("good"), pack_size=64)
    assert isinstance(failed, StageFailure)
    assert "encoder.0.weight" in failed.error
    assert isinstance(good, StageOutput)


def test_epochs_are_reported_with_the_figures_of_the_curves():
    reporter = MemoryReporter()
    (output,) = run(cell_request(), reporter=reporter)
    reported = [{"epoch": epoch, **metrics} for _, _, epoch, _, metrics in reporter.events]
    assert reported == output.record["curves"]["finetune"]


def test_folds_of_a_cell_stay_together_where_they_fit():
    cells = [cell_run_of(cell_request(f"c{n}")) for n in range(5)]

    def shape(size):
        return [[run.key for run in pack] for pack in pack_folds(cells, size)]

    assert shape(9) == [["c0"] * 4 + ["c1"] * 4, ["c2"] * 4 + ["c3"] * 4, ["c4"] * 4]
    assert [len(pack) for pack in shape(3)] == [2] * 10
    assert len(shape(64)) == 1
