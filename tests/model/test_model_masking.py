"""Masks: how much they hide, in which pattern, and that a replica's do not depend on its neighbours."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model_packs import experiment

from scmmlab.errors import SpecError
from scmmlab.methods.scmm.masking import masks
from scmmlab.methods.scmm.pack_settings import PackSettings

MODES = ("none", "random", "channel", "parallel", "hybrid", "band")
SEEDS = torch.arange(5)


def keep(mode: str, ratio: float = 0.5, threshold: float = 0.1, views: int = 1, windows: int = 400) -> torch.Tensor:
    chosen = experiment(masking__mode=mode, masking__ratio=ratio, masking__threshold=threshold, masking__views=views)
    stacked = PackSettings.stack([chosen], [False], "cpu", torch.float32)
    found = masks(stacked, torch.tensor([3]), 0, 0, windows, 20, 5)
    assert found is not None
    return found[0]


@pytest.mark.parametrize("mode", MODES[1:])
@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.5, 0.9])
def test_masks_keep_one_minus_ratio(mode: str, ratio: float) -> None:
    found = keep(mode, ratio)
    # 8000 channels at least, or 2000 bands, are drawn independently of each other
    draws = 2000 if mode == "band" else 8000
    assert abs(found.double().mean() - (1 - ratio)) <= 5 * (ratio * (1 - ratio) / draws) ** 0.5


def whole_channels(found: torch.Tensor) -> torch.Tensor:
    """Which channels of which copies are all kept or all hidden."""
    return found.all(-1) | ~found.any(-1)


def test_channel_masks_hide_whole_channels() -> None:
    assert whole_channels(keep("channel")).all()


def test_band_masks_hide_whole_bands() -> None:
    found = keep("band")
    assert (found == found[:, :1]).all()
    # bands of a copy are drawn apart from each other
    assert abs(found[:, 0].all(-1).double().mean() - 0.5**5) < 0.03


def test_random_masks_do_not() -> None:
    # by chance 2 · 0.5⁵ of them are whole
    assert abs(whole_channels(keep("random")).double().mean() - 2 * 0.5**5) < 0.02


@pytest.mark.parametrize("threshold", [0.0, 0.3, 1.0])
def test_hybrid_draws_for_each_channel(threshold: float) -> None:
    whole = whole_channels(keep("hybrid", threshold=threshold)).double()
    expected = threshold + (1 - threshold) * 2 * 0.5**5
    assert abs(whole.mean() - expected) < 0.02
    # a channel's choice says nothing about the next one's
    if 0 < threshold < 1:
        assert abs(torch.corrcoef(torch.stack((whole[:, :-1].flatten(), whole[:, 1:].flatten())))[0, 1]) < 0.05


@pytest.mark.parametrize("threshold", [0.0, 0.3, 1.0])
def test_parallel_draws_for_each_copy(threshold: float) -> None:
    copies_by_channel = whole_channels(keep("parallel", threshold=threshold, windows=2000)).all(-1)
    assert abs(copies_by_channel.double().mean() - threshold) < 0.05


def test_no_mask_for_a_pack_that_does_not_mask() -> None:
    stacked = PackSettings.stack([experiment(masking__mode="none")] * 2, [False] * 2, "cpu", torch.float32)
    assert masks(stacked, SEEDS[:2], 0, 0, 4, 6, 5) is None


def test_a_replica_that_does_not_mask_keeps_everything() -> None:
    stacked = PackSettings.stack([experiment(masking__mode="none"), experiment()], [False] * 2, "cpu", torch.float32)
    found = masks(stacked, SEEDS[:2], 0, 0, 4, 6, 5)
    assert found is not None
    assert found[0].all()
    assert not found[1].all()


@settings(max_examples=25, deadline=None)
@given(st.permutations(MODES), st.integers(1, 3), st.integers(0, 1000))
def test_masks_do_not_depend_on_neighbours(modes: list[str], views: int, step: int) -> None:
    ratios = {mode: 0.1 + 0.12 * MODES.index(mode) for mode in MODES}
    experiments = {m: experiment(masking__mode=m, masking__ratio=ratios[m], masking__views=views) for m in MODES}
    seeds = torch.tensor([MODES.index(mode) for mode in modes])
    stacked = PackSettings.stack([experiments[m] for m in modes], [False] * len(modes), "cpu", torch.float32)
    together = masks(stacked, seeds, 4, step, 7, 6, 5)
    assert together is not None
    assert together.shape == (len(modes), 7 * views, 6, 5)
    for r, mode in enumerate(modes):
        alone = masks(
            PackSettings.stack([experiments[mode]], [False], "cpu", torch.float32), seeds[r : r + 1], 4, step, 7, 6, 5
        )
        assert together[r].all() if alone is None else torch.equal(together[r], alone[0])


def test_views_of_one_pack_must_be_equal() -> None:
    with pytest.raises(SpecError, match=r"masking\.views.*\[1, 2\]"):
        PackSettings.stack([experiment(), experiment(masking__views=2)], [False] * 2, "cpu", torch.float32)


def test_originals_are_overwritten_with_one_view_alone() -> None:
    one = PackSettings.stack([experiment()], [True], "cpu", torch.float32)
    two = PackSettings.stack([experiment(masking__views=2)], [True], "cpu", torch.float32)
    assert one.any_overwrite
    assert not two.any_overwrite
