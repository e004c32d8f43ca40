"""The distance of covariances (Deep CORAL, Sun & Saenko 2016).

C = Σ_i (f_i − μ) (f_i − μ)ᵀ / (n − 1) over the rows of a batch
L = ‖C_s − C_t‖²_F / (4 D²)
∂L/∂f_i = (C_s − C_t) (f_i − μ_s) / (D² (n_s − 1)) for a row of the source; for one of the target with the other sign

Legend: R replica, D number of a feature vector, N and M row of source and target.
"""

from __future__ import annotations

import torch
from torch import Tensor

from scmmlab.methods.deep_alignment.alignment import Alignment, Pull, row_means, row_shares
from scmmlab.replica.parameters import Parameters


def covariance(f_RDN: Tensor, real_RN: Tensor) -> tuple[Tensor, Tensor]:
    """Covariance [R, D, D] of the rows that count, and (f − μ) / (n − 1), [R, D, N], 0 in rows that do not."""
    real_R1N = real_RN.unsqueeze(1).to(f_RDN.dtype)
    mean_RD1 = row_means(f_RDN, row_shares(real_RN, f_RDN))
    centred_RDN = (f_RDN - mean_RD1) * real_R1N
    # a single row has no covariance, and 0 divided by 1
    scaled_RDN = centred_RDN / (real_R1N.sum(2, keepdim=True) - 1).clamp_(min=1)
    return torch.bmm(scaled_RDN, centred_RDN.transpose(1, 2)), scaled_RDN


class Coral(Alignment):
    """The squared distance of the covariances."""

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
        c_source_RDD, scaled_RDN = covariance(source_RDN, real_RN)
        c_target_RDD, target_scaled_RDM = covariance(target_RDM, target_real_RM)
        apart_RDD = c_source_RDD - c_target_RDD
        square = source_RDN.shape[1] ** 2
        return Pull(
            apart_RDD.square().sum((1, 2)) / (4 * square),
            torch.bmm(apart_RDD, scaled_RDN) / square,
            torch.bmm(apart_RDD, target_scaled_RDM) / -square,
        )
