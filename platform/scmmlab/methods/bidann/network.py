"""The network of BiDANN (Li et al. 2018, IJCAI): two recurrent extractors, and a classifier of both.

u = LSTM(LSTM(x₁ … x_T)), v = ReLU(BN(M u)), logits = head([v_left; v_right]): each hemisphere's channels of the windows
of a trial pass a recurrent network of their own, whose outputs are mixed over time.

| symbol | meaning |
|---|---|
| T | time steps: windows of a trial, the last being the one that is told |
| C, F | channels of one side, bands |
| I, H, S | inputs of a recurrent layer, its units, time slots |
| R, B, K | replicas, sequences, classes |
"""

from __future__ import annotations

import torch
from torch import Tensor

from scmmlab.methods.bidann.hemispheres import hemispheres
from scmmlab.methods.bidann.recurrent import initialise_lstm, lstm, lstm_sizes
from scmmlab.methods.bidann.spec import BidannSpec
from scmmlab.methods.contract import InputShape
from scmmlab.methods.network import Mode, Network, Tensors, linear
from scmmlab.replica.parameters import Parameters, Sizes, initialise, linear_sizes, norm_sizes

SIDES = ("left", "right")


class BidannNetwork(Network):
    """BiDANN's extractors and classifier at these settings, for windows of this shape."""

    def __init__(self, spec: BidannSpec, shape: InputShape):
        self._spec, self._shape = spec, shape
        self.time_steps, self.rounded = spec.time_steps, (spec.hidden,)
        self._places = {
            side: torch.tensor(places) for side, places in zip(SIDES, hemispheres(shape.names), strict=True)
        }

    def sizes(self) -> Sizes:
        """Name → shape."""
        spec = self._spec
        sizes: Sizes = {}
        for side, places in self._places.items():
            sizes |= lstm_sizes(f"{side}.lstm_0", len(places) * self._shape.bands, spec.hidden)
            sizes |= lstm_sizes(f"{side}.lstm_1", spec.hidden, spec.hidden)
            sizes |= linear_sizes(f"{side}.time_mix", spec.time_steps, spec.time_slots)
            sizes |= norm_sizes(f"{side}.norm", spec.hidden)
        widths = 2 * spec.time_slots * spec.hidden, spec.dense, spec.dense_last, self._shape.classes
        return sizes | head_sizes("classifier", *widths)

    def initialise(self, parameters: Parameters, seed_R: Tensor) -> None:
        """All layers as PyTorch's."""
        initialise(parameters, seed_R)
        for side in SIDES:
            for layer in range(2):
                initialise_lstm(parameters, f"{side}.lstm_{layer}", seed_R)

    def logits(self, tensors: Tensors, x_RBTCF: Tensor, mode: Mode) -> Tensor:
        """Class logits [R, B, K]."""
        return head(tensors, "classifier", torch.cat(self.extracted(tensors, x_RBTCF, mode), -1), mode)

    def extracted(self, tensors: Tensors, x_RBTCF: Tensor, mode: Mode) -> tuple[Tensor, Tensor]:
        """Features of the left and of the right hemisphere, each [R, B, S·H], slot by slot."""
        left, right = (self._extracted(tensors, side, self.sequences(side, x_RBTCF), mode) for side in SIDES)
        return left, right

    def sequences(self, side: str, x_RBTCF: Tensor) -> Tensor:
        """What a recurrent network gets: of each step all bands of each channel of the side, [R, B, T, C·F]."""
        self._places[side] = self._places[side].to(x_RBTCF.device)
        return x_RBTCF.index_select(3, self._places[side]).flatten(3)

    def _extracted(self, tensors: Tensors, side: str, x_RBTI: Tensor, mode: Mode) -> Tensor:
        u_RBTH = lstm(tensors, f"{side}.lstm_0", x_RBTI)
        u_RBTH = lstm(tensors, f"{side}.lstm_1", mode.dropout(u_RBTH, self._spec.dropout))
        replicas, windows, steps, units = u_RBTH.shape
        over_time_RNT = u_RBTH.transpose(2, 3).reshape(replicas, windows * units, steps)
        slots_RNS = linear(tensors, f"{side}.time_mix", over_time_RNT)
        mixed_RBSH = slots_RNS.view(replicas, windows, units, -1).transpose(2, 3)
        # statistics of a unit are over windows and slots
        normal_RNH = mode.batch_norm(tensors, f"{side}.norm", mixed_RBSH.flatten(1, 2))
        return normal_RNH.relu_().view(replicas, windows, -1)


def head_sizes(name: str, *widths: int) -> Sizes:
    """Learned tensors of three dense layers, the first two of which are normalised."""
    inputs, first, second, outputs = widths
    return (
        linear_sizes(f"{name}.linear_0", inputs, first)
        | linear_sizes(f"{name}.linear_1", first, second)
        | linear_sizes(f"{name}.linear_2", second, outputs)
        | norm_sizes(f"{name}.norm_0", first)
        | norm_sizes(f"{name}.norm_1", second)
    )


def head(tensors: Tensors, name: str, x_RBI: Tensor, mode: Mode) -> Tensor:
    """Linear, ReLU, batch norm, twice, and linear."""
    for layer in range(2):
        x_RBI = linear(tensors, f"{name}.linear_{layer}", x_RBI).relu_()
        x_RBI = mode.batch_norm(tensors, f"{name}.norm_{layer}", x_RBI)
    return linear(tensors, f"{name}.linear_2", x_RBI)
