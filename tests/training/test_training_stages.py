"""From requests to the record of a cell."""

import json
from dataclasses import replace

import numpy as np
import pytest
from training_cases import (
    CHANNELS,
    PROTOCOLS,
    SOURCE,
    TABLES_OF,
    TARGET,
    TRANSFER,
    MemoryReporter,
    cell_request,
    experiment,
    make_table,
    pretrain_request,
    tables_with,
)

from scmmlab.config import CorpusSelection
from scmmlab.errors import TrainingError
from scmmlab.evaluation import METRICS, make_folds, scores
from scmmlab.methods.contract import InputShape
from scmmlab.methods.scmm.spec import ScmmSpec
from scmmlab.training import PretrainRequest, Reporter, StageFailure, StageOutput
from scmmlab.training.evaluate import leaks
from scmmlab.training.packs import in_groups, pack_signature
from scmmlab.training.predictions import mean_of_batches, probabilities
from scmmlab.training.stages import run_cell_stage, run_evaluate_stage, run_pretrain_stage


def evaluated(request, tables=TABLES_OF):
    (finetuned,) = run_cell_stage([request], tables, Reporter())
    return finetuned, run_evaluate_stage(request, finetuned, tables)


@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
def test_record_of_a_cell_has_what_reports_read(protocol):
    request = cell_request(protocol=PROTOCOLS[protocol])
    finetuned, output = evaluated(request)
    record = output.record
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert json.loads(json.dumps(finetuned.record, allow_nan=False)) == finetuned.record
    assert (output.kind, output.key, record["key"], record["format"]) == ("evaluate", "c", "c", 1)
    assert record["experiment"] == request.experiment.model_dump(mode="json")
    assert record["transfer"] == request.transfer.model_dump(mode="json", include={"name", "source", "target"})
    assert record["channels"] == list(CHANNELS)
    assert record["classes"] == ["calm", "busy"]
    assert record["protocol"] == request.experiment.protocol.kind
    assert record["source_fingerprint"] == SOURCE.manifest.fingerprint
    assert record["target_fingerprint"] == TARGET.manifest.fingerprint
    assert [row["epoch"] for row in record["curves"]["pretrain"]] == [1, 2, 3, 4]
    assert [row["epoch"] for row in record["curves"]["finetune"]] == [1, 2, 3, 4]
    assert {"loss", "train_accuracy"} <= record["curves"]["finetune"][0].keys()
    has_validation = not protocol.startswith("released")
    assert ("validation_balanced_accuracy" in record["curves"]["finetune"][0]) == has_validation

    assert sorted(subject for fold in record["folds"] for subject in fold["subjects"]) == [0, 1, 2, 3]
    for fold in record["folds"]:
        assert set(fold["test"]) == set(METRICS)
        assert (fold["validation"] is not None) == has_validation
        assert np.sum(fold["confusion"]) == fold["windows"]["test"]
        assert list(fold["by_subject"]) == [str(subject) for subject in fold["subjects"]]
        assert 1 <= fold["epoch"] <= 4
        assert ("test_by_epoch" in fold) == (protocol == "released")


def test_test_figures_are_those_of_the_predictions():
    request = cell_request()
    finetuned, output = evaluated(request)
    folds = make_folds(request.experiment.protocol, SOURCE, TARGET)
    for number, (fold, made) in enumerate(zip(folds, output.record["folds"], strict=True)):
        logits = finetuned.tensors[f"test_logits.{number}"]
        assert made["test"] == pytest.approx(scores(TARGET.label[fold.test], probabilities(logits)), nan_ok=True)


def test_released_protocol_reports_the_first_of_the_best_test_epochs_and_means_of_batches():
    request = cell_request(protocol=PROTOCOLS["released"], finetune={"epochs": 8, "optimizer": {"learning_rate": 0.01}})
    finetuned, output = evaluated(request)
    folds = make_folds(request.experiment.protocol, SOURCE, TARGET)
    for number, (fold, made) in enumerate(zip(folds, output.record["folds"], strict=True)):
        label, logits = TARGET.label[fold.test], finetuned.tensors[f"test_logits.{number}"]
        by_epoch = [mean_of_batches(label, epoch, 16) for epoch in logits]
        assert made["test_by_epoch"] == by_epoch
        assert made["epoch"] == int(np.argmax(by_epoch)) + 1
        assert made["test"]["accuracy"] == max(by_epoch)


def test_mean_of_batches_counts_a_small_last_batch_like_the_others():
    label, logits = np.array([0, 0, 0, 0, 1]), np.eye(2)[[0, 0, 0, 1, 1]]
    # batches of two: 1, 1/2, 1
    assert mean_of_batches(label, logits, 2) == pytest.approx(2.5 / 3)


def test_leaks_are_named_and_only_where_there_are_any():
    assert leaks(experiment()) == []
    assert leaks(experiment(protocol=PROTOCOLS["zero_shot"])) == []
    released = leaks(experiment(protocol=PROTOCOLS["released"]))
    assert released == ["epoch chosen on test labels", "test part scaled by its own numbers"]
    tame = {"kind": "released", "epoch_selection": "last", "scale_each_part": False}
    assert leaks(experiment(protocol=tame)) == []


def test_predictions_of_another_cell_or_table_are_not_judged():
    request = cell_request()
    (finetuned,) = run_cell_stage([request], TABLES_OF, Reporter())
    with pytest.raises(TrainingError, match="must be those of cell other"):
        run_evaluate_stage(cell_request("other"), finetuned, TABLES_OF)
    with pytest.raises(TrainingError, match="the feature table changed"):
        run_evaluate_stage(request, finetuned, tables_with(target=make_table("target", windows=5)))


def test_outcomes_come_in_the_order_of_the_requests_and_failures_stay_alone():
    missing = PretrainRequest("missing", experiment(), 0, CorpusSelection(table="nowhere"), CHANNELS)
    stranger = PretrainRequest("stranger", experiment(), 0, CorpusSelection(table="source", subjects=(9,)), CHANNELS)
    wide = pretrain_request("wide", network={"width": 24})
    outcomes = run_pretrain_stage([missing, wide, stranger, pretrain_request("p")], TABLES_OF, Reporter())
    assert [outcome.key for outcome in outcomes] == ["missing", "wide", "stranger", "p"]
    assert [type(outcome) for outcome in outcomes] == [StageFailure, StageOutput, StageFailure, StageOutput]
    assert "Subjects of 'source' must be among 0-3" in outcomes[2].error
    assert outcomes[2].traceback


def test_fold_without_a_class_fails_its_cell_with_the_splits_own_words():
    one_class = cell_request("one_class", protocol={"kind": "honest", "trial_order": "time", "finetune_trials": 1})
    failed, good = run_cell_stage([one_class, cell_request("good")], TABLES_OF, Reporter())
    assert isinstance(failed, StageFailure)
    assert failed.kind == "finetune"
    assert "subject 0" in failed.error
    assert isinstance(good, StageOutput)


def test_only_requests_with_tensors_of_other_shapes_go_to_other_packs():
    requests = [
        pretrain_request("a"),
        pretrain_request("wide", network={"width": 24}),
        pretrain_request("b", seed=1, masking={"mode": "channel", "ratio": 0.2}),
        pretrain_request("views", masking={"views": 2}),
        pretrain_request("c", contrast={"temperature": 0.1}, aggregator={"top_k": 3}),
        pretrain_request("long", pretrain={"epochs": 5}),
        pretrain_request("batch", pretrain={"batch_size": 16}),
        pretrain_request("d", pretrain={"optimizer": {"learning_rate": 0.1}}),
        pretrain_request("released", protocol=PROTOCOLS["released"]),
        replace(pretrain_request("target"), source=TRANSFER.target),
        pretrain_request("rounded", precision="bf16"),
    ]
    packs = in_groups(requests, lambda r: pack_signature(r.experiment, "pretrain", InputShape(len(r.channels), 5)), 4)
    keys = [[request.key for request in pack] for pack in packs]
    assert keys == [["a", "b", "c"], ["long", "d", "released", "target"], ["wide"], ["views"], ["batch"], ["rounded"]]


def test_folds_of_two_precisions_do_not_share_a_pack():
    experiments = [ScmmSpec(precision=precision) for precision in ("float32", "bf16", "float32")]
    packs = in_groups(experiments, lambda experiment: pack_signature(experiment, "finetune", InputShape(4, 5, 2)), 4)
    assert [[experiment.precision for experiment in pack] for pack in packs] == [["float32", "float32"], ["bf16"]]


def test_pack_size_changes_nothing_but_the_order_of_reports():
    requests = [pretrain_request(f"p{seed}", seed) for seed in range(3)]
    events = []
    for size in (1, 3):
        reporter = MemoryReporter()
        run_pretrain_stage(requests, TABLES_OF, reporter, pack_size=size)
        events.append(reporter.events)
    assert sorted(events[0], key=str) == sorted(events[1], key=str)


def test_cell_shows_the_pretraining_curve_of_its_encoder():
    (pretrained,) = run_pretrain_stage([pretrain_request()], TABLES_OF, Reporter())
    _, output = evaluated(cell_request())
    assert output.record["curves"]["pretrain"] == pretrained.record["curve"]
    _, without = evaluated(cell_request(pretrain={"enabled": False}))
    assert without.record["curves"]["pretrain"] == []


def test_transfer_between_tables_that_were_made_otherwise_is_refused():
    other = TARGET.manifest.model_copy(update={"unit": "µV²"})
    tables = tables_with(target=type(TARGET)(**{**vars(TARGET), "manifest": other}))
    (failed,) = run_cell_stage([cell_request()], tables, Reporter())
    assert isinstance(failed, StageFailure)
    assert "the same unit" in failed.error
    assert TRANSFER.name == "a-b"
