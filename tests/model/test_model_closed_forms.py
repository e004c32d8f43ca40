"""Each hand-written gradient is the one that finite differences find, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from model_packs import experiment
from torch.autograd import gradcheck

from scmmlab.methods.scmm.adaptive_weights import weigh
from scmmlab.methods.scmm.classifier import NAMES, classifier_backward, classifier_forward
from scmmlab.methods.scmm.encoder import encoder_backward, encoder_forward, encoder_weights
from scmmlab.methods.scmm.pack_settings import PackSettings
from scmmlab.methods.scmm.pair_softmax import pair_gradient, pair_softmax
from scmmlab.methods.scmm.parameters import classifier_sizes, encoder_sizes, pretraining_sizes
from scmmlab.methods.scmm.projector import project, project_backward
from scmmlab.methods.scmm.reconstruction import decode, decode_backward, squared_error
from scmmlab.methods.scmm.shape import Shape
from scmmlab.replica.batch_norm import row_weights
from scmmlab.replica.collectives import SINGLE_PROCESS
from scmmlab.replica.convolution import _placement, toeplitz, toeplitz_adjoint
from scmmlab.replica.parameters import Parameters
from scmmlab.replica.pooling import max_pool, max_pool_gradient, pooling_order

Tensors = tuple[torch.Tensor, ...]
SMALL = Shape(channels=2, width=8, classifier_width=3)


class ByHand(torch.autograd.Function):
    """A forward pass and its hand-written gradient, as `gradcheck` wants them."""

    @staticmethod
    def forward(ctx: Any, forward: Callable, backward: Callable, *inputs: torch.Tensor) -> Any:
        ctx.forward_by_hand, ctx.backward_by_hand, ctx.inputs = forward, backward, inputs
        return forward(*inputs)[0]

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Tensors:
        # a gradient may use up what the forward pass left, and `gradcheck` asks several times
        _, left = ctx.forward_by_hand(*ctx.inputs)
        return None, None, *ctx.backward_by_hand(left, *(grad.clone() for grad in grads))


def agrees(forward: Callable, backward: Callable, inputs: Tensors) -> bool:
    return gradcheck(lambda *tensors: ByHand.apply(forward, backward, *tensors), inputs)


def filled(sizes: dict[str, tuple[int, ...]], values: Tensors = ()) -> Parameters:
    """Two replicas' parameters: random, but for the first ones, which are given."""
    parameters = Parameters(sizes, 2, "cpu", torch.float64)
    parameters.values.copy_(numbers(*parameters.values.shape, seed=9, grad=False))
    for name, value in zip(parameters.names, values, strict=False):
        parameters[name].copy_(value)
    return parameters


def numbers(*size: int, seed: int = 0, grad: bool = True) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*size, generator=generator, dtype=torch.float64).requires_grad_(grad)


@pytest.mark.parametrize("top_k", [(None, None), (2, 4), (None, 1)])
@pytest.mark.parametrize("first_row", [0, 3])
@pytest.mark.parametrize("weighed", [True, False])
@pytest.mark.parametrize("kept", [True, False])
def test_pair_softmax(top_k: tuple[int | None, ...], first_row: int, weighed: bool, kept: bool) -> None:
    w = torch.rand(2, 4, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    w.diagonal(first_row, 1, 2).zero_()

    def forward(z: torch.Tensor, others: torch.Tensor) -> tuple[Any, Any]:
        pairs = pair_softmax(z, others, w if weighed else None, top_k, first_row)
        return (pairs.kept_RNJ if kept else pairs.contrast_R), (pairs, z, others)

    def backward(left: Any, grad: torch.Tensor) -> Tensors:
        pairs, z, others = left
        g = pair_gradient(*((grad, torch.zeros(2, dtype=torch.float64)) if kept else (None, grad)), pairs)
        return others @ g.transpose(1, 2), z @ g

    if kept or weighed:
        assert agrees(forward, backward, (numbers(2, 3, 4), numbers(2, 3, 8, seed=2)))


def test_both_ways_through_the_pairs_add_up() -> None:
    w, z = torch.rand(2, 5, 5, dtype=torch.float64), numbers(2, 3, 5, grad=False)
    d_kept, d_contrast = numbers(2, 5, 5, seed=3, grad=False), numbers(2, seed=4, grad=False)
    for top_k in ([None, None], [2, None]):
        pairs = pair_softmax(z, z, w, top_k)
        one = pair_gradient(d_kept.clone(), torch.zeros_like(d_contrast), pairs)
        other = pair_gradient(None, d_contrast, pairs)
        torch.testing.assert_close(pair_gradient(d_kept.clone(), d_contrast, pairs), one + other)


def test_decoder_and_squared_error() -> None:
    x = numbers(2, 4, 10, grad=False)

    def forward(h: torch.Tensor, *weights: torch.Tensor) -> tuple[Any, Any]:
        parameters = filled({"decoder.weight": (10, 6), "decoder.bias": (10,)}, weights)
        squared, error = squared_error(decode(parameters, h).contiguous(), x)
        return squared, (parameters, h, error)

    def backward(left: Any, grad: torch.Tensor) -> Tensors:
        parameters, h, error = left
        dh = decode_backward((2 * grad[:, None, None] * error).transpose(1, 2), parameters, h)
        return dh, *parameters.gradients.values()

    assert agrees(forward, backward, (numbers(2, 6, 4), numbers(2, 10, 6, seed=1), numbers(2, 10, seed=2)))


@pytest.mark.parametrize("masked", [False, True])
def test_encoder(masked: bool) -> None:
    mask = torch.tensor([[True] * 6, [True, False, True, True, False, True]]) if masked else None
    x, weight = numbers(2, 6, 2, 5, grad=False), row_weights(mask, torch.float64)

    def forward(*weights: torch.Tensor) -> tuple[Any, Any]:
        parameters = filled(encoder_sizes(SMALL), weights)
        done = encoder_forward(encoder_weights(parameters), x, weight, SINGLE_PROCESS)
        return done.h_REN if mask is None else done.h_REN * mask.unsqueeze(1), (parameters, done)

    def backward(left: Any, grad: torch.Tensor) -> Tensors:
        parameters, done = left
        grad = grad if mask is None else grad * mask.unsqueeze(1)
        encoder_backward(grad, done, weight, SINGLE_PROCESS, parameters.gradients)
        return tuple(parameters.gradients.values())

    sizes = encoder_sizes(SMALL).values()
    assert agrees(forward, backward, tuple(numbers(2, *size, seed=seed) for seed, size in enumerate(sizes)))


@pytest.mark.parametrize("other_gradient", [False, True])
def test_projector(other_gradient: bool) -> None:
    shape = Shape(channels=2, width=3)
    sizes = {name: size for name, size in pretraining_sizes(shape).items() if name.startswith("projector.")}

    def forward(h: torch.Tensor, *weights: torch.Tensor) -> tuple[Any, Any]:
        parameters = filled(sizes, weights)
        done = project(parameters, h)
        return done.z_RDN, (parameters, done)

    def backward(left: Any, grad: torch.Tensor) -> Tensors:
        parameters, done = left
        before = torch.ones_like(done.hidden.x_RKN) if other_gradient else None
        dh = project_backward(grad, done, parameters, SINGLE_PROCESS, before)
        return dh - 1 if other_gradient else dh, *parameters.gradients.values()

    inputs = [numbers(2, *size, seed=seed) for seed, size in enumerate(sizes.values(), start=1)]
    assert agrees(forward, backward, (numbers(2, shape.embedding, 5), *inputs))


def test_classifier() -> None:
    sizes = classifier_sizes(SMALL)

    def forward(h: torch.Tensor, *weights: torch.Tensor) -> tuple[Any, Any]:
        parameters = filled(sizes, weights)
        logits, hidden = classifier_forward(tuple(parameters[name] for name in NAMES), h)
        return logits, (parameters, h, hidden)

    def backward(left: Any, grad: torch.Tensor) -> Tensors:
        parameters, h, hidden = left
        return classifier_backward(grad, parameters, h, hidden), *parameters.gradients.values()

    inputs = [numbers(2, *size, seed=seed) for seed, size in enumerate(sizes.values(), start=1)]
    assert agrees(forward, backward, (numbers(2, SMALL.embedding, 4), *inputs))


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_loss_weights(share: float) -> None:
    experiments = [
        experiment(),
        experiment(loss__weighting="fixed", loss__contrast_weight=0.3),
        experiment(contrast__enabled=False),
        experiment(reconstruction__enabled=False),
    ]
    settings = PackSettings.stack(experiments, [False] * 4, "cpu", torch.float64)

    def forward(contrast: torch.Tensor, reconstruction: torch.Tensor, c: torch.Tensor) -> tuple[Any, Any]:
        weighed = weigh(contrast, reconstruction, c, settings, share)
        return weighed.total_R, weighed

    def backward(weighed: Any, grad: torch.Tensor) -> Tensors:
        return *(grad.unsqueeze(1) * weighed.slope_R2).unbind(1), grad.unsqueeze(1) * weighed.d_c_R2

    assert agrees(forward, backward, (numbers(4), numbers(4, seed=1), numbers(4, 2, seed=2)))


@pytest.mark.parametrize("points", [1, 3, 4, 5, 7, 12])
def test_toeplitz_matrix_is_the_convolution(points: int) -> None:
    weight, x = numbers(2, 3, 4, 8, grad=False), numbers(2, 6, 4, points, seed=1, grad=False)
    matrix = toeplitz(weight, points)
    found = (matrix @ x.transpose(2, 3).flatten(2).transpose(1, 2)).view(2, 3, -1, 6)
    expected = torch.stack([torch.nn.functional.conv1d(a, b, padding=4) for a, b in zip(x, weight, strict=True)])
    torch.testing.assert_close(found, expected.permute(0, 2, 3, 1)[:, :, pooling_order(points + 1)])
    # ⟨toeplitz(w), m⟩ = ⟨w, adjoint(m)⟩
    other = numbers(*matrix.shape, seed=2, grad=False)
    expected_sum = (matrix * other).sum()
    # by products with ones and zeros, as a GPU does it: the same numbers
    placement = _placement(points, other.device, other.dtype)
    product = torch.matmul(placement, weight.transpose(2, 3))
    assert torch.equal(product.view_as(matrix), matrix)
    adjoint = torch.matmul(placement.T, other.view(2, 3, len(placement), -1)).transpose(2, 3)
    found_adjoint = toeplitz_adjoint(other, 3, points)
    torch.testing.assert_close(found_adjoint, adjoint)
    torch.testing.assert_close((weight * found_adjoint).sum(), expected_sum)


@pytest.mark.parametrize("points", [2, 3, 4, 5, 6, 7])
def test_pooling_is_that_of_pytorch(points: int) -> None:
    # whole numbers, so that there are ties
    u = torch.randint(0, 3, (2, 3, points, 50), generator=torch.Generator().manual_seed(0)).double()
    order = pooling_order(points)
    signals = u.transpose(2, 3).flatten(0, 1).requires_grad_()
    expected = torch.nn.functional.max_pool1d(signals, 2, 2, padding=1)
    pooled, rise = max_pool(u[:, :, order])
    torch.testing.assert_close(pooled, expected.detach().view(2, 3, 50, -1).transpose(2, 3))
    upstream = numbers(*pooled.shape, grad=False)
    (gradient,) = torch.autograd.grad(expected, signals, upstream.transpose(2, 3).reshape(expected.shape))
    found = torch.full_like(u, torch.nan)
    found[:, :, : pooled.shape[2]] = upstream
    max_pool_gradient(found, rise)
    torch.testing.assert_close(found, gradient.view(2, 3, 50, points).transpose(2, 3)[:, :, order])
