"""What must hold of the losses whatever the numbers are."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model_packs import SHAPE, experiment, pack, windows
from reference_scmm import reference_soft_weights

from scmmlab.methods.scmm.aggregator import keep_top_k
from scmmlab.methods.scmm.pack_settings import PackSettings
from scmmlab.methods.scmm.pair_softmax import pair_softmax
from scmmlab.methods.scmm.pretraining import Losses, batch_rows, pretraining_gradient
from scmmlab.methods.scmm.soft_weights import cosine_distances, distances, soft_weights

PUBLISHED = experiment()


def losses(x: torch.Tensor, keep: torch.Tensor, **changes: object) -> tuple[Losses, torch.Tensor]:
    parameters, stacked, _ = pack([experiment(**changes)])
    return pretraining_gradient(parameters, x, keep, stacked)


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(7)), st.integers(1, 3), st.sampled_from(["cosine", "euclidean", "manhattan"]))
def test_losses_do_not_change_when_windows_and_their_copies_are_permuted_together(
    order: list[int], views: int, distance: str
) -> None:
    x, keep = windows(1, 7), windows(1, 7 * views, 1) > 0.5
    changes = {"masking__views": views, "contrast__distance": distance}
    one, gradient = losses(x, keep, **changes)
    permuted = keep.unflatten(1, (views, 7))[:, :, order].flatten(1, 2)
    two, same = losses(x[:, order], permuted, **changes)
    for a, b in zip(one, two, strict=True):
        torch.testing.assert_close(a, b)
    torch.testing.assert_close(gradient, same, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("k", [13, 14, 15, 1000])
def test_top_k_that_reaches_all_others_is_the_full_softmax(k: int) -> None:
    x, keep = windows(1, 7), windows(1, 7, 1) > 0.5
    full, k_th = losses(x, keep), losses(x, keep, aggregator__top_k=k)
    assert torch.equal(full[0].total_R, k_th[0].total_R)
    assert torch.equal(full[1], k_th[1])


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 10), st.integers(0, 10_000))
def test_top_k_keeps_the_k_greatest(k: int, seed: int) -> None:
    z = torch.randn(1, 4, 9, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    p = pair_softmax(z, z, None, [k]).kept_RNJ
    full = pair_softmax(z, z, None, [None]).kept_RNJ
    kept = p[0] > 0
    assert bool((kept.sum(1) == min(k, 8)).all())
    torch.testing.assert_close(p.sum(-1), torch.ones(1, 9, dtype=torch.float64))
    assert not kept.diagonal().any()
    for row, all_of_row, mine in zip(p[0], full[0], kept, strict=True):
        assert all_of_row[mine].min() >= all_of_row[~mine].max()
        torch.testing.assert_close(row[mine], all_of_row[mine] / all_of_row[mine].sum())


def test_ties_at_the_kth_place_all_stay() -> None:
    s = torch.tensor([[[-9.0, 3, 2, 2, 2, 1], [1, -9, 1, 1, 1, 1]]])
    p = keep_top_k(s.exp() / s.exp().sum(-1, keepdim=True), s, [2])
    assert (p > 0).int().tolist() == [[[0, 1, 1, 1, 1, 0], [1, 0, 1, 1, 1, 1]]]


def test_similarities_of_thousands_neither_overflow_nor_cancel() -> None:
    z, others = torch.ones(1, 1, 4), 1000 + torch.arange(4.0).view(1, 1, 4)
    truth = others.double().expand(1, 4, 4).clone()
    truth.diagonal(0, 1, 2).fill_(-torch.inf)
    w = 1 - torch.eye(4).unsqueeze(0)
    pairs = pair_softmax(z, others, w, [None])
    torch.testing.assert_close(pairs.p_RNJ.double(), truth.softmax(-1), rtol=1e-6, atol=0)
    expected = -truth.log_softmax(-1)[w > 0].sum()
    torch.testing.assert_close(pairs.contrast_R.double(), expected.view(1), rtol=1e-6, atol=0)


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["cosine", "euclidean", "manhattan"]),
    st.floats(0.05, 1),
    st.floats(0.01, 5),
    st.integers(0, 10_000),
)
def test_soft_weights_are_the_broadcast_ones(distance: str, bound: float, temperature: float, seed: int) -> None:
    chosen = experiment(
        contrast__distance=distance, contrast__upper_bound=bound, contrast__soft_weight_temperature=temperature
    )
    stacked = PackSettings.stack([chosen], [False], "cpu", torch.float64)
    x = batch_rows(windows(1, 6, seed), windows(1, 6, seed + 1) > 0.5, stacked).flatten(2)
    torch.testing.assert_close(soft_weights(x, stacked)[0], reference_soft_weights(x[0], chosen), rtol=1e-8, atol=1e-12)


def test_rows_that_are_all_equal_weigh_the_upper_bound() -> None:
    stacked = PackSettings.stack([PUBLISHED], [False], "cpu", torch.float64)
    w = soft_weights(torch.ones(1, 4, 30, dtype=torch.float64), stacked)
    torch.testing.assert_close(w, torch.full_like(w, PUBLISHED.contrast.upper_bound))


def test_a_row_of_zeros_has_cosine_zero_to_all() -> None:
    x = windows(1, 5).flatten(2)
    x[0, 2] = 0
    expected = 1 - torch.nn.functional.cosine_similarity(x[0, :, None], x[0, None], dim=-1)
    torch.testing.assert_close(cosine_distances(x, x)[0], expected)
    torch.testing.assert_close(cosine_distances(x[:, :2], x)[0], expected[:2])


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_float32_distances_keep_their_digits_among_near_rows(distance: str) -> None:
    x = 5 + 0.01 * windows(1, 40).flatten(2)
    off = ~torch.eye(40, dtype=torch.bool)
    truth = distances(x.float().double(), x.float().double(), distance)[0][off]
    found = distances(x.float(), x.float(), distance)[0][off]
    assert ((found - truth) / truth).abs().max() < 1e-4


def test_the_unused_c_of_the_loss_weights_gets_no_gradient() -> None:
    x, keep = windows(1, 7), windows(1, 7, 1) > 0.5
    for change, unused in (("contrast__enabled", 0), ("reconstruction__enabled", 1)):
        parameters, stacked, _ = pack([experiment(**{change: False})])
        found, _ = pretraining_gradient(parameters, x, keep, stacked)
        gradient = parameters.gradients["awl.params"][0]
        assert gradient[unused] == 0
        assert gradient[1 - unused] != 0
        assert float(found[1 + unused]) == 0


def test_fixed_weights_leave_c_alone() -> None:
    x, keep = windows(1, 7), windows(1, 7, 1) > 0.5
    changes = {"loss__weighting": "fixed", "loss__contrast_weight": 0.5, "loss__reconstruction_weight": 3.0}
    parameters, stacked, _ = pack([experiment(**changes)])
    found, _ = pretraining_gradient(parameters, x, keep, stacked)
    torch.testing.assert_close(found.total_R, 0.5 * found.contrast_R + 3 * found.reconstruction_R)
    assert parameters.gradients["awl.params"].tolist() == [[0, 0]]


def test_without_masks_all_copies_are_plain() -> None:
    x = windows(1, 5)
    rows = batch_rows(x, None, PackSettings.stack([experiment(masking__views=2)], [False], "cpu", torch.float64))
    assert torch.equal(rows, x.repeat(1, 3, 1, 1))


def test_overwritten_originals_make_both_halves_the_same() -> None:
    x, keep = windows(2, 5), windows(2, 5, 1) > 0.5
    stacked = PackSettings.stack([PUBLISHED] * 2, [True, False], "cpu", torch.float64)
    rows = batch_rows(x, keep, stacked)
    assert torch.equal(rows[0, :5], rows[0, 5:])
    assert torch.equal(rows[1, :5], x[1])
    assert torch.equal(rows[:, 5:], x * keep)


def test_shape_counts_the_embedding() -> None:
    assert SHAPE.embedding == 3 * SHAPE.width
