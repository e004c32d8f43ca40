"""A key changes with what matters, and with nothing else."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from study_fakes import CHANNELS, manifest, transfer

from scmmlab.config import CorpusSelection, resolve_variant
from scmmlab.config.code_digest import Code
from scmmlab.methods.scmm.spec import ScmmSpec
from scmmlab.study import keys
from scmmlab.study.keys import cell_key, pretrain_key, sweep_key

SOURCE, TARGET = manifest("one"), manifest("two")


def both(changes: dict[str, Any], **other: Any) -> tuple[str | None, str]:
    """The pre-training's key and the cell's, of the default experiment with `changes`."""
    experiment = resolve_variant(ScmmSpec(), changes)
    facts: dict[str, Any] = {
        "transfer": transfer(),
        "source": SOURCE,
        "target": TARGET,
        "channels": CHANNELS,
        "seed": 0,
        **other,
    }
    target = facts.pop("target")
    return pretrain_key(experiment, **facts), cell_key(experiment, target=target, **facts)


MATTERS_TO_PRETRAINING = [
    {"network.width": 64},
    {"masking.mode": "random"},
    {"masking.mode": "none"},
    {"masking.ratio": 0.4},
    {"masking.threshold": 0.2},
    {"masking.views": 2},
    {"contrast.enabled": False},
    {"contrast.weights": "hard"},
    {"contrast.distance": "manhattan"},
    {"contrast.upper_bound": 0.4},
    {"contrast.soft_weight_temperature": 0.1},
    {"contrast.temperature": 0.4},
    {"aggregator.enabled": False},
    {"aggregator.top_k": 8},
    {"reconstruction.enabled": False},
    {"loss.weighting": "fixed"},
    {"pretrain.epochs": 3},
    {"pretrain.batch_size": 64},
    {"pretrain.optimizer.learning_rate": 1e-3},
    {"pretrain.optimizer.beta1": 0.8},
    {"pretrain.optimizer.beta2": 0.8},
    {"pretrain.optimizer.weight_decay": 0.0},
    {"pretrain.optimizer.schedule": "constant"},
    {"scaling": "standard"},
    {"precision": "bf16"},
    {"protocol.kind": "released"},
]

MATTERS_AFTER_PRETRAINING = [
    {"network.classifier_width": 64},
    {"finetune.epochs": 3},
    {"finetune.batch_size": 64},
    {"finetune.freeze_encoder": True},
    {"finetune.optimizer.learning_rate": 1e-3},
    {"finetune.optimizer.schedule": "constant"},
    {"protocol.subjects_per_fold": 2},
    {"protocol.trial_order": "time_within_class"},
    {"protocol.finetune_trials": 9},
    {"protocol.finetune_share": 0.5},
    {"protocol.validation_share": 0.5},
    {"protocol.epoch_selection": "best_validation"},
    {"protocol.kind": "loso"},
    {"protocol.kind": "zero_shot"},
    {"protocol.kind": "released", "masking.overwrite_originals": False, "pretrain.batches": "all"},
]

RELEASED = {"protocol.kind": "released"}
FIXED = {"loss.weighting": "fixed"}


def test_precision_matters_to_fine_tuning_without_pretraining():
    given = {"pretrain.enabled": False}
    assert both(given)[1] != both({**given, "precision": "bf16"})[1]


@pytest.mark.parametrize("change", MATTERS_TO_PRETRAINING, ids=str)
def test_what_matters_to_pretraining_changes_both_keys(change):
    (pretrain, cell), (changed_pretrain, changed_cell) = both({}), both(change)
    assert changed_pretrain != pretrain
    assert changed_cell != cell


@pytest.mark.parametrize("change", MATTERS_AFTER_PRETRAINING, ids=str)
def test_cells_that_differ_after_pretraining_share_it(change):
    (pretrain, cell), (changed_pretrain, changed_cell) = both({}), both(change)
    assert changed_pretrain == pretrain
    assert changed_cell != cell


@pytest.mark.parametrize(
    ("given_that", "change"),
    [
        ({"masking.mode": "none"}, {"masking.ratio": 0.1, "masking.threshold": 0.9}),
        ({"masking.mode": "random"}, {"masking.threshold": 0.9}),
        ({"masking.mode": "channel"}, {"masking.threshold": 0.9}),
        (
            {"contrast.enabled": False},
            {
                "contrast.weights": "hard",
                "contrast.distance": "euclidean",
                "contrast.upper_bound": 0.1,
                "contrast.soft_weight_temperature": 1.0,
            },
        ),
        ({"contrast.enabled": False, "aggregator.enabled": False}, {"contrast.temperature": 1.0}),
        ({"contrast.enabled": False, **FIXED}, {"loss.contrast_weight": 0.1}),
        (
            {"contrast.weights": "hard"},
            {"contrast.distance": "euclidean", "contrast.upper_bound": 0.1, "contrast.soft_weight_temperature": 1.0},
        ),
        ({"aggregator.enabled": False}, {"aggregator.top_k": 8}),
        ({"reconstruction.enabled": False}, {"aggregator.enabled": False, "aggregator.top_k": 8}),
        ({"reconstruction.enabled": False, **FIXED}, {"loss.reconstruction_weight": 0.1}),
        ({}, {"loss.contrast_weight": 0.1, "loss.reconstruction_weight": 0.1}),
        (
            {"pretrain.enabled": False},
            {
                "pretrain.epochs": 3,
                "masking.mode": "none",
                "contrast.enabled": False,
                "aggregator.top_k": 8,
                "loss.weighting": "fixed",
            },
        ),
        ({"protocol.finetune_trials": 9}, {"protocol.finetune_share": 0.3}),
        (
            {**RELEASED, "protocol.split": "leave_subjects_out"},
            {
                "protocol.trial_order": "time_within_class",
                "protocol.finetune_trials": 3,
                "protocol.finetune_share": 0.3,
            },
        ),
        ({**RELEASED, "masking.views": 2}, {"masking.overwrite_originals": False}),
        ({**RELEASED, "masking.mode": "none"}, {"masking.overwrite_originals": False}),
        ({**RELEASED, "scaling": "none"}, {"protocol.scale_each_part": False}),
        (RELEASED, {"finetune.optimizer.schedule": "constant"}),
        (
            {**RELEASED, "pretrain.enabled": False},
            {"masking.overwrite_originals": False, "pretrain.batches": "all"},
        ),
    ],
    ids=str,
)
def test_what_does_not_matter_changes_no_key(given_that, change):
    assert both({**given_that, **change}) == both(given_that)


@pytest.mark.parametrize(
    "change",
    [
        {"protocol.split": "leave_subjects_out"},
        {"protocol.scale_each_part": False},
        {"finetune.zero_grad": True},
        {"finetune.reload_best_training": False},
        {"finetune.constant_learning_rate": False},
        {"protocol.accuracy": "all_windows"},
        {"protocol.epoch_selection": "last"},
    ],
    ids=str,
)
def test_each_quirk_after_pretraining_changes_the_cell_alone(change):
    (pretrain, cell), (changed_pretrain, changed_cell) = both(RELEASED), both({**RELEASED, **change})
    assert changed_pretrain == pretrain
    assert changed_cell != cell


@pytest.mark.parametrize("change", [{"masking.overwrite_originals": False}, {"pretrain.batches": 3}], ids=str)
def test_each_quirk_of_pretraining_changes_both(change):
    assert not set(both(RELEASED)) & set(both({**RELEASED, **change}))


@pytest.mark.parametrize(
    ("given_that", "change"),
    [
        (FIXED, {"loss.contrast_weight": 0.1}),
        (FIXED, {"loss.reconstruction_weight": 0.1}),
        ({"contrast.enabled": False}, {"contrast.temperature": 1.0}),
        ({"contrast.enabled": False}, {"loss.weighting": "fixed"}),
        ({"reconstruction.enabled": False}, {"contrast.temperature": 1.0}),
        ({"masking.mode": "parallel"}, {"masking.threshold": 0.9}),
        ({"masking.mode": "none"}, {"masking.views": 2}),
    ],
    ids=str,
)
def test_what_still_matters_changes_both_keys(given_that, change):
    assert not set(both(given_that)) & set(both({**given_that, **change}))


def test_no_pretraining_has_no_key():
    assert both({"pretrain.enabled": False})[0] is None


def test_honest_and_left_out_subjects_share_pretraining_but_no_cell():
    names = [{"protocol.kind": kind} for kind in ("honest", "loso", "zero_shot")]
    assert len({both(name)[0] for name in names}) == 1
    assert len({both(name)[1] for name in names}) == 3


def test_seed_and_data_change_both_keys():
    changed = [
        both({}, seed=1),
        both({}, source=manifest("one", fingerprint="other")),
        both({}, channels=CHANNELS[:3]),
        both({}, channels=CHANNELS[::-1]),
        both({}, transfer=transfer(source=CorpusSelection(table="tables/one", subjects=(0, 1)))),
        both({}, transfer=transfer(source=CorpusSelection(table="tables/one", sessions=(1,)))),
        both({}, transfer=transfer(source=CorpusSelection(table="tables/one", classes=("rest", "task")))),
    ]
    for pair in zip(*changed, strict=True):
        assert len(set(pair)) == len(changed)


def test_the_target_changes_the_cell_alone():
    changed = [
        both({}, target=manifest("two", fingerprint="other")),
        both({}, transfer=transfer(target=CorpusSelection(table="tables/two", subjects=(0, 1)))),
        both({}, transfer=transfer(target=CorpusSelection(table="tables/two", classes=("task", "rest", "sleep")))),
    ]
    assert {pretrain for pretrain, _ in changed} == {both({})[0]}
    assert len({cell for _, cell in changed} | {both({})[1]}) == 4


def test_how_a_selection_is_written_changes_no_key():
    everyone = CorpusSelection(table="elsewhere", subjects=tuple(reversed(range(8))), classes=("rest", "task", "sleep"))
    assert both({}, transfer=transfer(source=everyone, target=everyone, name="other")) == both({})
    assert both({}, channels=tuple(name.upper() for name in CHANNELS)) == both({})


def test_the_order_of_the_sources_classes_matters_to_zero_shot_alone():
    turned = transfer(source=CorpusSelection(table="tables/one", classes=("task", "rest", "sleep")))
    assert both({}, transfer=turned) == both({})
    pretrain, cell = both({"protocol.kind": "zero_shot"}, transfer=turned)
    assert pretrain == both({})[0]
    assert cell != both({"protocol.kind": "zero_shot"})[1]


def mapped(side, **classes):
    return transfer(**{side: CorpusSelection(table=f"tables/{'one' if side == 'source' else 'two'}", classes=classes)})


def test_a_class_map_of_the_target_changes_the_cell_alone():
    maps = [
        {"calm": ["rest", "sleep"], "busy": ["task"]},
        {"busy": ["task"], "calm": ["rest", "sleep"]},
        {"calm": ["rest"], "busy": ["task", "sleep"]},
        {"calm": ["rest"], "busy": ["task"]},
    ]
    changed = [both({}, transfer=mapped("target", **classes)) for classes in maps]
    assert {pretrain for pretrain, _ in changed} == {both({})[0]}
    assert len({cell for _, cell in changed}) == len(maps)


def test_a_class_map_that_changes_nothing_changes_no_key():
    same = mapped("target", rest=["rest"], task=["task"], sleep=["sleep"])
    assert both({}, transfer=same) == both({})
    first, second = (
        mapped("target", calm=list(names), busy=["task"]) for names in (["rest", "sleep"], ["sleep", "rest"])
    )
    assert both({}, transfer=first) == both({}, transfer=second)


def test_of_the_sources_class_map_only_the_windows_matter_without_labels():
    joined = mapped("source", calm=["rest", "sleep"], busy=["task"])
    assert both({}, transfer=joined) == both({})
    assert both({"protocol.kind": "zero_shot"}, transfer=joined)[1] != both({"protocol.kind": "zero_shot"})[1]
    without_sleep = mapped("source", calm=["rest"], busy=["task"])
    assert both({}, transfer=without_sleep)[0] != both({})[0]


def test_where_a_setting_was_written_and_what_a_study_allows_change_no_key():
    assert both({}, transfer=transfer(set={"finetune.epochs": 3}, mixed_features=True)) == both({})


def test_other_numerics_change_both_keys(monkeypatch):
    before = both({})
    monkeypatch.setattr(keys, "NUMERICS_VERSION", "next")
    assert not set(before) & set(both({}))


def test_code_that_is_not_known_has_keys_of_its_own(monkeypatch):
    pairs = [both({})]
    for code in (
        Code("a", True, ()),
        Code("a", False, ("methods/scmm/contrast",)),
        Code("b", False, ("methods/scmm/contrast",)),
    ):
        monkeypatch.setattr(keys, "installed_code", lambda scope, code=code: code)
        pairs.append(both({}))
    released, known, one, other = pairs
    assert known == released
    assert len({*released, *one, *other}) == 6


def test_a_sweep_setting_does_not_know_of_finetuning():
    def key(changes):
        experiment = resolve_variant(ScmmSpec(), changes)
        return sweep_key(experiment, transfer(), SOURCE, TARGET, CHANNELS, 0, report_every=5)

    assert key({"finetune.epochs": 1, "protocol.epoch_selection": "best_validation"}) == key({})
    assert key({"protocol.validation_share": 0.5}) != key({})
    assert key({"masking.ratio": 0.1}) != key({})
    without = {"pretrain.enabled": False}
    assert key(without) != key({})
    assert key({**without, "network.width": 64}) != key(without)


@settings(max_examples=40, deadline=None)
@given(ratio=st.floats(0, 0.99), other=st.floats(0, 0.99), seed=st.integers(0, 9), other_seed=st.integers(0, 9))
def test_keys_are_equal_exactly_when_what_matters_is(ratio, other, seed, other_seed):
    same = both({"masking.ratio": ratio}, seed=seed) == both({"masking.ratio": other}, seed=other_seed)
    assert same == ((ratio, seed) == (other, other_seed))
