import json

import pytest
import torch
from training_cases import experiment

from scmmlab.config import ExperimentSpec
from scmmlab.training import pack_probe
from scmmlab.training.pack_probe import PackRates, Workload, device_name, probe_pack_size
from scmmlab.training.rates import StepRunner, steps_of_finetuning, steps_of_pretraining


def workload(kind="pretrain", replicas=64, steps=1e9, **changes):
    return Workload(kind, experiment(**changes), 3, 5, 2, replicas, steps)


def test_rates_are_positive_for_every_kind_of_cell():
    for changes in (
        {},
        {"masking": {"views": 2}},
        {"finetune": {"freeze_encoder": True}},
        {"protocol": {"kind": "released"}},
        {"protocol": {"kind": "honest", "epoch_selection": "best_validation"}},
    ):
        for make in (steps_of_pretraining, steps_of_finetuning):
            assert make(experiment(**changes), 3, 5, 3, "cpu", 2).rate(0.0) > 0


@pytest.mark.parametrize(("method", "steps"), [("linear", 1), ("mlp", 2)])
def test_steps_of_a_method_are_counted_as_it_counts_them(method, steps):
    runner = steps_of_finetuning(ExperimentSpec.model_validate({"method": method}), 3, 5, 3, "cpu", 2)
    assert runner.steps == 2 * steps
    assert runner.rate(0.0) > 0


@pytest.mark.parametrize("method", ["ridge", "mlp"])
def test_rates_are_those_of_training_without_what_is_done_once_for_a_fold(method):
    # random windows of nobody cannot be aligned, least of all to so many components
    aligned = {"alignment": {"kind": "subspace", "components": 1000}, "protocol": {"kind": "uda_inductive"}}
    runner = steps_of_finetuning(ExperimentSpec.model_validate({"method": method, **aligned}), 3, 5, 3, "cpu", 2)
    assert runner.train_epoch() == [None, None]


@pytest.mark.parametrize("kind", ["pretrain", "finetune"])
def test_probe_measures_time_and_memory_of_growing_packs(kind):
    found = probe_pack_size(workload(kind, replicas=6))
    assert set(found.steps_per_s) <= {1, 2, 4, 6}
    assert {1, 2, 4} <= set(found.steps_per_s)
    assert found.size in found.steps_per_s
    assert all(rate > 0 for rate in found.steps_per_s.values())
    assert set(found.peak_bytes) == set(found.steps_per_s)
    assert found.room_bytes > 0
    assert found.holds_on("cpu")
    assert PackRates.from_json(json.loads(json.dumps(found.to_json()))) == found


def probe_of(monkeypatch, rates, memory=None, **changes):
    """The probe on a device whose packs are that fast, and that has room for so many replicas."""

    def make(experiment, channels, bands, classes, device, size):
        if memory is not None and size > memory:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return StepRunner(lambda: None, 1, device)

    monkeypatch.setattr(pack_probe, "steps_of_pretraining", make)
    monkeypatch.setattr(pack_probe, "_rate", lambda make, work, device, size: make(*[None] * 5, size) and rates(size))
    return probe_pack_size(workload(**changes))


def test_the_smallest_of_the_fastest_sizes_is_chosen(monkeypatch):
    found = probe_of(monkeypatch, lambda size: {1: 50.0, 2: 80.0, 4: 98.0}.get(size, 100.0))
    assert (found.size, found.bound) == (4, "rate")
    assert list(found.steps_per_s) == [1, 2, 4, 8, 16], "two doublings without a gain are enough"


def test_a_device_that_packs_do_not_help_gets_packs_of_one(monkeypatch):
    found = probe_of(monkeypatch, lambda size: 50.0)
    assert (found.size, list(found.steps_per_s)) == (1, [1, 2, 4])


def test_a_device_that_wants_more_gets_what_there_is(monkeypatch):
    found = probe_of(monkeypatch, float, replicas=24)
    assert (found.size, found.bound, list(found.steps_per_s)) == (24, "work", [1, 2, 4, 8, 16, 24])


def test_memory_that_runs_out_ends_the_probe(monkeypatch):
    found = probe_of(monkeypatch, float, memory=9)
    assert (found.size, found.bound) == (8, "memory")


def test_packs_that_would_not_fit_are_not_tried(monkeypatch):
    monkeypatch.setattr(pack_probe, "free_memory", lambda device, share: 1000)
    peaks = iter([101, 201, 401])
    monkeypatch.setattr(pack_probe.PeakMemory, "most", lambda self: next(peaks))
    found = probe_of(monkeypatch, float)
    # 100 a replica; 8 would take more than 800 of 1000
    assert found.bytes_per_replica == 100
    assert (found.room_bytes, found.bound) == (800, "memory")
    assert list(found.steps_per_s) == [1, 2, 4]


def test_a_small_study_is_not_made_to_wait(monkeypatch):
    found = probe_of(monkeypatch, lambda size: 100.0, steps=0.0)
    assert (list(found.steps_per_s), found.bound, found.size) == ([1], "time", pack_probe.pretrain_pack_size("cpu"))


def test_device_has_a_name():
    assert device_name("cpu").endswith(("thread", "threads"))
