"""A variant is the base with its changes, and nothing else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scmmlab.config import HonestProtocol, LosoProtocol, ReleasedProtocol, resolve_variant
from scmmlab.errors import SpecError
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
    one = resolve_variant(ScmmSpec(), {"protocol.zero_grad": True, "protocol.kind": "released"})
    two = resolve_variant(ScmmSpec(), {"protocol": {"kind": "released", "zero_grad": True}})
    assert one == two
    assert isinstance(one.protocol, ReleasedProtocol)
    assert one.protocol.zero_grad


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
        ({"protocol.zero_grad": True}, "Unknown key 'protocol.zero_grad'"),
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
