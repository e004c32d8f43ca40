"""Long short-term memory along the replica axis (Hochreiter & Schmidhuber 1997), in PyTorch's layout.

i, f, g, o = W x_t + b + U h_{t−1} + b′; c_t = σ(f) c_{t−1} + σ(i) tanh(g); h_t = σ(o) tanh(c_t); h₀ = c₀ = 0.

Legend: R replica, B sequence, T time step, I input, H unit; 4H stands for the gates input, forget, cell, output.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from scmmlab.methods.network import Tensors
from scmmlab.replica.parameters import Parameters, Sizes
from scmmlab.replica.random import uniform


def lstm_sizes(name: str, inputs: int, units: int) -> Sizes:
    """Learned tensors of a layer."""
    return {
        f"{name}.weight_ih": (4 * units, inputs),
        f"{name}.weight_hh": (4 * units, units),
        f"{name}.bias_ih": (4 * units,),
        f"{name}.bias_hh": (4 * units,),
    }


def initialise_lstm(parameters: Parameters, name: str, seed_R: Tensor) -> None:
    """Set a layer to what PyTorch begins with: uniform within ± 1/√H."""
    bound = 1 / math.sqrt(parameters.sizes[f"{name}.weight_hh"][1])
    for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        view = parameters[f"{name}.{kind}"]
        drawn = uniform(seed_R, f"initial {name}.{kind}", 0, 0, view[0].numel()).to(view.dtype)
        view.copy_(((2 * drawn - 1) * bound).view(view.shape))


def lstm(tensors: Tensors, name: str, x_RBTI: Tensor) -> Tensor:
    """Outputs h of all steps, [R, B, T, H]."""
    w_ih, w_hh, b_ih, b_hh = (tensors[f"{name}.{kind}"] for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    replicas, rows, steps, _ = x_RBTI.shape
    bias_R41 = (b_ih + b_hh).unsqueeze(-1)
    # what the inputs say to the gates, of all steps at once; rows last, so that gates lie in whole blocks
    of_inputs_R4N = torch.baddbmm(bias_R41, w_ih, x_RBTI.transpose(1, 2).flatten(1, 2).transpose(1, 2))
    c_RHB = x_RBTI.new_zeros(replicas, w_hh.shape[2], rows)
    h_RHB = c_RHB
    outputs: list[Tensor] = []
    for step_R4B in of_inputs_R4N.view(replicas, -1, steps, rows).unbind(2):
        gates_R4B = torch.baddbmm(step_R4B, w_hh, h_RHB) if outputs else step_R4B
        i, f, g, o = gates_R4B.chunk(4, 1)
        c_RHB = f.sigmoid() * c_RHB + i.sigmoid() * g.tanh()
        h_RHB = o.sigmoid() * c_RHB.tanh()
        outputs.append(h_RHB)
    return torch.stack(outputs, 2).permute(0, 3, 2, 1)
