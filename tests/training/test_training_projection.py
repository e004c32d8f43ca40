"""The projected study has the windows that the corpora have, and its hours follow from rates by plain arithmetic."""

from __future__ import annotations

import pytest

from scmmlab.benchmarks import projection
from scmmlab.benchmarks.projection import TARGETS, pretraining_steps, project
from scmmlab.corpora import deap_facts, seed_facts, seed_facts_iv


def first_four_trials(classes):
    labels, windows = seed_facts_iv.LABELS[0], seed_facts_iv.WINDOWS[0]
    trials = {own: [count for count, label in zip(windows, labels, strict=True) if label == own] for own in classes}
    return sum(sum(counts[:4]) for counts in trials.values())


def test_windows_are_those_of_the_corpora():
    assert 15 * 3 * sum(seed_facts.SECONDS) == projection.SEED_WINDOWS
    fear = seed_facts_iv.CLASSES.index("fear")
    sessions = zip(seed_facts_iv.WINDOWS, seed_facts_iv.LABELS, strict=True)
    kept = sum(w for windows, labels in sessions for w, own in zip(windows, labels, strict=True) if own != fear)
    assert len(seed_facts_iv.DATES) * kept == projection.SEED_IV_WINDOWS
    assert projection.DEAP_WINDOWS == deap_facts.SUBJECTS * deap_facts.VIDEOS * deap_facts.VIDEO_S
    assert TARGETS["SEED-IV to SEED"].windows == sum(seed_facts.SECONDS[:9])
    assert TARGETS["SEED to SEED-IV"].windows == first_four_trials((0, 1, 3))
    assert TARGETS["SEED to SEED-IV, four classes"].windows == first_four_trials((0, 1, 2, 3))
    assert TARGETS["SEED to DEAP, valence"].windows == 24 * deap_facts.VIDEO_S


def test_steps_are_those_of_the_plan():
    assert pretraining_steps()["SEED-IV, for SEED"] == 200 * 110
    assert pretraining_steps()["DEAP, for SEED"] == 200 * 300
    assert TARGETS["SEED-IV to SEED"].steps == 15 * 50 * 16
    assert TARGETS["SEED to DEAP, arousal"].steps == 32 * 500 * 12


def test_hours_follow_from_the_best_pack_and_the_number_of_workers():
    rates = {"pretrain": {"packed": {"1": 50.0, "4": 100.0}}, "finetune": {"packed": {"1": 400.0, "15": 300.0}}}
    found = project(rates, workers=2)
    pretrain = 8 * 5 * sum(pretraining_steps().values())
    finetune = 10 * 5 * sum(target.steps for target in TARGETS.values())
    assert found["hours"] == pytest.approx((pretrain / 200 + finetune / 800) / 3600)
    assert "packs of 4 × 2" in found["arithmetic"][1]
    assert f"{finetune:,} steps / (400 a second in packs of 1 × 2)" in found["arithmetic"][3]
