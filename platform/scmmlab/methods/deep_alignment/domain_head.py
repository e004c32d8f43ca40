"""A classifier of domains behind gradient reversal (DANN, Ganin & Lempitsky 2015).

z = W₂ drop(ReLU(W₁ f + b₁)) + b₂,  L = CE(z_s, 0) + CE(z_t, 1)

Its layers descend L, and learn to tell target from source; features climb λ L, so that it cannot.

Legend: R replica, D number of a feature vector, H hidden unit, N and M row of source and target, J row of both, the
source's first.
"""

from __future__ import annotations

import torch
from torch import Tensor

from scmmlab.methods.deep_alignment.alignment import Alignment, Pull
from scmmlab.methods.network import Training
from scmmlab.replica.cross_entropy import cross_entropy
from scmmlab.replica.parameters import Parameters, Sizes, linear_sizes

LAYERS = ("domain_0", "domain_1")
"""Names of the two linear layers."""


class DomainHead(Alignment):
    """The head, and the reversed gradient of its loss.

    Parameters
    ----------
    width : int
        Hidden units.
    dropout : float
        Probability that one of them is dropped.
    """

    def __init__(self, width: int, dropout: float):
        self._width, self._dropout = width, dropout
        self.draws = dropout > 0

    def sizes(self, features: int) -> Sizes:
        """Name → shape of the two layers."""
        first, last = LAYERS
        return linear_sizes(first, features, self._width) | linear_sizes(last, self._width, 2)

    def logits(self, learned: Parameters, f_RDJ: Tensor, scale_RHJ: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the two domains [R, 2, J], and the hidden units [R, H, J].

        Parameters
        ----------
        learned : Parameters
            The layers.
        f_RDJ : Tensor
            Features.
        scale_RHJ : Tensor
            What the dropout multiplies hidden units by.
        """
        first, last = LAYERS
        hidden_RHJ = torch.baddbmm(learned[f"{first}.bias"].unsqueeze(-1), learned[f"{first}.weight"], f_RDJ)
        hidden_RHJ = hidden_RHJ.clamp_(min=0).mul_(scale_RHJ)
        return torch.baddbmm(learned[f"{last}.bias"].unsqueeze(-1), learned[f"{last}.weight"], hidden_RHJ), hidden_RHJ

    def __call__(
        self,
        source_RDN: Tensor,
        target_RDM: Tensor,
        real_RN: Tensor,
        target_real_RM: Tensor,
        learned: Parameters | None = None,
        streams_2R1: Tensor | None = None,
    ) -> Pull:
        """Sum of the mean cross-entropies of both domains, and its reversed gradient."""
        assert learned is not None, "a domain classifier learns"
        f_RDJ = torch.cat((source_RDN, target_RDM), 2)
        rows = [source_RDN.shape[2], target_RDM.shape[2]]
        scale_RHJ = f_RDJ.new_ones(len(f_RDJ), self._width, sum(rows))
        scale_RHJ = Training(learned, real_RN, streams_2R1).dropout(scale_RHJ, self._dropout)
        logits_R2J, hidden_RHJ = self.logits(learned, f_RDJ, scale_RHJ)
        parts = [
            cross_entropy(own, torch.full_like(real, domain, dtype=torch.int64), real)
            for domain, (own, real) in enumerate(zip(logits_R2J.split(rows, 2), (real_RN, target_real_RM), strict=True))
        ]
        (loss_R, grad), (target_loss_R, target_grad) = parts
        grad_R2J = torch.cat((grad, target_grad), 2)

        (first, last), gradients = LAYERS, learned.gradients
        da_RHJ = torch.bmm(learned[f"{last}.weight"].transpose(1, 2), grad_R2J).mul_(scale_RHJ)
        # where a unit was dropped, `scale` is 0 already
        da_RHJ.masked_fill_(hidden_RHJ == 0, 0.0)
        for name, upstream, inputs in ((first, da_RHJ, f_RDJ), (last, grad_R2J, hidden_RHJ)):
            torch.bmm(upstream, inputs.transpose(1, 2), out=gradients[f"{name}.weight"])
            torch.sum(upstream, -1, out=gradients[f"{name}.bias"])
        pull_RDJ = torch.bmm(learned[f"{first}.weight"].transpose(1, 2), da_RHJ).neg_()
        source, target = pull_RDJ.split(rows, 2)
        return Pull(loss_R + target_loss_R, source, target)
