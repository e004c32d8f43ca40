"""Epochs from buffers that stay where they are, as a CUDA graph wants them: the same numbers, no word to the host."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from test_training_finetuning import several_cells
from test_training_pretraining import VARIED_TABLES, varied_pack
from training_cases import CHANNELS, PROTOCOLS, TABLES_OF, TRANSFER, assert_same, cell_request, cell_run_of, experiment

from scmmlab.config import OptimizerSpec
from scmmlab.methods.contract import PretrainRun
from scmmlab.methods.scmm import finetune_pack as finetune_module
from scmmlab.methods.scmm import pretrain_pack as pretrain_module
from scmmlab.methods.scmm.finetune_pack import FinetunePack
from scmmlab.methods.scmm.pretrain_pack import PretrainPack
from scmmlab.replica.kernel_stats import KernelStats
from scmmlab.replica.windows import WindowPool
from scmmlab.training import Reporter, StageFailure, SweepRequest
from scmmlab.training.data import Selections, pretrain_data
from scmmlab.training.stages import run_cell_stage, run_pretrain_stage, run_sweep_stage
from scmmlab.training.sweep_stage import SweepSlots

SLOW = pytest.mark.slow


@pytest.fixture
def from_buffers(monkeypatch):
    """Let a CPU train as a GPU does, its steps called where a GPU replays them."""
    for module in (pretrain_module, finetune_module):
        monkeypatch.setattr(module, "stays_on_device", lambda device, group: group.workers == 1)


@SLOW
def test_pretraining_from_buffers_is_pretraining_to_the_last_bit(from_buffers, monkeypatch):
    found = run_pretrain_stage(varied_pack(), VARIED_TABLES, Reporter(), pack_size=15)
    monkeypatch.undo()
    for one, other in zip(
        found, run_pretrain_stage(varied_pack(), VARIED_TABLES, Reporter(), pack_size=15), strict=True
    ):
        assert_same(one, other)


@SLOW
def test_finetuning_from_buffers_is_finetuning_to_the_last_bit(from_buffers, monkeypatch):
    """Protocols with every way of choosing an epoch, short last batches, unequal numbers of windows and epochs."""
    found = run_cell_stage(several_cells(), TABLES_OF, Reporter(), pack_size=64)
    monkeypatch.undo()
    for one, other in zip(found, run_cell_stage(several_cells(), TABLES_OF, Reporter(), pack_size=64), strict=True):
        assert_same(one, other)


SETTINGS = {
    "published": {},
    "ratio": {"masking": {"ratio": 0.3}},
    "rate": {"pretrain": {"optimizer": {"learning_rate": 2e-3, "beta1": 0.8}}},
    "soft": {"contrast": {"soft_weight_temperature": 0.5, "temperature": 0.2}, "scaling": "standard"},
    "short": {"pretrain": {"epochs": 2}},
    "late": {"masking": {"ratio": 0.7, "threshold": 0.5}},
    "random": {"masking": {"mode": "random"}},
    "parallel": {"masking": {"mode": "parallel"}, "aggregator": {"top_k": 3}},
    # similarities over so small a temperature overflow float32 at the first step
    "diverges": {"contrast": {"temperature": 1e-40}},
}


def setting(name):
    return SweepRequest(name, experiment(**SETTINGS[name]), 0, TRANSFER, CHANNELS, report_every=1)


@SLOW
def test_who_comes_late_and_who_leaves_move_nobody_and_nothing(from_buffers, monkeypatch):
    """Arrivals and departures of the same switches are changes of numbers in place: no graph is captured again."""
    buffers = []
    plain = pretrain_module.PretrainEpoch

    def made(*arguments):
        buffers.append(plain(*arguments))
        return buffers[-1]

    monkeypatch.setattr(pretrain_module, "PretrainEpoch", made)
    slots = SweepSlots(TABLES_OF, Reporter())
    ended = slots.join([setting(name) for name in ("published", "short", "diverges", "soft", "ratio")])
    ended += slots.epoch()
    assert isinstance(ended[0], StageFailure)
    ended += slots.join([setting("rate")])
    ended += slots.epoch()
    assert [outcome.key for outcome in ended] == ["diverges", "short"]
    ended += slots.join([setting("late")])
    while slots.used > 3:
        ended += slots.epoch()
    assert len(buffers) == 1
    # other switches are other work
    ended += slots.join([setting("random"), setting("parallel")])
    ended += slots.epoch()
    assert len(buffers) == 2
    while slots.used:
        ended += slots.epoch()
    monkeypatch.undo()
    assert {outcome.key for outcome in ended} == SETTINGS.keys()
    for outcome in ended[1:]:
        assert_same(outcome, run_sweep_stage(setting(outcome.key), TABLES_OF, Reporter()))


def test_a_pack_that_would_be_half_empty_or_too_full_is_made_anew(from_buffers):
    pack = pretrain_pack("cpu", ["published", "ratio", "rate", "soft"])
    pack.run_epoch()
    assert not pack.swap_replicas([0, 1], [])
    newcomers = [encoder(name) for name in ("short", "late")]
    assert not pack.swap_replicas([0, 1, 2], newcomers)
    assert [own.key for own in pack.runs] == ["published", "ratio", "rate", "soft"]
    assert pack.swap_replicas([3, 0], newcomers[:1])
    assert [own.key for own in pack.runs] == ["soft", "published", "short"]


def test_a_newcomer_begins_as_it_would_alone(from_buffers):
    pack, alone = pretrain_pack("cpu", ["published", "ratio", "soft"]), pretrain_pack("cpu", ["rate"])
    pack.run_epoch()
    assert pack.swap_replicas([0, 2], [encoder("rate")])
    for name, tensor in alone.checkpoint(0).tensors.items():
        assert torch.equal(pack.checkpoint(2).tensors[name], tensor), name
    assert pack.learner.adam._constants[1] == (0.8, OptimizerSpec().beta2, OptimizerSpec().weight_decay)


def test_calls_before_a_capture_change_nothing(from_buffers):
    """A capture is preceded by steps for their own sake, in which nobody is active."""
    pack, same = (pretrain_pack("cpu", ["published", "ratio"]) for _ in range(2))
    for own in (pack, same):
        own.train_epoch()
    pack.epoch._buffers.idle()
    for _ in range(3):
        pack.epoch._take_step()
        pack.epoch._buffers.idle()
    for replica in range(2):
        for name, tensor in same.checkpoint(replica).tensors.items():
            assert torch.equal(pack.checkpoint(replica).tensors[name], tensor), name
    assert pack.train_epoch() == same.train_epoch() == [None, None]
    assert [own.curve for own in pack.runs] == [own.curve for own in same.runs]


def encoder(name, windows=192, **changes):
    request = replace(setting(name), experiment=experiment(**changes)) if changes else setting(name)
    data = replace(pretrain_data(request, SELECTIONS), windows=windows)
    return PretrainRun(name, request.experiment, request.seed, data)


def pack_of(encoders, device):
    return PretrainPack(encoders, WindowPool([encoders[0].data.features], device, torch.float32))


def pretrain_pack(device, names):
    return pack_of([encoder(name) for name in names], device)


SELECTIONS = Selections(TABLES_OF)

MIXED: list[dict] = (
    [{}]
    + [
        {"masking": {"mode": mode}, "contrast": {"distance": distance}, "aggregator": {"top_k": k}}
        for mode, distance, k in (
            ("random", "cosine", 3),
            ("channel", "manhattan", None),
            ("parallel", "euclidean", 60),
        )
    ]
    + [{"contrast": {"weights": "hard"}}, {"contrast": {"enabled": False}}, {"loss": {"weighting": "fixed"}}]
)


def test_an_epoch_of_pretraining_asks_the_device_for_nothing():
    """On tensors without numbers every question for one raises, and so does what mixes devices."""
    published = pack_of([encoder(name, windows=64) for name in SETTINGS], "meta")
    mixed = pack_of([encoder("published", windows=64 + 32 * (changes == {}), **changes) for changes in MIXED], "meta")
    for pack in (published, mixed):
        for _ in range(2):
            assert pack.run_epoch().shape == (4, len(pack.runs))
        with KernelStats() as found:
            pack.epoch._take_step()
        assert set(found.devices) == {"meta"}
        assert found.total > 200
        with pytest.raises((NotImplementedError, RuntimeError)):
            pack.train_epoch()


@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
@pytest.mark.parametrize("frozen", [False, True])
def test_an_epoch_of_finetuning_asks_the_device_for_nothing(protocol, frozen):
    request = cell_request(protocol=PROTOCOLS[protocol], finetune={"freeze_encoder": frozen})
    runs = cell_run_of(request).runs
    arrays = [array for run in runs for array in (run.data.seen_features, run.data.test_features)]
    pack = FinetunePack(runs, WindowPool(arrays, "meta", torch.float32))
    for _ in range(2):
        figures = pack.run_epoch()
        assert len(figures) == len(runs)
        assert figures.shape[1] == 3 + (4 if pack.validation_rows_RN.shape[1] else 0)
    with KernelStats() as found:
        pack.epoch._take_step()
        pack._predict_each_epoch("test", pack.test_rows_RN, pack.test_scaling)
    assert set(found.devices) == {"meta"}
