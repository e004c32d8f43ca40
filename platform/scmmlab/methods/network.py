"""A network of R replicas as plain functions of their parameters, with gradients by autograd.

Replicas have nothing in common, so the gradient of the sum of their losses is each one's own gradient. A method brings
a `Network`; `packed` trains it.

| symbol | meaning |
|---|---|
| R, n | replicas, learned numbers of each |
| B | windows of a batch |
| C, F, K | channels, bands, classes |
| N, O | rows and features of a batch norm |
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from scmmlab.replica.batch_norm import EPSILON, Batch, update_running
from scmmlab.replica.parameters import Parameters, Sizes, initialise
from scmmlab.replica.random import stream_words
from scmmlab.replica.replicas import VECTOR, finetuning_replicas, joined, spread

Tensors = Mapping[str, Tensor]
"""Name → learned tensor [R, …]."""


class Network(ABC):
    """What is computed from parameters and windows; it holds no number that is learned."""

    time_steps: int | None = None
    """Windows of a trial that it sees together, the last being the one that is told; None where it sees that one alone.
    With a number its input is [R, B, T, C, F]."""
    rounded: tuple[int, ...] = ()
    """How many numbers of a window go through a function such as exp, element by element, in each layer that has one:
    its last bit depends on where a number lies, so replicas go together on a CPU only if theirs fill whole vectors."""

    @abstractmethod
    def sizes(self) -> Sizes:
        """Name → shape of each learned tensor of one replica."""

    def initialise(self, parameters: Parameters, seed_R: Tensor) -> None:
        """Set `parameters`, which are 0, to what training begins with, each replica by its seed alone."""
        initialise(parameters, seed_R)

    @abstractmethod
    def logits(self, tensors: Tensors, x_RBCF: Tensor, mode: Mode) -> Tensor:
        """Class logits [R, B, K] of scaled windows; dropout and batch norm are those of `mode`."""

    def loss(self, logits_RBK: Tensor, label_RB: Tensor, real_RB: Tensor) -> Tensor:
        """Mean loss [R] of the windows that count, 0 without any: cross-entropy, unless a method has another."""
        return cross_entropy(logits_RBK, label_RB, real_RB)

    def penalise(self, parameters: Parameters) -> Tensor | None:
        """What is added to the loss whatever the windows are, [R]; its gradient is added to `parameters.gradients`.

        In closed form, as it reads every parameter: autograd would pass over them five times. To be called without it.
        """
        return None


class Mode(ABC):
    """How windows pass through a network: in training, or in evaluation."""

    @abstractmethod
    def dropout(self, x: Tensor, probability: float) -> Tensor:
        """The numbers [R, B, …] of a layer, some of them dropped."""

    @abstractmethod
    def batch_norm(self, tensors: Tensors, name: str, y_RNO: Tensor) -> Tensor:
        """``γ (y − mean) / √(var + ε) + β`` for each feature; rows are windows, or equally many parts of each."""


class Evaluation(Mode):
    """With running statistics, and without dropout.

    Parameters
    ----------
    parameters : Parameters
        Whose running statistics are used.
    """

    def __init__(self, parameters: Parameters):
        self._parameters = parameters

    def dropout(self, x: Tensor, probability: float) -> Tensor:
        """All of them."""
        return x

    def batch_norm(self, tensors: Tensors, name: str, y_RNO: Tensor) -> Tensor:
        """By the running mean and variance."""
        mean_RO, var_RO = self._parameters.running_mean[name], self._parameters.running_var[name]
        return _affine(tensors, name, (y_RNO - mean_RO.unsqueeze(1)) / (var_RO.unsqueeze(1) + EPSILON).sqrt())


class Training(Mode):
    """With the statistics of the windows that count, which move the running ones, and with dropout.

    Parameters
    ----------
    parameters : Parameters
        Whose running statistics are moved.
    real_RB : Tensor, bool, shape=(R, B)
        Windows that count.
    streams_2R1 : Tensor, int32, shape=(2, R, 1), or None
        Random words of this step (`replica.random.streams`); None where nothing is dropped.
    """

    def __init__(self, parameters: Parameters, real_RB: Tensor, streams_2R1: Tensor | None):
        self._parameters, self._real_RB, self._streams_2R1 = parameters, real_RB, streams_2R1
        self._drawn = 0

    def dropout(self, x: Tensor, probability: float) -> Tensor:
        """0 with `probability`, in multiples of 2⁻¹⁶, else divided by 1 − p, so that the mean stays."""
        if probability == 0:
            return x
        assert self._streams_2R1 is not None, "a step that drops has random words"
        count = x[0].numel()
        words = -(-count // 2)
        # two draws of 16 bits a word; each layer goes on in the stream where the one before it stopped
        drawn = stream_words(self._streams_2R1, words, self._drawn).view(torch.int16)[:, :count]
        self._drawn += words
        keep = drawn >= min(round(probability * 2**16) - 2**15, 2**15 - 1)
        return x * keep.view(x.shape).to(x.dtype).mul_(1 / (1 - probability))

    def batch_norm(self, tensors: Tensors, name: str, y_RNO: Tensor) -> Tensor:
        """By the mean and variance of the rows that count; two passes, as E[y²] − E[y]² would cancel."""
        parts = y_RNO.shape[1] // self._real_RB.shape[1]
        weight_RN1 = self._real_RB.repeat_interleave(parts, 1).unsqueeze(-1).to(y_RNO.dtype)
        # a replica without rows that count has sums of 0, and divides them by 1
        numbers_R11 = weight_RN1.sum(1, keepdim=True).clamp(min=1)
        mean_R1O = (y_RNO * weight_RN1).sum(1, keepdim=True) / numbers_R11
        centred_RNO = (y_RNO - mean_R1O) * weight_RN1
        var_R1O = centred_RNO.square().sum(1, keepdim=True) / numbers_R11
        with torch.no_grad():
            found = (tensor.detach().transpose(1, 2).unsqueeze(-1) for tensor in (mean_R1O, var_R1O, numbers_R11))
            update_running(self._parameters, [name], [Batch(*found)])
        return _affine(tensors, name, centred_RNO / (var_R1O + EPSILON).sqrt())


def _affine(tensors: Tensors, name: str, normal_RNO: Tensor) -> Tensor:
    return normal_RNO * tensors[f"{name}.weight"].unsqueeze(1) + tensors[f"{name}.bias"].unsqueeze(1)


class _Linear(torch.autograd.Function):
    """``x Wᵀ + b``, with each gradient in the layout of what it is of: autograd would have one of them turned over."""

    @staticmethod
    def forward(ctx: Any, x_RBI: Tensor, weight_ROI: Tensor, bias_RO: Tensor) -> Tensor:
        ctx.save_for_backward(x_RBI, weight_ROI)
        return torch.baddbmm(bias_RO.unsqueeze(1), x_RBI, weight_ROI.transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        (grad_RBO,), (x_RBI, weight_ROI) = gradients, ctx.saved_tensors
        of_x = torch.bmm(grad_RBO, weight_ROI) if ctx.needs_input_grad[0] else None
        return of_x, torch.bmm(grad_RBO.transpose(1, 2), x_RBI), grad_RBO.sum(1)


def linear(tensors: Tensors, name: str, x_RBI: Tensor) -> Tensor:
    """Take ``x Wᵀ + b``, [R, B, O]."""
    y_RBO: Tensor = _Linear.apply(x_RBI, tensors[f"{name}.weight"], tensors[f"{name}.bias"])  # type: ignore[no-untyped-call]
    return y_RBO


def cross_entropy(logits_RBK: Tensor, label_RB: Tensor, real_RB: Tensor) -> Tensor:
    """−1/B Σ_i log p_i[y_i], [R], over the B windows that count; 0 without any."""
    picked_RB = log_softmax(logits_RBK, -1).gather(-1, label_RB.unsqueeze(-1)).squeeze(-1)
    return mean_of_real(-picked_RB, real_RB)


def mean_of_real(values_RB: Tensor, real_RB: Tensor) -> Tensor:
    """Means [R] over the windows that count; 0 without any."""
    weight_RB = real_RB.to(values_RB.dtype)
    return (values_RB * weight_RB).sum(1) / weight_RB.sum(1).clamp(min=1)


class Found(NamedTuple):
    """What a step finds before the parameters move; the gradient is in `Parameters.gradient`."""

    loss_R: Tensor
    """Mean loss of the windows that count, without the penalty."""
    logits_RBK: Tensor


def network_gradient(
    network: Network,
    parameters: Parameters,
    x_RBCF: Tensor,
    label_RB: Tensor,
    real_RB: Tensor,
    streams_2R1: Tensor | None = None,
) -> Found:
    """Losses and logits of one step; the gradient of loss and penalty is written to `parameters.gradient`.

    On a CPU few replicas are computed at a time, so that each one's numbers are the same in any pack; each thread takes
    replicas of its own.

    Parameters
    ----------
    network : Network
        What is computed.
    parameters : Parameters
        Of the pack; the running statistics are moved.
    x_RBCF : Tensor, shape=(R, B, C, F)
        Scaled windows.
    label_RB : Tensor, int64, shape=(R, B)
        Classes; of windows that do not count any class will do.
    real_RB : Tensor, bool, shape=(R, B)
        Windows that count.
    streams_2R1 : Tensor, int32, shape=(2, R, 1), or None
        Random words of the dropout; None where nothing is dropped.
    """
    size = finetuning_replicas(x_RBCF, VECTOR, network.rounded)
    count = -(-len(x_RBCF) // size)
    streams = [None] * count if streams_2R1 is None else streams_2R1.split(size, dim=1)
    pieces = zip(
        parameters.parts(size), x_RBCF.split(size), label_RB.split(size), real_RB.split(size), streams, strict=True
    )
    losses, logits = zip(*spread(partial(_gradient, network), pieces), strict=True)
    return Found(joined(losses), joined(logits))


def _gradient(
    network: Network,
    parameters: Parameters,
    x_RBCF: Tensor,
    label_RB: Tensor,
    real_RB: Tensor,
    streams_2R1: Tensor | None,
) -> tuple[Tensor, Tensor]:
    # a thread of its own is in inference mode, which records nothing
    with torch.inference_mode(False), torch.enable_grad():
        leaves = {name: parameters[name].detach().requires_grad_() for name in parameters.names}
        logits_RBK = network.logits(leaves, x_RBCF, Training(parameters, real_RB, streams_2R1))
        loss_R = network.loss(logits_RBK, label_RB, real_RB)
        gradients = torch.autograd.grad(loss_R.sum(), list(leaves.values()), materialize_grads=True)
    with torch.no_grad():
        for name, gradient in zip(leaves, gradients, strict=True):
            parameters.gradients[name].copy_(gradient)
        network.penalise(parameters)
    return loss_R.detach(), logits_RBK.detach()


@torch.inference_mode()
def network_logits(network: Network, parameters: Parameters, x_RBCF: Tensor) -> Tensor:
    """Class logits [R, B, K] of scaled windows, with running statistics and without dropout."""
    size = finetuning_replicas(x_RBCF, VECTOR, network.rounded)

    def predict(part: Parameters, x: Tensor) -> Tensor:
        return network.logits({name: part[name] for name in part.names}, x, Evaluation(part))

    return joined(spread(predict, zip(parameters.parts(size), x_RBCF.split(size), strict=True)))
