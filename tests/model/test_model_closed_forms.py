"""Each hand-written gradient is the one that finite differences find, in float64."""

from __future__ import annotations

import pytest
import torch
from torch.autograd import gradcheck

from scmmlab.model import SINGLE_PROCESS
from scmmlab.model.batch_norm import row_weights
from scmmlab.model.convolution import toeplitz, toeplitz_adjoint
from scmmlab.model.encoder import _Encoder
from scmmlab.model.pair_softmax import pair_softmax
from scmmlab.model.pooling import max_pool, max_pool_gradient
from scmmlab.model.projector import _Hidden
from scmmlab.model.reconstruction import squared_error


def numbers(*size: int, seed: int = 0, grad: bool = True) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*size, generator=generator, dtype=torch.float64).requires_grad_(grad)


@pytest.mark.parametrize("top_k", [(None, None), (2, 4), (None, 1)])
@pytest.mark.parametrize("first_row", [0, 3])
def test_pair_softmax(top_k: tuple[int | None, ...], first_row: int) -> None:
    w = torch.rand(2, 4, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    w.diagonal(first_row, 1, 2).zero_()
    inputs = numbers(2, 3, 4), numbers(2, 3, 8, seed=2)
    assert gradcheck(lambda z, others: pair_softmax(z, others, w, top_k, first_row), inputs)


def test_pair_softmax_without_contrast() -> None:
    inputs = numbers(1, 3, 4), numbers(1, 3, 4, seed=2)
    assert gradcheck(lambda z, others: pair_softmax(z, others, None, [None])[0], inputs)


def test_squared_error() -> None:
    assert gradcheck(squared_error, (numbers(2, 3, 4), numbers(2, 3, 4, seed=1, grad=False)))


@pytest.mark.parametrize("masked", [False, True])
def test_encoder(masked: bool) -> None:
    mask = torch.tensor([[True] * 6, [True, False, True, True, False, True]]) if masked else None
    x = numbers(2, 6, 2, 5, grad=False)
    sizes = [(2, 4, 2, 8), (2, 4), (2, 4), (2, 3, 4, 8), (2, 3), (2, 3), (2, 2, 3, 8), (2, 2), (2, 2)]
    weights = [numbers(*size, seed=seed) for seed, size in enumerate(sizes, start=1)]

    def real_rows(*tensors: torch.Tensor) -> torch.Tensor:
        h = _Encoder.apply(x, row_weights(mask, x.dtype), SINGLE_PROCESS, [], *tensors)
        return h if mask is None else h * mask.unsqueeze(1)

    assert gradcheck(real_rows, weights)


def test_hidden_layer_of_the_projector() -> None:
    inputs = numbers(2, 4, 5), numbers(2, 3, 4, seed=1), numbers(2, 3, seed=2), numbers(2, 3, seed=3)
    assert gradcheck(lambda *tensors: _Hidden.apply(*tensors, SINGLE_PROCESS, []), inputs)


@pytest.mark.parametrize("points", [1, 3, 4, 5, 7, 12])
def test_toeplitz_matrix_is_the_convolution(points: int) -> None:
    weight, x = numbers(2, 3, 4, 8, grad=False), numbers(2, 6, 4, points, seed=1, grad=False)
    matrix = toeplitz(weight, points)
    found = (matrix @ x.transpose(2, 3).flatten(2).transpose(1, 2)).view(2, 3, -1, 6)
    expected = torch.stack([torch.nn.functional.conv1d(a, b, padding=4) for a, b in zip(x, weight, strict=True)])
    torch.testing.assert_close(found, expected.permute(0, 2, 3, 1))
    # ⟨toeplitz(w), m⟩ = ⟨w, adjoint(m)⟩
    other = numbers(*matrix.shape, seed=2, grad=False)
    torch.testing.assert_close((matrix * other).sum(), (weight * toeplitz_adjoint(other, 3, points)).sum())


@pytest.mark.parametrize("points", [2, 3, 4, 5, 6, 7])
def test_pooling_is_that_of_pytorch(points: int) -> None:
    # whole numbers, so that there are ties
    u = torch.randint(0, 3, (2, 3, points, 50), generator=torch.Generator().manual_seed(0)).double()
    signals = u.transpose(2, 3).flatten(0, 1).requires_grad_()
    expected = torch.nn.functional.max_pool1d(signals, 2, 2, padding=1)
    pooled = torch.empty(2, 3, expected.shape[-1], 50, dtype=torch.float64)
    max_pool(u, pooled)
    torch.testing.assert_close(pooled, expected.detach().view(2, 3, 50, -1).transpose(2, 3))
    upstream = numbers(*pooled.shape, grad=False)
    (gradient,) = torch.autograd.grad(expected, signals, upstream.transpose(2, 3).reshape(expected.shape))
    found = max_pool_gradient(upstream, u)
    torch.testing.assert_close(found, gradient.view(2, 3, 50, points).transpose(2, 3))
