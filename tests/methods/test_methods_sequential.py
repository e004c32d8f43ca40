"""Any torch module: what it draws and remembers is the fold's own, and its steps are Adam's on cross-entropy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from alignment_contexts import ALIGNED
from method_conformance import MethodConformance
from torch import nn
from training_cases import TABLES_OF

from scmmlab.methods import registry
from scmmlab.methods.contract import InputShape
from scmmlab.methods.sequential import SequentialTrainer
from scmmlab.replica.schedule import learning_rate
from scmmlab.replica.windows import WindowPool
from scmmlab.training import Reporter, StageFailure
from scmmlab.training.stages import run_cell_stage


class NormTrainer(SequentialTrainer):
    """Batch norm with running statistics, dropout, and two layers that share a weight."""

    def module(self, spec, shape):
        shared = nn.Linear(spec.hidden, spec.hidden)
        first = nn.Linear(shape.channels * shape.bands, spec.hidden)
        drawn = [nn.BatchNorm1d(spec.hidden), nn.ReLU(), nn.Dropout(spec.dropout)]
        return nn.Sequential(nn.Flatten(), first, *drawn, shared, nn.Tanh(), shared, nn.Linear(spec.hidden, 2))


class TestModuleWithBuffersDropoutAndASharedWeight(MethodConformance):
    method = "mlp"
    contexts = ALIGNED
    settings = {"hidden": 8, "finetune": {"epochs": 3, "batch_size": 16}}
    failing = {"finetune.optimizer.weight_decay": 1e39}
    by_heart = {"finetune.epochs": 60, "finetune.optimizer.learning_rate": 0.02, "dropout": 0.0}

    @pytest.fixture(autouse=True)
    def _in_place_of_the_perceptron(self, monkeypatch):
        made = NormTrainer()
        monkeypatch.setattr(registry, "trainer", lambda name: made)


class Cases(MethodConformance):
    __test__ = False
    method = "mlp"
    settings = {"hidden": 8, "dropout": 0.0, "finetune": {"epochs": 4, "batch_size": 16}}


CASES = Cases()


def test_it_steps_as_the_adam_of_torch_does():
    request = CASES.request(**{"finetune.optimizer.weight_decay": 0.01})
    run = CASES.runs(request)[0]
    (result,) = CASES.fitted((run,))
    pack = registry.trainer("mlp").finetune_pack((run,), pool_of(run))
    (replica,) = pack._replicas
    twin = registry.trainer("mlp").module(request.experiment, InputShape(3, 5, 2))
    twin.load_state_dict(replica.module.state_dict())
    rule = request.experiment.finetune.optimizer
    adam = torch.optim.Adam(twin.parameters(), betas=(rule.beta1, rule.beta2), weight_decay=rule.weight_decay)
    x = torch.from_numpy(run.data.scaler.transform(run.data.seen_features[run.data.fold.finetune]))
    label = torch.from_numpy(run.data.finetune_label)
    losses = []
    for epoch in range(run.epochs):
        adam.param_groups[0]["lr"] = learning_rate(rule, epoch, run.epochs)
        replica.run.epoch = epoch
        total = 0.0
        for batch in replica._batches():
            loss = nn.functional.cross_entropy(twin(x[batch]), label[batch])
            adam.zero_grad()
            loss.backward()
            adam.step()
            total += loss.item() * len(batch)
        losses.append(total / len(label))
    assert [row["loss"] for row in result.run.curve] == pytest.approx(losses, rel=1e-4)


@pytest.mark.parametrize(("windows", "sizes"), [(32, [16, 16]), (33, [16, 17]), (34, [16, 16, 2]), (1, [1])])
def test_every_window_is_in_one_batch_of_an_epoch_and_none_is_alone(windows, sizes):
    run = CASES.runs(CASES.request())[0]
    fold = replace(run.data.fold, finetune=np.arange(windows))
    data = replace(run.data, fold=fold, finetune_label=np.arange(windows) % 2)
    (replica,) = registry.trainer("mlp").finetune_pack((replace(run, data=data),), pool_of(run))._replicas
    orders = []
    for epoch in (0, 1, 0):
        replica.run.epoch = epoch
        batches = replica._batches()
        assert [len(batch) for batch in batches] == sizes
        orders.append(torch.cat(batches).tolist())
        assert sorted(orders[-1]) == list(range(windows))
    assert orders[0] == orders[2]
    assert orders[0] != orders[1] or windows == 1


def test_best_validation_epoch_counts_as_if_training_had_ended_there():
    constant = {"finetune.optimizer.schedule": "constant", "finetune.optimizer.learning_rate": 5e-3}
    best = CASES.fitted(CASES.runs(CASES.request(protocol="honest_best", **{"finetune.epochs": 9, **constant})))
    assert any(result.epoch < 9 for result in best)
    for number, result in enumerate(best):
        figures = [row["validation_balanced_accuracy"] for row in result.run.curve]
        assert result.epoch == figures.index(max(figures)) + 1
        run = CASES.runs(CASES.request(**{"finetune.epochs": result.epoch, **constant}))[number]
        (cut,) = CASES.fitted((run,))
        assert cut.model_digest == result.model_digest
        np.testing.assert_array_equal(cut.test_logits, result.test_logits)
        np.testing.assert_array_equal(cut.validation_logits, result.validation_logits)


def test_module_that_raises_fails_its_cell_with_its_fold_and_leaves_the_trace(monkeypatch):
    class Raises(SequentialTrainer):
        def module(self, spec, shape):
            return nn.Sequential(nn.Flatten(), nn.Linear(3, 2))

    made = Raises()
    monkeypatch.setattr(registry, "trainer", lambda name: made)
    (failure,) = run_cell_stage([CASES.request("odd")], TABLES_OF, Reporter())
    assert isinstance(failure, StageFailure)
    assert failure.error.startswith("Fine-tuning of odd failed on 'subject 0' in epoch 1 of 4: RuntimeError: mat1 and")
    assert "in forward" in failure.traceback


def test_running_out_of_memory_is_left_to_the_stage(monkeypatch):
    calls = []

    class Hungry(nn.Flatten):
        def forward(self, x):
            calls.append(len(x))
            raise torch.OutOfMemoryError("no memory")

    class Trainer(SequentialTrainer):
        def module(self, spec, shape):
            return nn.Sequential(Hungry(), nn.Linear(15, 2))

    made = Trainer()
    monkeypatch.setattr(registry, "trainer", lambda name: made)
    (failure,) = run_cell_stage([CASES.request()], TABLES_OF, Reporter())
    assert failure.cause == "out_of_memory"
    assert len(calls) > 1, "it was tried in smaller packs"


def test_parameter_that_does_not_learn_stays_what_it_is():
    class Trainer(SequentialTrainer):
        def module(self, spec, shape):
            frozen = nn.Linear(15, 8).requires_grad_(False)
            return nn.Sequential(nn.Flatten(), frozen, nn.Linear(8, 2))

    (run, *_) = CASES.runs(CASES.request())
    pack = Trainer().finetune_pack((run,), pool_of(run))
    before = pack.checkpoint(0).tensors
    pack.train_epoch()
    after = pack.checkpoint(0).tensors
    same = {name: torch.equal(before[name], after[name]) for name in before if name.startswith("module/")}
    assert same == {f"module/{n}.{kind}": n == 1 for n in (1, 2) for kind in ("weight", "bias")}


def test_divergence_is_told_as_such():
    (failure,) = run_cell_stage([CASES.request(**{"finetune.optimizer.weight_decay": 1e39})], TABLES_OF, Reporter())
    assert isinstance(failure, StageFailure)
    assert failure.cause == "diverged"
    assert "diverged on 'subject 0' in epoch 1 of 4" in failure.error


def pool_of(run):
    return WindowPool([run.data.seen_features, run.data.test_features], "cpu", torch.float32)
