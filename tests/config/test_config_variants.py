"""A variant is the base with its changes, and nothing else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scmmlab.config import ExperimentSpec, HonestProtocol, LosoProtocol, ReleasedProtocol, resolve_variant
from scmmlab.errors import MovedSettingWarning, SpecError
from scmmlab.methods.scmm.spec import MaskingSpec, ScmmSpec


def test_no_change_is_the_base():
    base = ScmmSpec(masking=MaskingSpec(ratio=0.3), protocol=LosoProtocol(subjects_per_fold=2))
    assert resolve_variant(base, {}) == base


def test_a_mapping_changes_the_keys_that_it_names():
    base = ScmmSpec(masking=MaskingSpec(ratio=0.3))
    assert resolve_variant(base, {"masking": {"mode": "none"}}) == resolve_variant(base, {"masking.mode": "none"})
    assert resolve_variant(base, {"masking": {"mode": "none"}}).masking.ratio == 0.3


def test_another_protocol_keeps_what_was_set_and_means_the_same():
    base = ScmmSpec(
        protocol=HonestProtocol(
            subjects_per_fold=3,
            trial_order="time_within_class",
            finetune_trials=9,
            finetune_share=0.5,
            epoch_selection="best_validation",
        )
    )
    released = resolve_variant(base, {"protocol.kind": "released"}).protocol
    assert released == ReleasedProtocol(
        subjects_per_fold=3, trial_order="time_within_class", finetune_trials=9, finetune_share=0.5
    )
    assert released.epoch_selection == "best_test"
    loso = resolve_variant(base, {"protocol.kind": "loso"}).protocol
    assert loso == LosoProtocol(subjects_per_fold=3, epoch_selection="best_validation")


def test_a_quirk_may_stand_before_the_kind_that_has_it():
    one = resolve_variant(ScmmSpec(), {"protocol.scale_each_part": False, "protocol.kind": "released"})
    two = resolve_variant(ScmmSpec(), {"protocol": {"kind": "released", "scale_each_part": False}})
    assert one == two
    assert isinstance(one.protocol, ReleasedProtocol)
    assert not one.protocol.scale_each_part


@pytest.mark.parametrize(
    ("old", "value", "new", "present"),
    [
        ("overwrite_originals", False, "masking.overwrite_originals", False),
        ("pretrain_batches", 3, "pretrain.batches", 3),
        ("pretrain_batches", None, "pretrain.batches", "all"),
        ("zero_grad", True, "finetune.zero_grad", True),
        ("reload_best_training", False, "finetune.reload_best_training", False),
        ("constant_learning_rate", False, "finetune.constant_learning_rate", False),
    ],
)
def test_a_path_that_a_setting_had_is_read_as_the_one_that_it_has_and_said(old, value, new, present):
    said = f"'protocol.{old}' is now '{new}'"
    with pytest.warns(MovedSettingWarning, match=said):
        dotted = resolve_variant(ScmmSpec(), {"protocol.kind": "released", f"protocol.{old}": value})
    with pytest.warns(MovedSettingWarning, match=said):
        nested = ExperimentSpec.model_validate({"protocol": {"kind": "released", old: value}})
    assert dotted == nested == resolve_variant(ScmmSpec(), {"protocol.kind": "released", new: present})
    with pytest.raises(SpecError, match="changed twice"):
        resolve_variant(ScmmSpec(), {"protocol.kind": "released", f"protocol.{old}": value, new: present})


def test_quirks_are_on_under_the_protocol_that_has_them_and_can_be_set_under_any():
    honest, released = ScmmSpec(), resolve_variant(ScmmSpec(), {"protocol.kind": "released"})
    assert honest.quirks_in_words() == []
    assert len(released.quirks_in_words()) == 5
    assert released.pretrain_windows(10_000) == 10 * 256
    assert resolve_variant(released, {"pretrain.batches": "all"}).pretrain_windows(10_000) == 10_000
    assert not resolve_variant(honest, {"finetune.zero_grad": False}).zeroes_gradients
    assert released.resolved().resolved() == released.resolved()
    assert released.without_quirks().quirks_in_words() == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"agregator.enabled": False}, "did you mean 'aggregator'?"),
        ({"masking.ration": 0.1}, "Unknown key 'masking.ration'"),
        ({"masking.ratio": 1.2}, "it must lie in [0, 1), got 1.2"),
        ({"masking.ratio": "0.2"}, "it must be a number, got '0.2'"),
        ({"pretrain.epochs": True}, "it must be a whole number, got true"),
        ({"aggregator.enabled": "no"}, "it must be true or false, got 'no'"),
        ({"aggregator.top_k": 0}, "it must be at least 1, got 0"),
        ({"masking.mode": "hybird"}, "got 'hybird'; did you mean 'hybrid'?"),
        ({"masking": 3}, "it must be a mapping of keys to values, got 3"),
        ({"masking.mode.x": 3}, "'masking.mode'"),
        ({"masking.mode": "none", "masking": {"mode": "random"}}, "it is changed twice"),
        ({"protocol.kind": "relesed"}, "did you mean 'released'?"),
        ({"protocol.scale_each_part": True}, "Unknown key 'protocol.scale_each_part'"),
        ({"method": "scm"}, "did you mean 'scmm'?"),
        ({"method": 3}, "Invalid value for 'method'"),
        (
            {"contrast.enabled": False, "reconstruction.enabled": False},
            "neither the contrastive nor the reconstruction loss takes part",
        ),
    ],
)
def test_a_wrong_change_is_refused_with_its_path(changes, expected):
    with pytest.raises(SpecError) as caught:
        resolve_variant(ScmmSpec(), changes)
    assert expected in str(caught.value)


@settings(max_examples=30, deadline=None)
@given(
    ratio=st.floats(0, 0.99),
    epochs=st.integers(1, 500),
    top_k=st.none() | st.integers(1, 99),
    order=st.permutations([0, 1, 2]),
)
def test_the_order_of_changes_has_no_meaning(ratio, epochs, top_k, order):
    changes = [("masking.ratio", ratio), ("pretrain.epochs", epochs), ("aggregator.top_k", top_k)]
    resolved = resolve_variant(ScmmSpec(), dict(changes[i] for i in order))
    assert (resolved.masking.ratio, resolved.pretrain.epochs, resolved.aggregator.top_k) == (ratio, epochs, top_k)
