"""A setting in a slot gives what it gives alone, whoever trains beside it, comes, goes or diverges."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training_cases import CHANNELS, TABLES_OF, TRANSFER, MemoryReporter, assert_same, experiment

from scmmlab.training import Reporter, StageFailure, StageOutput, SweepRequest
from scmmlab.training.encoder_slots import EncoderSlots
from scmmlab.training.packs import sweep_signature
from scmmlab.training.stages import run_sweep_stage
from scmmlab.training.sweep_stage import SweepSlots

SETTINGS = {
    "published": {},
    "random": {"masking": {"mode": "random", "ratio": 0.3}},
    "top": {"aggregator": {"top_k": 3}},
    "soft": {"contrast": {"soft_weight_temperature": 0.5, "temperature": 0.2}},
    "short": {"pretrain": {"epochs": 3}},
    "fast": {"pretrain": {"optimizer": {"learning_rate": 2e-3}}},
    # similarities over so small a temperature overflow float32 at the first step
    "diverges": {"contrast": {"temperature": 1e-40}},
}


def request(name):
    return SweepRequest(name, experiment(**SETTINGS[name]), 0, TRANSFER, CHANNELS, report_every=1)


@pytest.fixture(scope="module")
def alone():
    return {name: run_sweep_stage(request(name), TABLES_OF, Reporter()) for name in SETTINGS}


@settings(max_examples=8, deadline=None)
@given(
    arrivals=st.lists(
        st.tuples(st.sampled_from(sorted(SETTINGS)), st.integers(0, 4)), min_size=2, unique_by=lambda a: a[0]
    )
)
def test_a_setting_that_comes_when_it_likes_gives_what_it_gives_alone(alone, arrivals):
    slots = SweepSlots(TABLES_OF, Reporter())
    ended, epoch = [], 0
    while slots.used or any(when >= epoch for _, when in arrivals):
        ended += slots.join([request(name) for name, when in arrivals if when == epoch])
        ended += slots.epoch()
        epoch += 1
    assert {outcome.key for outcome in ended} == {name for name, _ in arrivals}
    for outcome in ended:
        if outcome.key == "diverges":
            assert isinstance(outcome, StageFailure)
            assert "epoch 1 of" in outcome.error
        else:
            assert_same(outcome, alone[outcome.key])


def test_a_setting_that_is_stopped_leaves_its_neighbours_alone(alone):
    reporter = MemoryReporter(stop=lambda key, epoch: key == "random" and epoch == 2)
    slots = SweepSlots(TABLES_OF, reporter)
    slots.join([request("random"), request("top")])
    first = slots.epoch() + slots.epoch()
    assert [(outcome.key, outcome.record["state"], outcome.record["epochs"]) for outcome in first] == [
        ("random", "stopped", 2)
    ]
    assert slots.used == 1
    ended = slots.join([request("soft")])
    while slots.used:
        ended += slots.epoch()
    for outcome in ended:
        assert_same(outcome, alone[outcome.key])


def test_what_cannot_be_trained_never_takes_a_slot():
    impossible = SweepRequest("large", experiment(pretrain={"batch_size": 4096}), 0, TRANSFER, CHANNELS, report_every=1)
    slots = SweepSlots(TABLES_OF, Reporter())
    (failure,) = slots.join([impossible])
    assert "4096" in failure.error
    assert slots.used == 0
    (untrained,) = slots.join([replace(request("top"), experiment=experiment(pretrain={"enabled": False}))])
    assert untrained.record["epochs"] == 0
    assert slots.used == 0


def test_a_pack_that_is_too_large_goes_on_in_halves_from_its_checkpoints(alone, monkeypatch):
    from scmmlab.methods.scmm import trainer

    largest = []

    class SmallMemory(trainer.PretrainPack):
        def train_epoch(self):
            if len(self.runs) > 2 and self.runs[0].epoch == 2:
                raise MemoryError("not enough memory")
            largest.append(len(self.runs))
            return super().train_epoch()

    monkeypatch.setattr(trainer, "PretrainPack", SmallMemory)
    names = ["published", "random", "top", "soft", "fast"]
    slots = SweepSlots(TABLES_OF, MemoryReporter(), checkpoint_every=1)
    ended = slots.join([request(name) for name in names])
    for _ in range(2):
        ended += slots.epoch()
    assert largest == [5, 5]
    while slots.used:
        ended += slots.epoch()
    assert max(largest[2:]) == 2
    for outcome in ended:
        assert isinstance(outcome, StageOutput), outcome
        assert_same(outcome, alone[outcome.key])
    # two epochs as one pack, then two each in packs of two, one and two: nothing was trained twice
    assert sum(largest) == 5 * 4


def test_what_joins_after_memory_ran_out_waits_until_there_is_room(alone):
    slots = SweepSlots(TABLES_OF, Reporter())
    slots.join([request("published")])
    inner = slots._slots
    assert isinstance(inner, EncoderSlots)
    inner._memory_limit.replicas = 2
    slots.join([request("random"), request("top"), request("soft"), request("short")])
    assert slots.used == 5
    ended = []
    while slots.used:
        assert sum(len(pack.runs) for pack in inner._packs) <= 2
        ended += slots.epoch()
    assert [outcome.key for outcome in ended] == ["published", "random", "top", "soft", "short"]
    for outcome in ended:
        assert_same(outcome, alone[outcome.key])


def test_probes_before_a_checkpoint_are_told_to_who_goes_on_from_it(alone):
    told = MemoryReporter()
    run_sweep_stage(request("top"), TABLES_OF, told, checkpoint_every=2)
    assert [epoch for _, _, epoch, _, _ in told.events] == [1, 2, 3, 4]
    # what a run leaves that is killed after its last checkpoint, and before its outcome is kept
    again = MemoryReporter()
    again.checkpoints = told.checkpoints
    assert_same(run_sweep_stage(request("top"), TABLES_OF, again, checkpoint_every=2), alone["top"])
    assert again.events == told.events


def test_settings_fit_together_whatever_their_masks_and_losses():
    fits = {name: sweep_signature(request(name)) for name in SETTINGS if name != "short"}
    assert len(set(fits.values())) == 1
    wide = replace(request("top"), experiment=experiment(network={"width": 64}))
    assert sweep_signature(wide) != fits["top"]
    assert sweep_signature(replace(request("top"), experiment=experiment(pretrain={"enabled": False}))) is None
