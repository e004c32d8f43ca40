"""The classifier on an embedding: linear, sigmoid, linear."""

from __future__ import annotations

import torch
from torch import Tensor

from scmmlab.model.parameters import Parameters


def classify_embedding(parameters: Parameters, h_RNE: Tensor) -> Tensor:
    """Logits [R, N, classes] of embeddings [R, N, 3D]."""
    u = torch.baddbmm(parameters["fc.bias"].unsqueeze(1), h_RNE, parameters["fc.weight"].transpose(1, 2)).sigmoid()
    return torch.baddbmm(parameters["classifier.bias"].unsqueeze(1), u, parameters["classifier.weight"].transpose(1, 2))
