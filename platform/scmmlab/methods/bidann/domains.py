"""BiDANN's domain discriminators: one of each hemisphere and one of both, behind gradient reversal (Li et al. 2018).

No study can have them: they ask for unlabelled windows of the target, and the method is given none yet. They are here
as a loss, which the golden vectors check.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from scmmlab.methods.bidann.network import head
from scmmlab.methods.gradient_reversal import reverse_gradient
from scmmlab.methods.network import Mode, Tensors, cross_entropy

DISCRIMINATORS = ("left_domain", "right_domain", "global_domain")
"""Names of their layers."""


def domain_logits(
    tensors: Tensors, source: tuple[Tensor, Tensor], target: tuple[Tensor, Tensor], strength: float, mode: Mode
) -> dict[str, Tensor]:
    """Logits of source and target of each discriminator, [R, 2B, 2], rows of the source first.

    Parameters
    ----------
    tensors : mapping
        With the layers of `DISCRIMINATORS`.
    source, target : tuple of Tensor
        Features of the left and of the right hemisphere, each [R, B, S·H], which passed the extractors separately.
    strength : float
        λ of the reversal.
    mode : Mode
        Whose batch norms take the rows of both together.
    """
    left, right = (torch.cat((of_source, of_target), 1) for of_source, of_target in zip(source, target, strict=True))
    seen = dict(zip(DISCRIMINATORS, (left, right, torch.cat((left, right), -1)), strict=True))
    return {name: head(tensors, name, reverse_gradient(x, strength), mode) for name, x in seen.items()}


def domain_losses(logits: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Mean cross-entropy [R] of each discriminator; the first half of the rows is of the source, 0."""
    losses = {}
    for name, logits_RN2 in logits.items():
        rows = logits_RN2.shape[1]
        domain_N = (torch.arange(rows, device=logits_RN2.device) >= rows // 2).to(torch.int64)
        domain_RN = domain_N.expand(len(logits_RN2), -1)
        losses[name] = cross_entropy(logits_RN2, domain_RN, torch.ones_like(domain_RN, dtype=torch.bool))
    return losses
