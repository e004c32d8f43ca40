"""Networks of a pack: what any method that brings one may rely on."""

from __future__ import annotations

import pytest
import torch
from training_cases import CHANNELS, TABLES_OF, TRANSFER, Reporter, assert_same

from scmmlab.config import ExperimentSpec
from scmmlab.methods import packed
from scmmlab.methods.contract import InputShape
from scmmlab.methods.electrodes import some_channels
from scmmlab.methods.network import Evaluation, Training, network_gradient, network_logits
from scmmlab.methods.registry import trainer, trainer_of
from scmmlab.replica.kernel_stats import KernelStats
from scmmlab.replica.parameters import Parameters
from scmmlab.replica.random import streams
from scmmlab.replica.windows import WindowPool
from scmmlab.training import CellRequest
from scmmlab.training.data import Selections, cell_data
from scmmlab.training.finetune_stage import cell_run
from scmmlab.training.stages import run_cell_stage

SMALL = {
    "dgcnn": {"hidden": 4, "dense": 8, "band_norm": True},
    "rgnn": {"hidden": 4},
}
SMALL["bidann"] = {"time_steps": 3, "hidden": 4, "time_slots": 2, "dense": 8, "dense_last": 4}
METHODS = sorted(SMALL)


def request(method, seed=0, protocol="honest", selection="best_validation"):
    spec = {"method": method, "finetune": {"epochs": 2, "batch_size": 16}, **SMALL[method]}
    spec["protocol"] = {"kind": protocol, "epoch_selection": selection}
    return CellRequest(
        f"{method} {seed} {protocol}", ExperimentSpec.model_validate(spec), seed, TRANSFER, CHANNELS, None
    )


def trained(requests):
    return run_cell_stage(requests, TABLES_OF, Reporter(), pack_size=64)


@pytest.mark.parametrize("method", METHODS)
def test_a_pack_on_several_threads_gives_what_it_gives_on_one(method):
    both = [request(method), request(method, seed=1)]
    one_thread = trained(both)
    torch.set_num_threads(2)
    try:
        several = trained(both)
    finally:
        torch.set_num_threads(1)
    for one, two in zip(one_thread, several, strict=True):
        assert_same(one, two)


@pytest.mark.parametrize("method", METHODS)
def test_training_from_buffers_is_training_to_the_last_bit(method, monkeypatch):
    asked = [request(method), request(method, seed=1), request(method, protocol="released", selection="best_test")]
    called = trained(asked)
    monkeypatch.setattr(packed, "stays_on_device", lambda device, group: True)
    for one, two in zip(called, trained(asked), strict=True):
        assert_same(one, two)


@pytest.mark.parametrize("method", METHODS)
def test_an_epoch_asks_the_device_for_nothing(method):
    """On tensors without numbers every question for one raises, and so does what mixes devices."""
    asked = request(method)
    runs = cell_run(asked, cell_data(asked, Selections(TABLES_OF))).runs
    arrays = [array for run in runs for array in (run.data.seen_features, run.data.test_features)]
    pack = trainer_of(asked.experiment).finetune_pack(runs, WindowPool(arrays, "meta", torch.float32))
    for _ in range(2):
        assert pack.run_epoch().shape == (len(runs), 3 + 4)
    with KernelStats() as found:
        pack.epoch._take_step()
    assert set(found.devices) == {"meta"}


@pytest.mark.parametrize("method", METHODS)
def test_steps_in_which_nobody_is_active_change_nothing(method, monkeypatch):
    monkeypatch.setattr(packed, "stays_on_device", lambda device, group: True)
    asked = request(method)
    runs = cell_run(asked, cell_data(asked, Selections(TABLES_OF))).runs
    arrays = [array for run in runs for array in (run.data.seen_features, run.data.test_features)]
    pack = trainer_of(asked.experiment).finetune_pack(runs, WindowPool(arrays, "cpu", torch.float32))
    pack.train_epoch()
    before = [pack.checkpoint(r).tensors for r in range(len(runs))]
    pack.epoch._buffers.idle()
    for _ in range(2):
        pack.epoch._take_step()
    for r, tensors in enumerate(before):
        for name, tensor in tensors.items():
            assert torch.equal(pack.checkpoint(r).tensors[name], tensor), name


@pytest.mark.parametrize("method", METHODS)
def test_windows_that_do_not_count_change_nothing(method):
    """Neither statistics nor gradients: a batch that is filled up is the batch without its filling, up to rounding."""
    found = request(method).experiment
    network = trainer(method).network(found.model_copy(update={"dropout": 0.0}), InputShape(3, 5, 2, CHANNELS))
    states = []
    steps = [] if network.time_steps is None else [network.time_steps]
    x = torch.randn(1, 8, *steps, 3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for rows in (slice(0, 5), slice(0, 8)):
        parameters = Parameters(network.sizes(), 1, "cpu", torch.float64)
        network.initialise(parameters, torch.tensor([3]))
        real_RB = torch.arange(8)[None, rows] < 5
        network_gradient(network, parameters, x[:, rows], torch.arange(8)[None, rows] % 2, real_RB)
        states.append(
            torch.cat([parameters.gradient[0], *(t.flatten().double() for t in parameters.running_var.values())])
        )
    torch.testing.assert_close(*states, rtol=1e-12, atol=1e-14)


def test_dropout_drops_its_share_keeps_the_mean_and_is_another_for_each_layer():
    parameters = Parameters({"w": (1,)}, 2, "cpu", torch.float32)
    words = streams(torch.tensor([1, 2]), "dropout", 0, 0)
    mode = Training(parameters, torch.ones(2, 4, dtype=torch.bool), words)
    ones = torch.ones(2, 4, 5001)
    first, second = (mode.dropout(ones, 0.3) for _ in range(2))
    for dropped in (first, second):
        assert dropped.unique().tolist() == [0.0, pytest.approx(1 / 0.7)]
        assert float((dropped == 0).float().mean()) == pytest.approx(0.3, abs=0.01)
    both = ((first == 0) & (second == 0)).float().mean()
    assert float(both) == pytest.approx(0.09, abs=0.01), "layers drop independently"
    replicas = ((first[0] == 0) & (first[1] == 0)).float().mean()
    assert float(replicas) == pytest.approx(0.09, abs=0.02), "and so do replicas"
    assert torch.equal(Evaluation(parameters).dropout(ones, 0.3), ones)


@pytest.mark.parametrize("channels", [62, 19])
@pytest.mark.parametrize(("method", "settings"), [(m, s) for m in METHODS for s in ({}, SMALL[m])])
def test_replicas_computed_together_have_the_bits_of_each_alone(method, settings, channels):
    """On a CPU few go together; here five, whose numbers fill whole vectors only where the settings say so."""
    spec = ExperimentSpec.model_validate({"method": method, **settings})
    network = trainer(method).network(spec, InputShape(channels, 5, 3, some_channels(channels)))
    generator, seed_R = torch.Generator().manual_seed(0), torch.arange(5)
    steps = [] if network.time_steps is None else [network.time_steps]
    x = torch.randn(5, 16, *steps, channels, 5, generator=generator)
    label_RB = torch.randint(0, 3, (5, 16), generator=generator)
    real_RB = torch.rand(5, 16, generator=generator) < 0.8
    words = streams(seed_R, "dropout", 0, 0)

    def found(rows):
        parameters = Parameters(network.sizes(), len(seed_R[rows]), "cpu", torch.float32)
        network.initialise(parameters, seed_R[rows])
        step = network_gradient(network, parameters, x[rows], label_RB[rows], real_RB[rows], words[:, rows])
        predicted = network_logits(network, parameters, x[rows])
        return [*step, parameters.gradient, predicted, *parameters.running_var.values()]

    together = found(slice(0, 5))
    for r in range(5):
        for whole, alone in zip(together, found(slice(r, r + 1)), strict=True):
            assert torch.equal(whole[r], alone[0])
