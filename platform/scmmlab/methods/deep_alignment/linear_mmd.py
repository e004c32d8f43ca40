"""The distance of means, which is the maximum mean discrepancy of a linear kernel (DDC, Tzeng et al. 2014).

L = ‖μ_s − μ_t‖²,  ∂L/∂f_s = 2 (μ_s − μ_t) / n_s,  ∂L/∂f_t = −2 (μ_s − μ_t) / n_t

Legend: R replica, D number of a feature vector, N and M row of source and target.
"""

from __future__ import annotations

from torch import Tensor

from scmmlab.methods.deep_alignment.alignment import Alignment, Pull, row_means, row_shares
from scmmlab.replica.parameters import Parameters


class LinearMmd(Alignment):
    """The squared distance of the mean feature vectors."""

    def __call__(
        self,
        source_RDN: Tensor,
        target_RDM: Tensor,
        real_RN: Tensor,
        target_real_RM: Tensor,
        learned: Parameters | None = None,
        streams_2R1: Tensor | None = None,
    ) -> Pull:
        """The loss and its gradient."""
        share_R1N, target_share_R1M = row_shares(real_RN, source_RDN), row_shares(target_real_RM, target_RDM)
        apart_RD1 = row_means(source_RDN, share_R1N) - row_means(target_RDM, target_share_R1M)
        return Pull(
            apart_RD1.square().sum((1, 2)),
            2 * apart_RD1 * share_R1N,
            -2 * apart_RD1 * target_share_R1M,
        )
